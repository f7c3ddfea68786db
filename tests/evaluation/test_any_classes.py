"""Classifiers of any classes, counted once more with cv2, `model.predict` and NumPy."""

import io
import json
import pathlib
import shutil
import tarfile

import container_writers
import cv2
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfeval
from tfeval import cli
from tfeval.datasets.labels import imagenet
from tfeval.reports import results
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError

SIDE = 32
# In text order, which is not that of the numbers.
NUMBERS = [str(n) for n in (0, 1, 10, 100, 11, 2, 20, 3, 4, 5)]


def _draw(classes: list[str], folder: pathlib.Path, each: int, seed: int) -> None:
  """Draws photos of a class in colours of its own, and noise enough to confuse some."""
  random = np.random.default_rng(seed)
  colours = np.random.default_rng(0).integers(60, 196, (len(classes), 3))
  for name, colour in zip(classes, colours, strict=True):
    (folder / name).mkdir(parents=True)
    for number in range(each):
      pixels = colour + random.normal(0, 35, 3) + random.normal(0, 20, (40, 52, 3))
      path = folder / name / f'{name}_{number}.jpg'
      cv2.imwrite(str(path), np.clip(pixels, 0, 255).astype(np.uint8))


def _load(path: pathlib.Path) -> np.ndarray:
  image = cv2.imread(str(path))
  h, w = image.shape[:2]
  resized = SIDE * 256 // 224
  h, w = h * resized // min(h, w), w * resized // min(h, w)
  cv2.ipp.setUseIPP(False)
  image = cv2.resize(image, (w, h), interpolation=cv2.INTER_CUBIC)
  y, x = h // 2 - SIDE // 2, w // 2 - SIDE // 2
  return image[y : y + SIDE, x : x + SIDE, ::-1].astype(np.float32) / 127.5 - 1


def _trained(folder: pathlib.Path, classes: list[str], outputs: int) -> keras.Model:
  """Trains a classifier a little: it is right more often than chance."""
  keras.utils.set_random_seed(0)
  paths = sorted(folder.glob('*/*.jpg'))
  images = np.stack([_load(path) for path in paths])
  labels = np.array([classes.index(path.parent.name) for path in paths])
  model = keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      keras.layers.AveragePooling2D(8),
      keras.layers.Flatten(),
      keras.layers.Dense(outputs),
    ]
  )
  loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile(keras.optimizers.Adam(0.02), loss)
  model.fit(images, labels, batch_size=16, epochs=6, verbose=0)
  return model


def _counts(
  model: keras.Model, folder: pathlib.Path, classes: list[str]
) -> tuple[int, int, int]:
  """Returns top-1 hits, top-5 hits and images, by hand."""
  paths = sorted(folder.glob('*/*.jpg'))
  scores = model.predict(np.stack([_load(path) for path in paths]), verbose=0)
  labels = np.array([classes.index(path.parent.name) for path in paths])
  ranked = np.argsort(-scores, axis=1, kind='stable')
  hits = ranked[:, :5] == labels[:, None]
  return int(hits[:, 0].sum()), int(hits.any(axis=1).sum()), len(paths)


@pytest.fixture(scope='module')
def ten(tmp_path_factory):
  """Folders of ten classes, and a model of these in the order of the text."""
  root = tmp_path_factory.mktemp('ten')
  _draw(NUMBERS, root / 'train', 6, seed=1)
  _draw(NUMBERS, root / 'val', 7, seed=2)
  model = _trained(root / 'train', NUMBERS, 10)
  model.save(root / 'ten.keras')
  return root, model


def _evaluate(root: pathlib.Path, *flags: str) -> dict:
  code = cli.main(
    [
      'evaluate',
      f'--model={root}/ten.keras',
      '--preprocess=tf',
      '--batch_size=16',
      '--preflight=off',
      *flags,
    ]
  )
  assert code == 0


def test_ten_classes_of_folders(ten, tmp_path, capsys):
  root, model = ten
  top1, top5, images = _counts(model, root / 'val', NUMBERS)
  assert images // 10 < top1 < images
  _evaluate(root, f'--dataset=folder:{root}/val', f'--output_dir={tmp_path}', '--json')
  (result,) = json.loads(capsys.readouterr().out)
  found = {m['name']: (m['correct'], m['count'], m['rule']) for m in result['metrics']}
  assert found == {'top1': (top1, images, 'all'), 'top5': (top5, images, 'all')}
  assert result['dataset']['classes'] == {'name': 'val', 'ids': NUMBERS}
  assert result['model']['matched'] == {'by': 'order'}


