"""`tfeval predict`: the numbers of an evaluation, in a table, as JSON, as a figure."""

import json
import re
import shutil
import sys

import cv2
import keras
import numpy as np
import pytest
import references

from tfeval import cli
from tfeval.datasets.labels import imagenet
from tfeval.metrics import ranking
from tfeval.models import published
from tfeval.runs import run
from tfeval.utils import spec

MOBILE, LITE = 'MobileNet:alpha=0.25', 'EfficientNetLite0'
TINY = (f'--model={__name__}:tiny_model', '--preprocess=identity', '--output=logits')


def tiny_model(bias='zeros', activation=None):
  """Answers the same to every image."""
  inputs = keras.Input((32, 32, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  return keras.Model(
    inputs,
    keras.layers.Dense(
      1000, activation, kernel_initializer='zeros', bias_initializer=bias
    )(x),
  )


def tied_model():
  """Classes 7, 400 and 999 share the highest output, all others the lowest."""
  bias = np.zeros(1000)
  bias[[999, 7, 400]] = 5
  return tiny_model(lambda shape, dtype: bias.astype(dtype))


def model_of_probabilities():
  bias = np.log(np.arange(1, 1001) / 500500)
  return tiny_model(lambda shape, dtype: bias.astype(dtype), 'softmax')


def described_model():
  """Says itself what it has to be fed."""
  return {
    'model': tiny_model('ones'),
    'preprocess': 'identity',
    'input_size': 32,
    'output': 'logits',
  }


def broken_model():
  return tiny_model(lambda shape, dtype: np.full(shape, np.nan, dtype))


@pytest.fixture
def predict(capsys, monkeypatch):
  """Runs the command on a terminal of 80 columns; returns code, stdout, stderr."""
  monkeypatch.setenv('COLUMNS', '80')

  def run_it(*arguments):
    capsys.readouterr()
    code = cli.main(['predict', *map(str, arguments)])
    return code, *capsys.readouterr()

  return run_it


@pytest.fixture
def cat(shared_data):
  return shared_data / 'images/n02123394_Persian_cat.JPEG'


@pytest.fixture
def mug(shared_data):
  return shared_data / 'images/n03063599_coffee_mug.JPEG'


def answers(out):
  """-> {path: {model: [(class, probability)]}}."""
  return {
    image['path']: {
      model['model']: [(p['class'], p['probability']) for p in model['predictions']]
      for model in image['models']
    }
    for image in json.loads(out)
  }


def mistake(outcome, *words):
  code, out, err = outcome
  assert (code, out) == (2, '')
  assert re.fullmatch(r'tfeval: [^\n]+\n', err), err
  for word in words:
    assert word in err, err


@pytest.mark.slow
def test_numbers_are_those_that_an_evaluation_stores(predict, photos, tmp_path):
  code, out, _ = predict(
    photos, f'--model={MOBILE}', f'--model={LITE}', '--json', '--top=1000'
  )
  assert code == 0
  found = answers(out)
  assert [*found] == sorted(str(path) for path in photos.iterdir())
  # In batches of another size the last digits differ.
  for name, batch_size, tolerance in ((MOBILE, 1, 0), (LITE, 1, 0), (MOBILE, 64, 1e-6)):
    output = tmp_path / f'{name}_{batch_size}'
    assert (
      cli.main(
        [
          'evaluate',
          f'--model={name}',
          f'--dataset=folder:{photos}',
          '--store_logits',
          f'--batch_size={batch_size}',
          '--preflight=off',
          f'--output_dir={output}',
        ]
      )
      == 0
    )
    (directory,) = output.iterdir()
    rows = [
      row
      for part in run.load_run(directory).parts(['id', 'logits'])
      for row in part.to_pylist()
    ]
    assert len(rows) == len(found)
    for row in rows:
      logits = np.array([row['logits']], np.float32)
      mine = found[str(photos / row['id'])][name]
      classes = [index for index, _ in mine]
      expected = np.exp(ranking.log_softmax(logits))[0, classes]
      assert np.abs([p for _, p in mine] - expected).max() <= tolerance
      if not tolerance:
        assert classes == ranking.top_k(logits, 1000)[0].tolist()


def test_numbers_are_those_of_keras_on_pixels_of_opencv(predict, cat, mug):
  code, out, _ = predict(cat, mug, f'--model={MOBILE}', '--json')
  assert code == 0
  model = keras.applications.MobileNet(alpha=0.25)
  pixels = np.stack([references.opencv(path.read_bytes(), 224) for path in (cat, mug)])
  expected = model.predict(
    keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32)), verbose=0
  )
  for path, theirs in zip((cat, mug), expected, strict=True):
    mine = answers(out)[str(path)][MOBILE]
    assert [index for index, _ in mine] == np.argsort(-theirs)[:5].tolist()
    np.testing.assert_allclose([p for _, p in mine], np.sort(theirs)[:-6:-1], atol=1e-6)


