"""Corrupted runs: those of plain loops, one reading of the images for all of them."""

import json
import shutil

import keras
import numpy as np
import pytest
import references
import tensorflow as tf
from PIL import Image

from tfeval import cli
from tfeval.engine import batches, corrupting, pipeline
from tfeval.evaluation.runtime import Runtime
from tfeval.preprocess import corruption_table, corruptions, frost_textures, protocol
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError

MODEL = 'MobileNet:alpha=0.25'
# In TensorFlow, with draws and without, and in NumPy.
SOME = ('gaussian_noise:2', 'fog:1', 'pixelate:3')


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  folder = tmp_path_factory.mktemp('photos')
  for path in sorted((shared_data / 'images').glob('n*.JPEG'))[::29]:
    (folder / path.name[:9]).mkdir(exist_ok=True)
    shutil.copy(path, folder / path.name[:9])
  return folder


@pytest.fixture(scope='module')
def common(photos):
  return [f'--model={MODEL}', f'--dataset=folder:{photos}', '--batch_size=4', '--json']


@pytest.fixture(scope='module')
def model():
  return keras.applications.MobileNet(alpha=0.25)


@pytest.fixture(scope='module')
def together(common, tmp_path_factory):
  """The directories of the runs of `none` and `SOME` by corruption, and the reads."""
  output = tmp_path_factory.mktemp('together')
  reads, read = [], Runtime.read
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(
      Runtime, 'read', lambda self, *args: reads.append(args) or read(self, *args)
    )
    flags = [*common, '--protocol=pil:kernel=bilinear', f'--output_dir={output}']
    assert cli.main(['evaluate', *flags, f'--corruption=none,{",".join(SOME)}']) == 0
  found = {}
  for directory in output.iterdir():
    name = directory.name.partition('corruption=')[2] or 'none'
    found[name.replace('-', ':')] = directory
  return found, reads


def stored(run):
  return {
    path.name: path.read_bytes()
    for path in sorted((run / 'predictions').rglob('*'))
    if path.is_file()
  }


def test_images_are_read_once_for_all(together):
  directories, reads = together
  assert set(directories) == {'none', *SOME}
  assert [args[0] for args in reads] == [protocol.resolve('pil:kernel=bilinear', 224)]


@pytest.mark.slow
@pytest.mark.parametrize('corruption', ['fog:1'])
def test_a_run_alone_has_the_same_predictions(common, together, corruption, tmp_path):
  flags = [*common, f'--corruption={corruption}', f'--output_dir={tmp_path}']
  assert cli.main(['evaluate', *flags]) == 0
  (directory,) = tmp_path.iterdir()
  assert stored(directory) == stored(together[0][corruption])


@pytest.mark.slow
def test_others_join_from_a_cache_of_clean_pixels(together, photos, tmp_path):
  """Broken images, a cache and an interruption change no prediction of the others."""
  folder = tmp_path / 'photos'
  shutil.copytree(photos, folder)
  broken = sorted(folder.rglob('*.JPEG'))[5]
  broken.write_bytes(broken.read_bytes()[:500])
  flags = [f'--model={MODEL}', '--batch_size=4', '--on_error=skip', '--json']
  flags += [f'--dataset=folder:{folder}']
  flags += [f'--cache_dir={tmp_path / "cache"}', f'--output_dir={tmp_path / "runs"}']
  for corruptions_of in ('pixelate:3', 'pixelate:3,fog:1'):
    assert cli.main(['evaluate', *flags, f'--corruption={corruptions_of}']) == 0
  assert len([path for path in (tmp_path / 'cache').iterdir() if path.is_dir()]) == 1
  for corruption in ('pixelate:3', 'fog:1'):
    (directory,) = (tmp_path / 'runs').glob(f'*{corruption.replace(":", "-")}')
    rows, whole = (
      {row['id']: row['classes'] for row in load_run(one).to_arrow().to_pylist()}
      for one in (directory, together[0][corruption])
    )
    assert len(rows) == 10 and rows.items() <= whole.items()


@pytest.mark.parametrize('corruption', ['gaussian_noise:2', 'fog:1'])
def test_predictions_are_those_of_a_plain_loop(photos, together, model, corruption):
  run = load_run(together[0][corruption])
  assert run.result.protocol.text == (
    f'pil:kernel=bilinear,corruption={corruption.replace(":", "-")}'
  )
  of = corruption_table.parse(corruption)
  rows = run.to_arrow().to_pydict()
  assert len(rows['id']) == 11
  for name, found in zip(rows['id'], rows['classes'], strict=True):
    (path,) = photos.rglob(name)
    clean = references.pil(path.read_bytes(), 224, Image.BILINEAR)
    pixels = corruptions.corrupt(tf.constant(clean), tf.constant(name), of, 0)
    scores = model(pixels.numpy()[None] / np.float32(127.5) - 1, training=False)[0]
    assert np.argmax(scores) == found[0]