def test_scored_again_compared_and_verified(ten, tmp_path, capsys):
  root, model = ten
  top1, *_ = _counts(model, root / 'val', NUMBERS)
  for name in 'ab':
    out = f'--output_dir={tmp_path}/{name}'
    _evaluate(root, f'--dataset=folder:{root}/val', '--store_logits', out)
  runs = [str(next((tmp_path / name).iterdir())) for name in 'ab']
  capsys.readouterr()
  every = '--metrics=top1,top3,nll,ece,brier,class_balanced,temperature'
  assert cli.main(['score', runs[0], every, '--confusions=3', '--json']) == 0
  (result,) = json.loads(capsys.readouterr().out)
  values = {m['name']: m for m in result['metrics']}
  assert values['top1']['correct'] == top1
  assert all(m['value'] is not None for m in result['metrics'])
  assert {one['label_name'] for one in result['confusions']} <= set(NUMBERS)
  # An independent count of likelihoods.
  paths = sorted((root / 'val').glob('*/*.jpg'))
  scores = model.predict(np.stack([_load(path) for path in paths]), verbose=0)
  labels = np.array([NUMBERS.index(path.parent.name) for path in paths])
  log_probs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
  nll = -log_probs[np.arange(len(labels)), labels].mean()
  assert values['nll']['value'] == pytest.approx(nll, rel=1e-4)
  onehot = np.eye(10)[labels]
  brier = ((np.exp(log_probs) - onehot) ** 2).sum(1).mean()
  assert values['brier']['value'] == pytest.approx(brier, rel=1e-4)
  assert cli.main(['compare', *runs]) == 0
  assert cli.main(['leaderboard', *runs]) == 0
  assert cli.main(['verify', *runs]) == 0


def test_per_class_and_labels_of_a_file(ten, tmp_path, capsys):
  root, model = ten
  top1, _, images = _counts(model, root / 'val', NUMBERS)
  _evaluate(root, f'--dataset=folder:{root}/val', f'--output_dir={tmp_path}/runs')
  (run,) = (tmp_path / 'runs').iterdir()
  csv = tmp_path / 'per_class.csv'
  assert cli.main(['score', str(run), f'--per_class={csv}']) == 0
  lines = csv.read_text().splitlines()
  assert len(lines) == 11 and lines[3].split(',')[2:5] == ['2', '10', '10']
  labels = tmp_path / 'given.csv'
  names = sorted(path.name for path in (root / 'val').glob('*/*.jpg'))
  rows = [f'{name},{NUMBERS.index(name.split("_")[0])}' for name in names]
  labels.write_text('\n'.join(['id,label', *rows]))
  capsys.readouterr()
  assert cli.main(['score', str(run), f'--labels={labels}', '--json']) == 0
  (result,) = json.loads(capsys.readouterr().out)
  found = {m['name']: (m['correct'], m['count']) for m in result['metrics']}
  assert found['top1'] == (top1, images)


def test_two_classes_have_no_top5(tmp_path, capsys):
  _draw(['cat', 'dog'], tmp_path / 'val', 20, seed=3)
  model = _trained(tmp_path / 'val', ['cat', 'dog'], 2)
  run = tfeval.evaluate(
    model, f'folder:{tmp_path}/val', preprocess='tf', preflight='off', batch_size=16
  )
  top1, _, images = _counts(model, tmp_path / 'val', ['cat', 'dog'])
  assert [(m.name, m.correct, m.count) for m in run.metrics] == [('top1', top1, images)]
  (top5,) = run.score(metrics=['top5'])
  assert top5.value is None and top5.unavailable == 'says nothing of 2 classes'
  assert results.remarks([run])[0].endswith(
    'no top-5: of 2 classes it would always be right'
  )