def test_json(predict, cat):
  code, out, err = predict(
    '--json', f'--model={MOBILE}', cat, '--top=2', '--protocol=pil'
  )
  assert (code, err) == (0, '')
  (image,) = json.loads(out)
  assert image['path'] == str(cat)
  (model,) = image['models']
  first, second = model.pop('predictions')
  assert model == {'model': MOBILE, 'protocol': 'pil', 'size': 224}
  assert 0.5 < first.pop('probability') < 1
  assert first == {'rank': 1, 'class': 283, 'wnid': 'n02123394', 'name': 'Persian cat'}
  assert second['rank'] == 2


def test_each_model_gets_its_own_published_protocol(predict, cat):
  (image,) = json.loads(
    predict(cat, f'--model={MOBILE}', f'--model={LITE}', '--json', '--protocol=native')[
      1
    ]
  )
  assert [(m['protocol'], m['size']) for m in image['models']] == [
    (published.protocol_text('native', spec.parse(name)).split(':size=')[0], 224)
    for name in (MOBILE, LITE)
  ]


def test_each_model_gets_its_own_size_and_preprocessing(predict, cat):
  small = f'{__name__}:described_model'
  together = json.loads(
    predict(cat, f'--model={MOBILE}', f'--model={small}', '--json')[1]
  )[0]['models']
  assert [model['size'] for model in together] == [224, 32]
  (alone,) = json.loads(predict(cat, f'--model={small}', '--json')[1])[0]['models']
  assert together[1] == alone


@pytest.mark.parametrize('count', [pytest.param(1, marks=pytest.mark.slow), 3])
def test_table_fits_into_80_columns(predict, cat, shared_data, count):
  terrier = shared_data / 'images/n02093428_American_Staffordshire_terrier.JPEG'
  models = [MOBILE, f'{MOBILE},dropout=0.003', f'{MOBILE},dropout=0.002'][:count]
  code, out, err = predict(
    cat,
    terrier,
    *(f'--model={m}' for m in models),
    '--protocol=opencv:crop_fraction=0.9',
  )
  assert (code, err) == (0, '')
  shown = [line for line in out.splitlines() if line not in (str(cat), str(terrier))]
  assert max(map(len, shown)) <= 80
  assert str(cat) in out and str(terrier) in out
  heading = out.split('n02123394  Persian')[0].replace(' ', '')
  assert 'alpha=0.25' in heading and 'opencv:' in heading and '224px' in heading
  row = re.search(r'^n02123394  Persian cat +1\. +(0\.\d{3})', out, re.MULTILINE)
  assert row and float(row[1]) > 0.5
  assert '…' not in out


def test_ranks_of_equal_outputs_go_by_class(predict, cat):
  name = f'{__name__}:tied_model'
  code, out, _ = predict(cat, f'--model={name}', *TINY[1:], '--json')
  assert code == 0
  assert [index for index, _ in answers(out)[str(cat)][name]] == [7, 400, 999, 0, 1]
  code, out, _ = predict(cat, f'--model={name}', *TINY[1:], '--top=4')
  wnids = imagenet.label_space().class_ids
  assert re.findall(r'^n\d{8}', out, re.MULTILINE) == [
    wnids[i] for i in (7, 400, 999, 0)
  ]


def test_probabilities_of_a_model_stay_what_they_are(predict, cat):
  name = f'{__name__}:model_of_probabilities'
  code, out, _ = predict(
    cat, f'--model={name}', '--preprocess=identity', '--output=probabilities', '--json'
  )
  assert code == 0
  (index, p), *_ = answers(out)[str(cat)][name]
  assert index == 999
  assert p == pytest.approx(1000 / 500500, rel=1e-4)


def test_folders_stand_for_their_images(predict, cat, mug, tmp_path):
  for name in ('b.JPG', 'a.png', '.hidden.jpg', 'notes.txt'):
    shutil.copy(cat, tmp_path / name)
  (tmp_path / 'c.jpg').mkdir()
  cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((50, 40, 3), np.uint8))
  code, out, _ = predict(mug, tmp_path, *TINY, '--json')
  assert code == 0
  assert [*answers(out)] == [
    str(p) for p in (mug, tmp_path / 'a.png', tmp_path / 'b.JPG')
  ]


