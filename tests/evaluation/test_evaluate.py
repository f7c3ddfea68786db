"""Evaluation end to end: counts do not depend on how they were counted."""

import contextlib
import hashlib
import io
import itertools
import json
import pathlib
import shutil
import subprocess
import sys
import tarfile

import keras
import numpy as np
import pytest
import small_models

from tfeval import cli
from tfeval.cli import output
from tfeval.evaluation import evaluate as evaluation
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import directory_name, flagfile, make_plans, requests
from tfeval.models import table
from tfeval.runs import run
from tfeval.utils import spec
from tfeval.utils.errors import UserError


def quiet(name, total):
  del name, total
  return contextlib.nullcontext(lambda *_: None)


def evaluate(model, weights='imagenet', **arguments):
  config = EvaluationConfig.of(**{'preflight': 'off', **arguments})
  wanted = make_plans(requests([model], [weights]), [config])
  (result,) = evaluation.evaluate(wanted, quiet)
  return result


@pytest.fixture(scope='module')
def mobilenet(shared_data):
  """The application whose real weights conftest.py makes available."""
  assert (shared_data / 'keras_home/models/mobilenet_2_5_224_tf.h5').is_file()
  return 'MobileNet:alpha=0.25'


@pytest.fixture(scope='module')
def tfds_dir(tmp_path_factory):
  return str(tmp_path_factory.mktemp('tfds'))


@pytest.fixture(scope='module')
def baseline(mobilenet, standin_dir, tfds_dir, tmp_path_factory):
  return evaluate(
    mobilenet,
    manual_dir=str(standin_dir),
    data_dir=tfds_dir,
    output_dir=str(tmp_path_factory.mktemp('runs')),
    store_logits=True,
  )


# A model that takes no time, and a protocol that is quick to be traced.
OF_ZEROS = {
  'model': f'{__name__}:zeros_model',
  'preprocess': 'identity',
  'protocol': 'slim:rounding=nearest',
}


def counts(result):
  return [
    (m['labels'], m['name'], m['correct'], m['count'], m['skipped'])
    for m in result.metrics
  ]


def rows(result):
  found = {}
  for part in result.parts():
    found.update({row['id']: row for row in part.to_pylist()})
  return found


def test_hits_equal_a_count_with_cv2_and_predict(mobilenet, baseline, standin_dir):
  """The independent count of tests/benchmarks, in small."""
  cv2 = pytest.importorskip('cv2')
  del mobilenet
  cv2.ipp.setUseIPP(False)
  names, images = [], []
  with tarfile.open(standin_dir / 'ILSVRC2012_img_val.tar') as tar:
    for member in tar:
      names.append(member.name)
      image = cv2.imdecode(np.frombuffer(tar.extractfile(member).read(), np.uint8), 1)
      h, w = image.shape[:2]
      h, w = h * 256 // min(h, w), w * 256 // min(h, w)
      image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
      images.append(image[h // 2 - 112 :, w // 2 - 112 :][:224, :224, ::-1])
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  scores = model.predict(np.stack(images).astype(np.float32) / 127.5 - 1, verbose=0)
  stored = rows(baseline)
  assert sorted(stored) == sorted(names)
  real = json.loads((standin_dir / 'real.json').read_text())
  hits = {('original', 1): 0, ('original', 5): 0, ('real', 1): 0, ('real', 5): 0}
  for name, score in zip(names, scores, strict=True):
    row = stored[name]
    np.testing.assert_allclose(row['logits'], score, atol=2e-4)
    labels = real[int(name[15:23]) - 1]
    assert sorted(set(labels)) == row['real_labels']
    ranked = np.argsort(-score, kind='stable')
    for k in (1, 5):
      hits['original', k] += row['label'] in ranked[:k]
      hits['real', k] += bool(set(labels) & set(ranked[:k].tolist()))
  assert {
    (m['labels'], int(m['name'][3:])): m['correct']
    for m in baseline.metrics
    if m['rule'] == 'all'
  } == hits
  assert hits['original', 1] > 20  # of 60: the weights are real


def test_original_labels_are_those_of_the_development_kit(baseline, shared_data):
  ids = dict(
    line.split('\t')
    for line in (shared_data / 'devkit/ilsvrc_ids.tsv').read_text().splitlines()[1:]
  )
  order = sorted(ids.values())
  truth = (
    (shared_data / 'devkit/ILSVRC2012_validation_ground_truth.txt').read_text().split()
  )
  for name, row in rows(baseline).items():
    assert row['label'] == order.index(ids[truth[int(name[15:23]) - 1]])


@pytest.mark.parametrize(
  'batch_size', [7, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 60, 64))]
)
def test_batch_size_changes_nothing(
  mobilenet, standin_dir, tfds_dir, baseline, tmp_path, batch_size
):
  result = evaluate(
    mobilenet,
    manual_dir=str(standin_dir),
    data_dir=tfds_dir,
    output_dir=str(tmp_path),
    batch_size=batch_size,
  )
  assert counts(result) == counts(baseline)
  for key in ('label_digest', 'content_digest', 'evaluated'):
    assert result.result['dataset'][key] == baseline.result['dataset'][key]