def test_a_map_for_outputs_in_another_order(ten, tmp_path, capsys):
  root, model = ten
  top1, top5, images = _counts(model, root / 'val', NUMBERS)
  order = np.random.default_rng(5).permutation(10)
  shuffled = keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      *model.layers[:-1],
      keras.layers.Dense(12),
    ]
  )
  kernel, bias = model.layers[-1].get_weights()
  others = np.zeros((kernel.shape[0], 2), np.float32), np.full(2, -1e3, np.float32)
  shuffled.layers[-1].set_weights(
    [np.hstack([kernel[:, order], others[0]]), np.append(bias[order], others[1])]
  )
  shuffled.save(tmp_path / 'ten.keras')
  names = [*(NUMBERS[i] for i in order), 'tree', 'house']
  class_map = tmp_path / 'map.json'
  class_map.write_text(
    json.dumps({'id2label': {str(i): n for i, n in enumerate(names)}})
  )
  _evaluate(
    tmp_path,
    f'--dataset=folder:{root}/val',
    f'--output_dir={tmp_path}/runs',
    f'--class_map={class_map}',
    '--json',
  )
  (result,) = json.loads(capsys.readouterr().out)
  found = {
    (m['name'], m['rule']): (m['correct'], m['count']) for m in result['metrics']
  }
  assert found == {
    ('top1', 'all'): (top1, images),
    ('top5', 'all'): (top5, images),
    ('top1', 'restricted'): (top1, images),
    ('top5', 'restricted'): (top5, images),
  }
  assert result['model']['matched']['others']['ids'] == ['tree', 'house']
  assert cli.main(['verify', str(next((tmp_path / 'runs').iterdir()))]) == 0


def test_both_rules_by_hand(shared_data, tmp_path, capsys):
  """Ten wnids and a 1000-way model: what it says of other classes is wrong, or not."""
  paths = sorted((shared_data / 'images').glob('n*.JPEG'))
  wnids = sorted({path.name.split('_')[0] for path in paths})[:10]
  paths = [path for path in paths if path.name.split('_')[0] in wnids]
  for path in paths:
    folder = tmp_path / 'ten' / path.name.split('_')[0]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.name).symlink_to(path)
  code = cli.main(
    [
      'evaluate',
      '--model=MobileNet:alpha=0.25',
      f'--dataset=folder:{tmp_path}/ten',
      f'--output_dir={tmp_path}/runs',
      '--preflight=off',
      '--store_logits',
      '--json',
    ]
  )
  assert code == 0
  (result,) = json.loads(capsys.readouterr().out)
  (run,) = (tmp_path / 'runs').iterdir()
  rows = load_run(run).to_arrow(['label', 'logits'])
  logits = np.array(rows['logits'].to_pylist())
  labels = np.array(rows['label'].to_pylist())
  index = imagenet.label_space().index_of_id
  own = [index[wnid] for wnid in wnids]
  expected = {}
  for rule, kept in (('all', list(range(1000))), ('restricted', own)):
    ranked = np.array(kept)[np.argsort(-logits[:, kept], axis=1, kind='stable')]
    for k in (1, 5):
      hit = (ranked[:, :k] == labels[:, None]).any(axis=1)
      expected[f'top{k}', rule] = int(hit.sum()), len(labels)
  found = {
    (m['name'], m['rule']): (m['correct'], m['count']) for m in result['metrics']
  }
  assert found == expected
  assert found['top1', 'restricted'] > found['top1', 'all']
  assert cli.main(['verify', str(run)]) == 0
  assert cli.main(['score', str(run), '--expect=original/top1@restricted:1:1']) == 0
  capsys.readouterr()
  assert cli.main(['score', str(run), '--class_rule=restricted']) == 0
  table = capsys.readouterr().out
  assert table.index('top-1 restricted') < table.index('top-1 ') + 1
  assert 'restricted: among 10 of the 1,000 classes' in ' '.join(table.split())
  # Asked for by its name it is that of the rule, once.
  scored = load_run(run).score(metrics=['top1@restricted', 'ece'])
  assert [(m['name'], m['rule']) for m in scored] == [
    *(('ece', 'all'), ('top1', 'restricted'), ('ece', 'restricted'))
  ]
  assert scored[1]['correct'] == expected['top1', 'restricted'][0]
  # Paired comparisons and ranks under the rule.
  board = [str(run), '--sort=original/top1@restricted']
  assert cli.main(['leaderboard', *board]) == 0
  assert f'{100 * expected["top1", "restricted"][0] / len(labels):.2f}' in (
    capsys.readouterr().out
  )
  copy = tmp_path / 'copy'
  shutil.copytree(run, copy)
  assert cli.main(['compare', str(run), str(copy), '--metric=top1@restricted']) == 0