def test_mistakes_about_images_are_told_before_tensorflow_starts(
  predict, cat, tmp_path, monkeypatch
):
  monkeypatch.delitem(sys.modules, 'tfeval.evaluation.predict', raising=False)
  text, empty = tmp_path / 'a.jpg', tmp_path / 'empty.jpg'
  text.write_text('a text')
  empty.touch()
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'dangling.png').symlink_to(tmp_path / 'nowhere')
  mistake(predict(*TINY), 'no image was given')
  mistake(predict(cat, tmp_path / 'no.jpg', *TINY), 'no.jpg does not exist')
  mistake(predict('', *TINY), "'' does not exist")
  mistake(predict(tmp_path / 'two\nlines', *TINY), r"two\nlines' does not exist")
  mistake(predict(cat, tmp_path / 'folder', *TINY), 'folder holds no images')
  mistake(
    predict(text, *TINY),
    'a.jpg is not a readable image',
    "neither JPEG nor PNG, it starts with b'a text'",
  )
  mistake(predict(empty, *TINY), 'empty.jpg is not a readable image: it is empty')
  mistake(predict(tmp_path / 'dangling.png', *TINY), 'dangling.png does not exist')
  mistake(predict('/dev/null', *TINY), '/dev/null is no file')
  assert 'tfeval.evaluation.predict' not in sys.modules


def test_broken_images_are_named(predict, cat, tmp_path):
  broken = tmp_path / 'broken.jpg'
  broken.write_bytes(cat.read_bytes()[:3000])
  mistake(
    predict(cat, broken, *TINY),
    f'{broken} is not a readable image',
    'a truncated or damaged JPEG',
  )
  line = tmp_path / 'line.png'
  cv2.imwrite(str(line), np.zeros((1, 60_000, 3), np.uint8))
  mistake(
    predict(line, *TINY, '--protocol=tf'),
    f'{line} is not a readable image',
    'a PNG, but',
  )


def test_mistakes_about_flags(predict, cat):
  mistake(predict(cat), 'no model was given')
  mistake(predict(cat, '--model=ResNet5'), 'did you mean ResNet50')
  mistake(predict(cat, f'--model={LITE}', f'--model={LITE}'), 'given twice')
  for top in (0, 1001, 'x'):
    mistake(predict(cat, *TINY, f'--top={top}'), 'top')
  mistake(predict(cat, *TINY, '--protocol=x'), "unknown protocol 'x'")
  mistake(predict(cat, f'--model={LITE}', '--preprocess=tf'), 'leave it out')


def test_outputs_that_cannot_be_right_name_model_and_image(predict, cat):
  name = f'{__name__}:broken_model'
  mistake(predict(cat, f'--model={name}', *TINY[1:]), name, 'NaN', str(cat))
  mistake(
    predict(
      cat,
      f'--model={__name__}:tied_model',
      '--preprocess=identity',
      '--output=probabilities',
    ),
    'not probabilities',
    str(cat),
  )


def test_figure(predict, cat, mug, tmp_path):
  path = tmp_path / 'figure.png'
  code, out, err = predict(
    cat, mug, f'--model={MOBILE}', f'--model={MOBILE},dropout=0.002', f'--figure={path}'
  )
  assert (code, err) == (0, f'tfeval: the figure is in {path}\n')
  assert 'Persian cat' in out
  assert [p.name for p in tmp_path.iterdir()] == ['figure.png']
  pixels = cv2.imread(str(path))
  height, width = pixels.shape[:2]
  assert 500 < height < 1200 and 1000 < width < 2000
  # The photo of the cat, and the long bar of either model beside it.
  assert pixels[: height // 2, : width // 5].std() > 40
  for bar in ((232, 201, 169), (154, 200, 246)):
    columns = np.flatnonzero((abs(pixels.astype(int) - bar) <= 2).all(-1).any(0))
    assert np.ptp(columns) > width // 5


def test_mistakes_about_figures_are_told_before_tensorflow_starts(
  predict, cat, tmp_path, monkeypatch
):
  monkeypatch.delitem(sys.modules, 'tfeval.evaluation.predict', raising=False)
  for name in ('a.gif', 'a', ''):
    mistake(predict(cat, *TINY, f'--figure={tmp_path}/{name}'), '.png, .pdf or .svg')
  mistake(predict(cat, *TINY, f'--figure={tmp_path}/no/a.png'), 'does not exist')
  (tmp_path / 'there.png').write_text('mine')
  there = f'--figure={tmp_path}/there.png'
  mistake(predict(cat, *TINY, there), f'{there} is there already', '--overwrite')
  assert (tmp_path / 'there.png').read_text() == 'mine'
  (tmp_path / 'folder.png').mkdir()
  mistake(predict(cat, *TINY, f'--figure={tmp_path}/folder.png'), 'is a folder')
  mistake(
    predict(cat, *TINY, f'--figure={tmp_path}/a.png', '--top=1000'), 'smaller --top'
  )
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  mistake(
    predict(cat, *TINY, f'--figure={tmp_path}/a.png'), "pip install 'tfeval[figure]'"
  )
  assert 'tfeval.evaluation.predict' not in sys.modules
  assert predict(cat, *TINY)[0] == 0