def test_mirrored_changes_nothing(mobilenet, standin_dir, tfds_dir, baseline, tmp_path):
  result = evaluate(
    mobilenet,
    manual_dir=str(standin_dir),
    data_dir=tfds_dir,
    output_dir=str(tmp_path),
    batch_size=7,
    strategy='mirrored',
  )
  assert counts(result) == counts(baseline)
  assert result.result['compute']['strategy'] == 'MirroredStrategy'


def test_limit_is_the_start_of_the_split_and_marked(
  mobilenet, standin_dir, tfds_dir, baseline, tmp_path
):
  result = evaluate(
    mobilenet,
    manual_dir=str(standin_dir),
    data_dir=tfds_dir,
    output_dir=str(tmp_path),
    limit=11,
  )
  dataset = result.result['dataset']
  assert (dataset['partial'], dataset['limit'], dataset['evaluated']) == (True, 11, 11)
  assert set(rows(result)) == set(itertools.islice(rows(baseline), 11))


@pytest.mark.slow
def test_folder_layouts_agree_with_tfds(
  mobilenet, standin_dir, baseline, tmp_path, shared_data
):
  flat, classes = tmp_path / 'flat', tmp_path / 'classes'
  flat.mkdir()
  stored = rows(baseline)
  wnids = [
    line.split('\t')[1]
    for line in (shared_data / 'class_names.tsv').read_text().splitlines()[1:]
  ]
  with tarfile.open(standin_dir / 'ILSVRC2012_img_val.tar') as tar:
    for member in tar:
      content = tar.extractfile(member).read()
      assert stored[member.name]['image_sha256'] == hashlib.sha256(content).digest()
      (flat / member.name).write_bytes(content)
      folder = classes / wnids[stored[member.name]['label']]
      folder.mkdir(parents=True, exist_ok=True)
      (folder / member.name).write_bytes(content)
  for folder in (flat, classes):
    result = evaluate(
      mobilenet,
      dataset=f'folder:{folder}',
      real_labels=str(standin_dir / 'real.json'),
      output_dir=str(tmp_path / f'run_{folder.name}'),
    )
    assert counts(result) == counts(baseline)
    for key in ('label_digest', 'content_digest'):
      assert result.result['dataset'][key] == baseline.result['dataset'][key]
    assert result.result['dataset']['notes'] == ['60 of the 50000 validation images']


def test_flagfile_repeats_the_run(mobilenet, baseline, standin_dir, tfds_dir):
  del mobilenet
  flags = (baseline.path / 'flags.txt').read_text().splitlines()
  assert f'--manual_dir={standin_dir}' in flags
  assert f'--data_dir={tfds_dir}' in flags
  assert '--model=MobileNet:alpha=0.25' in flags
  assert '--store_logits' in flags
  assert not any(flag.startswith('--output_dir') for flag in flags)


def test_flagfile_names_the_same_directory(tmp_path, monkeypatch):
  """Of a model file and of own weights, also from another working directory."""
  (tmp_path / 'mine.keras').touch()
  (tmp_path / 'a.h5').touch()
  monkeypatch.chdir(tmp_path)
  for model, weights, directory in [
    ('mine.keras', 'imagenet', 'mine.keras'),
    ('VGG16', 'a.h5', 'VGG16@a.h5'),
    ('VGG16', 'none', 'VGG16@none'),
  ]:
    (first,) = requests([model], [weights])
    assert directory_name(first, EvaluationConfig()) == directory
    lines = flagfile(first, EvaluationConfig()).splitlines()
    monkeypatch.chdir('/')
    (again,) = requests(
      [lines[0].removeprefix('--model=')], [lines[1].removeprefix('--weights=')]
    )
    monkeypatch.chdir(tmp_path)
    assert again == first