# Ten classes of ImageNet; in the order of their names they are others than by wnid.
WNIDS = [imagenet.label_space().class_ids[i] for i in (0, 217, 482, 491, 497)]
WNIDS += [imagenet.label_space().class_ids[i] for i in (566, 569, 571, 574, 701)]
NAMES = sorted(
  imagenet.label_space().class_names[imagenet.label_space().index_of_id[one]]
  for one in WNIDS
)


@pytest.mark.parametrize('names', [WNIDS, NAMES], ids=['wnids', 'names'])
def test_a_model_of_the_ten_classes_of_imagenet_in_a_folder(
  ten, tmp_path, capsys, names
):
  """Its outputs are the folders in their order, as it was trained."""
  root, model = ten
  top1, top5, images = _counts(model, root / 'val', NUMBERS)
  for number, name in zip(NUMBERS, names, strict=True):
    shutil.copytree(root / 'val' / number, tmp_path / 'val' / name)
  flags = f'--dataset=folder:{tmp_path}/val', f'--output_dir={tmp_path}/runs'
  _evaluate(root, *flags, '--json')
  (result,) = json.loads(capsys.readouterr().out)
  found = {
    (m['name'], m['rule']): (m['correct'], m['count']) for m in result['metrics']
  }
  assert found == {('top1', 'all'): (top1, images), ('top5', 'all'): (top5, images)}
  matched = result['model']['matched']
  assert matched['by'] == 'order' and len(matched['unsaid']) == 990
  assert ('order' in matched) == (names == NAMES)
  (run,) = (tmp_path / 'runs').iterdir()
  assert cli.main(['verify', str(run)]) == 0
  capsys.readouterr()
  assert cli.main(['score', str(run)]) == 0
  table = ' '.join(capsys.readouterr().out.split())
  assert 'outputs are taken for the 10 classes by order' in table
  # And a `tf.data.Dataset` with the names of its classes.
  paths = sorted((tmp_path / 'val').glob('*/*.jpg'))
  labels = np.array([names.index(path.parent.name) for path in paths])
  pixels = np.stack([_load(path) for path in paths])
  own = tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(16)
  own.class_names = names
  ran = tfeval.evaluate(model, own, preflight='off')
  assert ran.metrics[0].correct == top1


def test_ten_classes_of_imagenet_in_another_order_are_found(tmp_path):
  """Folders by wnid, and a model whose outputs go by readable name."""
  space = imagenet.label_space()
  by_name = {space.class_names[space.index_of_id[one]]: one for one in WNIDS}
  _draw(WNIDS, tmp_path / 'val', 12, seed=12)
  order = [by_name[name] for name in NAMES]
  model = _trained(tmp_path / 'val', order, 10)
  given = {'dataset': f'folder:{tmp_path}/val', 'preprocess': 'tf', 'batch_size': 16}
  class_map = tmp_path / 'map.txt'
  class_map.write_text('\n'.join(WNIDS))
  for wrong in ({}, {'class_map': str(class_map)}):
    with pytest.raises(UserError, match='outputs of .* are in the order name: '):
      tfeval.evaluate(model, **given, **wrong)
  class_map.write_text('\n'.join(NAMES))
  run = tfeval.evaluate(model, **given, class_map=str(class_map))
  assert run.metrics[0].correct == _counts(model, tmp_path / 'val', order)[0]


def test_orders_that_agree_on_some_classes_are_found(tmp_path):
  """0, 1, 10, 100, 2 as text and by value: two of five are the same."""
  texts = ['0', '1', '10', '100', '2']
  _draw(texts, tmp_path / 'val', 20, seed=11)
  numbers = sorted(texts, key=int)
  model = _trained(tmp_path / 'val', numbers, 5)
  with pytest.raises(UserError, match='order number: .* in the expected one'):
    tfeval.evaluate(model, f'folder:{tmp_path}/val', preprocess='tf', batch_size=16)
  shifted = _trained(tmp_path / 'val', ['', *texts], 6)
  kernel, bias = shifted.layers[-1].get_weights()
  model.layers[-1].set_weights([kernel[:, :5], bias[:5]])
  with pytest.raises(UserError, match='order one_too_high: ') as caught:
    tfeval.evaluate(model, f'folder:{tmp_path}/val', preprocess='tf', batch_size=16)
  assert '1001' not in str(caught.value)