def test_another_size_is_squashed_by_the_protocol_of_the_model(photos):
  path = next(photos.rglob('*.JPEG'))
  data, named = tf.constant(path.read_bytes()), tf.constant('a')
  small = protocol.resolve('pil:kernel=bilinear,corruption=jpeg_compression-1', 224)
  at_224 = pipeline.preprocess_image(small, data, named, False)
  for text, kernel in (
    ('opencv', None),
    ('pil', Image.BICUBIC),
    ('pil:kernel=bilinear', Image.BILINEAR),
  ):
    text = protocol.with_corruption(text, 'jpeg_compression:1')
    large = protocol.resolve(text, 160)
    found = pipeline.preprocess_image(large, data, named, False).numpy()
    if kernel is None:
      import cv2

      cv2.ipp.setUseIPP(False)
      expected = cv2.resize(at_224.numpy(), (160, 160), interpolation=cv2.INTER_CUBIC)
    else:
      expected = np.asarray(Image.fromarray(at_224.numpy()).resize((160, 160), kernel))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('name', ['speckle_noise-3'])
def test_batches_are_corrupted_as_pipelines_corrupt(photos, name):
  from tfeval import datasets

  dataset = datasets.open_dataset(f'folder:{photos}', limit=5)
  of = protocol.resolve(f'opencv:corruption={name}', 224)
  clean = next(batches.read_batches(dataset, of.before_corruption, 5))
  found = corrupting.corrupted(of, clean.pixels, clean.ids)
  piped = next(iter(pipeline.make_pipeline(dataset, of, 2).unbatch().batch(5)))
  np.testing.assert_array_equal(found, piped['pixels'])


def test_the_crop_is_in_the_protocol_whatever_the_models():
  texts = ('opencv', 'slim', 'efficientnet', 'opencv:crop_fraction=0.9', 'convnext')
  of = {
    protocol.resolve(f'{protocol.with_corruption(one, "fog:3")}', 224) for one in texts
  }
  assert {one.spec for one in of} == {'pil:kernel=bilinear,corruption=fog-3'}
  for text in texts:
    large = protocol.resolve(protocol.with_corruption(text, 'fog:3', 7), 299)
    assert protocol.resolve(large.spec, 299) == large
    assert large.before_corruption == protocol.resolve('pil:kernel=bilinear', 224)
  hashes = {
    protocol.resolve(protocol.with_corruption('opencv', *one), 224).describe()['hash']
    for one in (('none',), ('fog:3',), ('fog:4',), ('fog:3', 1))
  }
  assert len(hashes) == 4


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('opencv:corruption=fog-3,tta=ten_crop', 'without corners'),
    ('given:corruption=fog-3', 'of its own pixels'),
    ('encoded:corruption=fog-3', 'leave it out'),
    ('opencv:corruption_seed=2', 'nothing is corrupted'),
    ('opencv:corruption=fog', 'from 1 to 5'),
    ('opencv:corruption=fog-3,corruption_seed=-1', 'a number from 0 on'),
  ],
)
def test_protocols_that_cannot_be_are_refused(text, message):
  with pytest.raises(UserError, match=message):
    protocol.resolve(text, 224)


@pytest.mark.slow
def test_frost_without_photos_is_a_row_and_the_others_run(common, tmp_path, capsys):
  flags = [*common, '--corruption=frost:1,contrast:1', f'--output_dir={tmp_path / "r"}']
  try:
    assert cli.main(['evaluate', *flags, f'--frost_textures={tmp_path}']) == 2
  finally:
    frost_textures.look_in(None)
  frost, contrast = json.loads(capsys.readouterr().out)
  assert 'frost1.png, which is not there' in frost['error']
  assert contrast['protocol']['corruption'] == 'contrast-1'


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--corruption=fog:9'], '--corruption=fog:9: the severity of fog is a number'),
    (['--corruption=smog'], "'smog'"),
    (['--corruption=fog:3', '--tta=ten_crop'], 'without corners'),
    (['--corruption_seed=3'], '--corruption_seed=3 without --corruption'),
    (
      ['--corruption=fog:3', '--protocol=opencv:corruption=fog-2'],
      'which has one: leave one out',
    ),
    (['--corruption=fog:3', '--resize_on=device'], 'resize_on=host'),
  ],
)
def test_flags_that_cannot_be_are_one_line(common, flags, message, tmp_path, capsys):
  output = f'--output_dir={tmp_path}'
  assert cli.main(['evaluate', *common, output, *flags]) == 2
  err = capsys.readouterr().err.strip()
  assert message in err and len(err.splitlines()) == 1


def test_a_run_says_what_it_is_and_how_to_repeat_it(together, capsys):
  directory = together[0]['fog:1']
  assert directory.name.endswith('+corruption=fog-1')
  flags = (directory / 'flags.txt').read_text()
  assert '--corruption=fog:1' in flags.splitlines()
  again = ['evaluate', f'--flagfile={directory / "flags.txt"}', '--json']
  assert cli.main([*again, f'--output_dir={directory.parent}']) == 0
  assert 'is complete' in capsys.readouterr().err
  assert load_run(directory).result.published is None