@pytest.mark.parametrize('name', ['./val', 'folder:val', 'My-Val'])
def test_flagfile_names_the_same_folder_of_images(tmp_path, monkeypatch, name):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'val').mkdir()
  (tmp_path / 'My-Val').mkdir()
  (request,) = requests(['VGG16'], ['none'])
  lines = flagfile(request, EvaluationConfig.of(dataset=name)).splitlines()
  where = tmp_path / name.removeprefix('folder:')
  assert f'--dataset=folder:{where}' in lines
  assert '--class_folders=auto' in lines


TWO_REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfeval import datasets
from tfeval.utils import spec
from tfeval.engine import batches as reading
from tfeval.engine import batch_size, forward as predict
from tfeval.engine.options import DeviceConfig
from tfeval.models import loading
from tfeval.models.keras import features
from tfeval.preprocess import protocol
strategies = [tf.distribute.get_strategy(),
              tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])]
found = []
for strategy in strategies:
  with strategy.scope():
    model = loading.load_model(sys.argv[2], preprocess='tf')
  size = batch_size.of_host(DeviceConfig(batch_size=5), model, None, strategy)
  assert size == 4 + strategy.num_replicas_in_sync if size > 5 else 5
  forward = predict.ForwardPass(
      model, strategy, size, tap=features.tap_of(model, None))
  batches = list(reading.read_batches(datasets.open_dataset('folder:' + sys.argv[1]),
                              protocol.resolve('squash', 32), size))
  found.append((sum((b.ids for b in batches), []),
                np.concatenate([predict.predict_batch(forward, b) for b in batches]),
                np.concatenate([forward.result(forward.submit(forward.place(b)))
                                .values['features'] for b in batches])))