@pytest.mark.parametrize('activation', ['sigmoid', None])
def test_a_single_output_is_two_classes(tmp_path, activation):
  _draw(['cat', 'dog'], tmp_path / 'val', 20, seed=6)
  model = keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1, activation),
    ]
  )
  paths = sorted((tmp_path / 'val').glob('*/*.jpg'))
  images = np.stack([_load(path) for path in paths])
  labels = np.array([path.parent.name == 'dog' for path in paths])
  loss = keras.losses.BinaryCrossentropy(from_logits=activation is None)
  model.compile(keras.optimizers.Adam(0.05), loss)
  model.fit(images, labels, batch_size=8, epochs=8, verbose=0)
  found = model.predict(images, verbose=0)[:, 0]
  expected = ((found > (0 if activation is None else 0.5)) == labels).sum()
  p = 1 / (1 + np.exp(-found)) if activation is None else found
  run = tfeval.evaluate(
    model, f'folder:{tmp_path}/val', preprocess='tf', batch_size=16, preflight='off'
  )
  (top1,) = run.metrics
  assert (top1.correct, top1.count) == (expected, len(labels))
  assert len(labels) / 2 < expected
  (nll,) = run.score(metrics=['nll'])
  assert nll.value == pytest.approx(
    -np.log(np.where(labels, p, 1 - p)).mean(), rel=1e-4
  )


@pytest.mark.parametrize('rank_on', ['host', 'device'])
def test_sigmoids_are_no_distribution(ten, tmp_path, rank_on):
  root, model = ten
  sigmoids = keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      *model.layers,
      keras.layers.Activation('sigmoid'),
    ]
  )
  top1, top5, images = _counts(model, root / 'val', NUMBERS)
  sigmoids.save(tmp_path / 'ten.keras')
  _evaluate(
    tmp_path,
    f'--dataset=folder:{root}/val',
    f'--output_dir={tmp_path}/runs',
    f'--rank_on={rank_on}',
    *(['--store_logits'] if rank_on == 'host' else []),
  )
  (path,) = (tmp_path / 'runs').iterdir()
  run = load_run(path)
  assert [m.correct for m in run.metrics] == [top1, top5]
  assert run.result.model.output == 'sigmoid'
  for metric in run.score(metrics=['nll', 'ece', 'brier']):
    assert metric.value is None
    assert metric.unavailable.startswith(('needs', 'outputs are a probability of each'))
  assert cli.main(['verify', str(path)]) == 0


def test_a_softmax_of_one_value_is_refused(tmp_path):
  _draw(['cat', 'dog'], tmp_path / 'val', 1, seed=7)
  model = keras.Sequential(
    [
      keras.Input((SIDE, SIDE, 3)),
      keras.layers.GlobalAveragePooling2D(),
      keras.layers.Dense(1, 'softmax'),
    ]
  )
  with pytest.raises(UserError, match='a softmax of it is always 1'):
    tfeval.evaluate(model, f'folder:{tmp_path}/val', preprocess='tf')


def test_classes_that_the_model_cannot_say(ten, tmp_path, capsys):
  """Its images are counted, never hit, and named; absent classes of a part are too."""
  root, model = ten
  folder = tmp_path / 'more'
  shutil.copytree(root / 'val', folder)
  _draw(['99'], folder / 'new', 4, seed=8)
  (folder / 'new/99').rename(folder / '99')
  (folder / 'new').rmdir()
  class_map = tmp_path / 'map.txt'
  class_map.write_text('\n'.join(NUMBERS))
  top1, top5, images = _counts(model, root / 'val', NUMBERS)
  flags = f'--dataset=folder:{folder}', f'--class_map={class_map}', '--store_logits'
  _evaluate(root, *flags, f'--output_dir={tmp_path}/runs', '--json')
  (result,) = json.loads(capsys.readouterr().out)
  found = {m['key' if 'key' in m else 'name']: m for m in result['metrics']}
  assert (found['top1']['correct'], found['top1']['count']) == (top1, images + 4)
  assert (found['top5']['correct'], found['top5']['count']) == (top5, images + 4)
  assert result['dataset']['class_notes'] == [
    '4 images are of 1 classes that the model cannot say: 99'
  ]
  (run,) = (tmp_path / 'runs').iterdir()
  assert cli.main(['verify', str(run)]) == 0
  (brier,) = load_run(run).score(metrics=['brier'])
  assert (
    brier.unavailable == 'the label of 4 images is a class that the model cannot say'
  )
  (nll,) = load_run(run).score(metrics=['nll'])
  assert nll.unavailable.startswith('infinite: 4 images give their label')
  capsys.readouterr()
  _evaluate(root, *flags, f'--output_dir={tmp_path}/part', '--limit=14', '--json')
  (result,) = json.loads(capsys.readouterr().out)
  assert result['dataset']['class_notes'] == ['9 of 11 classes have no image in it']


@pytest.mark.parametrize('kind', ['npy', 'csv', 'best'])
def test_predictions_of_other_classes_are_imported(ten, tmp_path, capsys, kind):
  root, model = ten
  paths = sorted((root / 'val').glob('*/*.jpg'))
  scores = model.predict(np.stack([_load(path) for path in paths]), verbose=0)
  ranked = np.argsort(-scores, axis=1, kind='stable')
  names = [path.name for path in paths]
  top1, top5, images = _counts(model, root / 'val', NUMBERS)
  (tmp_path / 'classes.txt').write_text('\n'.join(NUMBERS))
  rows = [f'{path.name},{path.parent.name}' for path in paths]
  (tmp_path / 'labels.csv').write_text('\n'.join(['id,label', *rows]))
  if kind == 'npy':
    np.save(tmp_path / 'p.npy', scores)
    (tmp_path / 'ids.txt').write_text('\n'.join(names))
    given = [f'--predictions={tmp_path}/p.npy', f'--order={tmp_path}/ids.txt']
  else:
    header = [
      'id',
      *(NUMBERS if kind == 'csv' else [f'class_{i}' for i in range(1, 7)]),
    ]
    table = scores if kind == 'csv' else ranked[:, :6]
    lines = [','.join([n, *map(str, r)]) for n, r in zip(names, table, strict=True)]
    (tmp_path / 'p.csv').write_text('\n'.join([','.join(header), *lines]))
    given = [f'--predictions={tmp_path}/p.csv']
  given += [f'--classes={tmp_path}/classes.txt', f'--labels={tmp_path}/labels.csv']
  out = f'--output_dir={tmp_path}/run'
  assert cli.main(['import', *given, out, '--json']) == 0
  (result,) = json.loads(capsys.readouterr().out)
  found = {
    m['name']: (m['labels'], m['correct'], m['count']) for m in result['metrics']
  }
  assert found == {
    'top1': ('original', top1, images),
    'top5': ('original', top5, images),
  }
  assert cli.main(['verify', f'{tmp_path}/run']) == 0
  assert cli.main(['score', f'{tmp_path}/run', f'--labels={tmp_path}/labels.csv']) == 0


def test_labels_of_other_classes_that_are_numbered_otherwise_are_told(tmp_path, capsys):
  """Also where they are the labels that an import keeps."""
  truth = np.random.default_rng(0).integers(0, 10, 60)
  (tmp_path / 'classes.txt').write_text('\n'.join(NUMBERS))
  for name, header, values in (
    ('labels', 'label', 9 - truth),
    ('p', 'class_1', truth),
  ):
    lines = [f'{i}.jpg,{value}' for i, value in enumerate(values)]
    (tmp_path / f'{name}.csv').write_text('\n'.join([f'id,{header}', *lines]))
  code = cli.main(
    [
      'import',
      f'--predictions={tmp_path}/p.csv',
      f'--classes={tmp_path}/classes.txt',
      f'--labels={tmp_path}/labels.csv',
      f'--output_dir={tmp_path}/run',
    ]
  )
  assert code == 0
  told = capsys.readouterr().err
  assert 'seem to be numbers from the last class on: 0 of 60' in told
  assert '60 if they are numbers from the last class on' in told


def test_what_is_wrong_with_imports_of_other_classes(tmp_path, capsys):
  np.save(tmp_path / 'p.npy', np.zeros((2, 3), np.float32))
  (tmp_path / 'classes.txt').write_text('a\nb')
  (tmp_path / 'labels.csv').write_text('id,label\nx,a\ny,b')
  (tmp_path / 'ids.txt').write_text('x\ny')
  given = [f'--predictions={tmp_path}/p.npy', f'--order={tmp_path}/ids.txt']
  given += [f'--output_dir={tmp_path}/run', f'--labels={tmp_path}/labels.csv']
  for more, words in (
    ([], 'expected a class'),
    ([f'--classes={tmp_path}/none'], 'cannot read class map'),
    ([f'--classes={tmp_path}/classes.txt'], 'expected all outputs, [n, 2]'),
  ):
    assert cli.main(['import', *given, *more]) == 2
    told = capsys.readouterr().err
    assert words in told and told.count('\n') == 1, told
  assert not (tmp_path / 'run').exists()