assert found[0][0] == found[1][0] and len(found[0][0]) == 12
assert (found[0][1].argmax(1) == found[1][1].argmax(1)).all()
np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-4)
np.testing.assert_allclose(found[0][2], found[1][2], atol=1e-5)
assert found[0][2].shape == (12, 4)
print('same', strategies[1].num_replicas_in_sync)
"""


def test_two_replicas_change_nothing(photos, tmp_path):
  small_models.build().save(tmp_path / 'small.keras')
  done = subprocess.run(
    [sys.executable, '-c', TWO_REPLICAS, photos, tmp_path / 'small.keras'],
    capture_output=True,
    text=True,
  )
  assert done.stdout == 'same 2\n', done.stderr[-2000:]


def test_changed_data_and_labels_are_another_experiment(
  mobilenet, photos, standin_dir, tmp_path
):
  folder = tmp_path / 'photos'
  shutil.copytree(photos, folder)
  arguments = {'dataset': f'folder:{folder}', 'output_dir': str(tmp_path / 'runs')}
  evaluate(mobilenet, **arguments)
  with pytest.raises(UserError, match='holds MobileNet.*: dataset.real_labels'):
    evaluate(mobilenet, real_labels=str(standin_dir / 'real.json'), **arguments)
  with pytest.raises(UserError, match='holds MobileNet.*: compute.batch_size'):
    evaluate(mobilenet, batch_size=3, **arguments)
  first, second, *_ = sorted(folder.iterdir())
  first.write_bytes(second.read_bytes())
  with pytest.raises(UserError, match='holds MobileNet.*: dataset.size_digest'):
    evaluate(mobilenet, **arguments)


def test_limit_of_the_whole_is_not_partial(photos, tmp_path):
  result = evaluate(
    **OF_ZEROS, dataset=f'folder:{photos}', limit=12, output_dir=str(tmp_path)
  )
  assert result.result['dataset']['partial'] is False
  assert result.result['dataset']['limit'] is None


def test_complete_run_is_not_repeated_and_not_mixed(
  mobilenet, standin_dir, tfds_dir, baseline
):
  arguments = {
    'manual_dir': str(standin_dir),
    'data_dir': tfds_dir,
    'output_dir': str(baseline.path.parent),
  }
  before = (baseline.path / 'result.json').read_bytes()
  again = evaluate(mobilenet, store_logits=True, **arguments)
  assert again.result == baseline.result
  with pytest.raises(UserError, match=r'holds MobileNet.*: compute.batch_size is'):
    evaluate(mobilenet, store_logits=True, batch_size=3, **arguments)
  assert (baseline.path / 'result.json').read_bytes() == before


def test_foreign_directory_is_left_alone(mobilenet, tmp_path):
  precious = tmp_path / 'MobileNet_alpha=0.25+sample' / 'thesis.txt'
  precious.parent.mkdir()
  precious.write_text('x')
  with pytest.raises(UserError, match='is not empty and holds no run'):
    evaluate(
      mobilenet,
      dataset='sample',
      data_dir=str(tmp_path / 'd'),
      output_dir=str(tmp_path),
    )
  assert [p.name for p in precious.parent.iterdir()] == ['thesis.txt']


def test_corrupt_image_is_named(photos, tmp_path):
  folder = tmp_path / 'flat'
  shutil.copytree(photos, folder)
  image = folder / 'ILSVRC2012_val_00000007.JPEG'
  image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
  with pytest.raises(UserError, match=r'ILSVRC2012_val_00000007\.JPEG is not a read'):
    evaluate(**OF_ZEROS, dataset=f'folder:{folder}', output_dir=str(tmp_path / 'runs'))
  (directory,) = (tmp_path / 'runs').iterdir()
  assert not (directory / 'result.json').exists()
  with pytest.raises(UserError, match='is not complete'):
    run.load_run(directory)


@pytest.mark.parametrize(
  'model, more, words',
  [
    (None, {'dataset': 'no_such_dataset'}, 'unknown dataset'),
    (f'{__name__}:quiet', {}, 'quiet'),
  ],
)
def test_an_error_before_the_run_leaves_no_directory(
  photos, tmp_path, model, more, words
):
  arguments = {**OF_ZEROS, 'dataset': f'folder:{photos}', **more}
  arguments['model'] = model or arguments['model']
  with pytest.raises(UserError, match=words):
    evaluate(**arguments, output_dir=str(tmp_path / 'new/runs'))
  assert not list(tmp_path.iterdir())


class IlsvrcOrder(keras.layers.Layer):
  """Puts the outputs of a Keras model into the order of ILSVRC ids."""

  def call(self, logits):
    from tfeval.datasets.labels import imagenet as labels

    order = np.argsort(labels.ilsvrc_ids())
    return keras.ops.take(logits, order, axis=-1)


def build_in_ilsvrc_order():
  base = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  return keras.Model(base.input, IlsvrcOrder()(base.output))


@pytest.mark.slow
def test_model_in_ilsvrc_order_is_caught(mobilenet, standin_dir, tfds_dir, tmp_path):
  del mobilenet
  arguments = {
    'manual_dir': str(standin_dir),
    'data_dir': tfds_dir,
    'preprocess': 'tf',
    'output': 'logits',
  }
  name = f'{__name__}:build_in_ilsvrc_order'
  with pytest.raises(UserError, match='are in the order ilsvrc_id'):
    evaluate(name, output_dir=str(tmp_path), preflight='error', **arguments)
  assert not list(tmp_path.iterdir())
  result = evaluate(
    name, output_dir=str(tmp_path), preflight='warn', limit=64, **arguments
  )
  (finding,) = result.result['preflight']
  assert finding.endswith('give `class_map=ilsvrc_id`')
  mended = evaluate(
    name,
    output_dir=str(tmp_path),
    preflight='error',
    limit=64,
    class_map='ilsvrc_id',
    overwrite=True,
    **arguments,
  )
  assert mended.result['preflight'] == []
  assert mended.metrics[0]['correct'] > 5 * result.metrics[0]['correct']


def zeros_model():
  inputs = keras.Input((224, 224, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  return keras.Model(inputs, keras.layers.Dense(1000, kernel_initializer='zeros')(x))


def test_ties_are_no_hits(standin_dir, tfds_dir, tmp_path):
  """Constant outputs hit what classes 0 to 4 are, not 100 %."""
  result = evaluate(
    f'{__name__}:zeros_model',
    manual_dir=str(standin_dir),
    data_dir=tfds_dir,
    preprocess='identity',
    output_dir=str(tmp_path),
  )
  labels = [row['label'] for row in rows(result).values()]
  top1, top5 = result.metrics[:2]
  assert top1['correct'] == labels.count(0) < 3
  assert top5['correct'] == sum(label < 5 for label in labels) < 5


def test_requests(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'a.h5').touch()
  both = requests(['ResNet50', 'ResNet50'], ['a.h5', 'none'])
  (plan,) = make_plans(both, [EvaluationConfig()])
  assert [r.directory for r in plan.requests] == ['ResNet50@a.h5', 'ResNet50@none']
  with pytest.raises(UserError, match='given twice'):
    requests(['ResNet50', 'ResNet50'], ['imagenet'])
  with pytest.raises(UserError, match='2 `weights` for 3 `model`'):
    requests(['VGG16', 'VGG19', 'Xception'], ['none', 'imagenet'])
  with pytest.raises(UserError, match='did you mean ResNet50'):
    requests(['ResNet5'], ['imagenet'])
  assert spec.parse('a/b:c').directory_name() == 'a_b_c'


def failing_factory():
  raise RuntimeError('no such luck')


def test_one_failing_model_does_not_stop_the_others(
  mobilenet, photos, tmp_path, capsys
):
  failing = f'{__name__}:failing_factory'
  arguments = [
    'evaluate',
    f'--model={failing}',
    f'--model={mobilenet}',
    f'--dataset=folder:{photos}',
    f'--output_dir={tmp_path}',
    '--preprocess=tf',
    '--output=logits',
  ]
  # The flags for the one are known for the other: both fail.
  assert cli.main([*arguments, '--json']) == 2
  assert len(json.loads(capsys.readouterr().out)) == 2
  config = EvaluationConfig.of(dataset=f'folder:{photos}', output_dir=str(tmp_path))
  wanted = make_plans(requests([failing, mobilenet], ['imagenet']), [config])
  failed, complete = evaluation.evaluate(wanted, quiet)
  assert isinstance(failed, run.Failure)
  assert complete.result['dataset']['evaluated'] == 12
  output.print_runs([failed, complete], as_json=False, show_examples=1)
  shown = capsys.readouterr().out
  assert f'{failing} FAILED: ' in ' '.join(shown.split())
  with pytest.raises(UserError, match='1 of 2 models failed: '):
    output.exit_code([failed, complete], [])


def test_broken_data_stop_all_models(mobilenet, photos, tmp_path):
  shutil.copytree(photos, tmp_path / 'data')
  sorted((tmp_path / 'data').iterdir())[0].write_bytes(b'')
  config = EvaluationConfig.of(
    dataset=f'folder:{tmp_path}/data', output_dir=str(tmp_path / 'out')
  )
  models = requests([mobilenet, f'{mobilenet},dropout=0.1'], ['imagenet'])
  with pytest.raises(UserError, match='is not a readable image'):
    evaluation.evaluate(make_plans(models, [config]), quiet)


def test_published_protocol(mobilenet, photos, tmp_path):
  found = evaluate(
    mobilenet,
    dataset=f'folder:{photos}',
    output_dir=str(tmp_path),
    protocol='published',
  )
  result = found.result
  comparison = result['published']
  assert comparison['same_protocol'] is True
  assert result['protocol']['spec'] == comparison['protocol']
  top1 = comparison['metrics'][0]
  measured = result['metrics'][0]
  assert top1['measured'] == measured['value']
  assert top1['difference'] == measured['value'] - top1['published']
  flags = (found.path / 'flags.txt').read_text()
  assert flags.count('--protocol=published\n') == 1


def test_another_size_equals_keras_and_cv2(mobilenet, photos, tmp_path):
  """The weights of 224 at 160 pixels."""
  cv2 = pytest.importorskip('cv2')
  cv2.ipp.setUseIPP(False)
  result = evaluate(
    mobilenet,
    dataset=f'folder:{photos}',
    output_dir=str(tmp_path),
    protocol='opencv:size=160',
    store_logits=True,
  )
  model = keras.applications.MobileNet(
    alpha=0.25, classifier_activation=None, input_tensor=keras.Input((160, 160, 3))
  )
  stored, images = rows(result), []
  for name in stored:
    image = cv2.imread(str(photos / name))
    h, w = image.shape[:2]
    h, w = h * 182 // min(h, w), w * 182 // min(h, w)
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
    images.append(image[h // 2 - 80 :, w // 2 - 80 :][:160, :160, ::-1])
  scores = model.predict(np.stack(images).astype(np.float32) / 127.5 - 1, verbose=0)
  np.testing.assert_allclose(
    [row['logits'] for row in stored.values()], scores, atol=2e-4
  )


def test_all_is_every_application():
  wanted = requests(['all'], ['none'])
  assert {r.spec.text for r in wanted} == set(table.known_models())
  with pytest.raises(UserError, match='`model=all` is every application'):
    requests(['all', 'VGG16'], ['none'])


def test_result_is_json_without_nan(baseline):
  def refuse(constant):
    raise AssertionError(constant)

  text = io.StringIO((baseline.path / 'result.json').read_text())
  result = json.load(text, parse_constant=refuse)
  assert result['schema_version'] == 1
  assert pathlib.PurePath(baseline.path).name == 'MobileNet_alpha=0.25'