def _tar(paths: list[pathlib.Path], out: pathlib.Path) -> str:
  with tarfile.open(out / 'val-000.tar', 'w') as tar:
    for path in paths:
      tar.add(path, path.name)
      label = str(NUMBERS.index(path.parent.name)).encode()
      member = tarfile.TarInfo(f'{path.stem}.cls')
      member.size = len(label)
      tar.addfile(member, io.BytesIO(label))
  return f'webdataset:{out}/val-{{000..000}}.tar:classes={out}/classes.txt'


def _parquet(paths: list[pathlib.Path], out: pathlib.Path) -> str:
  images = [{'bytes': path.read_bytes(), 'path': path.name} for path in paths]
  labels = [NUMBERS.index(path.parent.name) for path in paths]
  label = {'names': NUMBERS, '_type': 'ClassLabel'}
  features = {'image': {'_type': 'Image'}, 'label': label}
  told = {b'huggingface': json.dumps({'info': {'features': features}}).encode()}
  table = pa.table({'image': images, 'label': labels}).replace_schema_metadata(told)
  pq.write_table(table, out / 'val.parquet')
  return f'parquet:{out}/val.parquet'


def _npz(paths: list[pathlib.Path], out: pathlib.Path) -> str:
  images = np.stack([cv2.imread(str(path))[..., ::-1] for path in paths])
  labels = np.array([NUMBERS.index(path.parent.name) for path in paths])
  np.savez(out / 'val.npz', x=images, y=labels)
  return f'npz:{out}/val.npz:classes={out}/classes.txt'


def _tfds(paths: list[pathlib.Path], out: pathlib.Path) -> str:
  photos = [(path.name, path.read_bytes()) for path in paths]
  labels = [path.parent.name for path in paths]
  container_writers.write_tfds(out / 'tfds', 'photos_of_ten', photos, labels, NUMBERS)
  return 'photos_of_ten'


@pytest.mark.parametrize('container', [_tar, _parquet, _npz, _tfds])
def test_ten_classes_of_a_container(ten, tmp_path, capsys, container):
  root, model = ten
  paths = sorted((root / 'val').glob('*/*.jpg'))
  (tmp_path / 'classes.txt').write_text('\n'.join(NUMBERS))
  flags = f'--dataset={container(paths, tmp_path)}', f'--data_dir={tmp_path}/tfds'
  _evaluate(root, *flags, f'--output_dir={tmp_path}/runs', '--json')
  (result,) = json.loads(capsys.readouterr().out)
  top1, top5, images = _counts(model, root / 'val', NUMBERS)
  found = [(m['correct'], m['count'], m['rule']) for m in result['metrics']]
  assert found == [(top1, images, 'all'), (top5, images, 'all')]
  assert result['dataset']['classes']['ids'] == NUMBERS


def test_ten_classes_of_a_tf_data_dataset(ten):
  root, model = ten
  paths = sorted((root / 'val').glob('*/*.jpg'))
  images = np.stack([_load(path) for path in paths])
  labels = np.array([NUMBERS.index(path.parent.name) for path in paths])
  dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(9)
  run = tfeval.evaluate(model, dataset, classes=NUMBERS, preflight='off', batch_size=16)
  assert [m.correct for m in run.metrics] == [
    *_counts(model, root / 'val', NUMBERS)[:2]
  ]


def test_a_folder_of_runs_is_scored_and_verified(ten, tmp_path, capsys):
  root, model = ten
  for name in 'ab':
    out = f'--output_dir={tmp_path}/{name}'
    _evaluate(root, f'--dataset=folder:{root}/val', out)
    shutil.move(next((tmp_path / name).iterdir()), tmp_path / f'runs_{name}')
  (tmp_path / 'runs').mkdir()
  for name in 'ab':
    shutil.move(tmp_path / f'runs_{name}', tmp_path / 'runs' / name)
  capsys.readouterr()
  assert cli.main(['score', f'{tmp_path}/runs', '--json']) == 0
  results = json.loads(capsys.readouterr().out)
  top1, *_ = _counts(model, root / 'val', NUMBERS)
  assert [result['metrics'][0]['correct'] for result in results] == [top1, top1]
  assert cli.main(['verify', f'{tmp_path}/runs']) == 0
  assert f'{tmp_path}/runs/a' in capsys.readouterr().out
