"""Images that cannot be decoded: named, or skipped, counted and shown."""

import contextlib
import json
import pathlib
import shutil

import pytest
import small_models

from tfeval import cli
from tfeval.datasets import open_dataset
from tfeval.evaluation import evaluate as evaluation
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import make_plans, requests
from tfeval.runs import run
from tfeval.utils.errors import UserError

MODEL = 'MobileNet:alpha=0.25'


@pytest.fixture(scope='module')
def small(tmp_path_factory):
  """Where no count is looked at, a model that takes no time."""
  path = tmp_path_factory.mktemp('model') / 'small.keras'
  small_models.build().save(path)
  return {'model': str(path), 'preprocess': 'tf'}


def evaluate(folder, output_dir, model=MODEL, **arguments):
  arguments = {
    'dataset': f'folder:{folder}',
    'protocol': 'slim:rounding=nearest',  # It is quick to be traced.
    **arguments,
  }
  config = EvaluationConfig.of(output_dir=str(output_dir), preflight='off', **arguments)
  (result,) = evaluation.evaluate(
    make_plans(requests([model], ['imagenet']), [config], ['run']),
    lambda name, total: contextlib.nullcontext(lambda *_: None),
  )
  return result


def damage(folder: pathlib.Path, out: pathlib.Path, positions) -> dict[str, str]:
  """Copies a folder with broken images at some positions; returns what they are."""
  shutil.copytree(folder, out)
  names = sorted(path.name for path in out.iterdir())
  kinds = [
    ('it is empty', lambda data: b''),
    ('a truncated or damaged JPEG', lambda data: data[: len(data) // 2]),
    ('it is GIF, neither JPEG nor PNG', lambda data: b'GIF89a' + data),
  ]
  broken = {}
  for i, position in enumerate(positions):
    reason, change = kinds[i % len(kinds)]
    path = out / names[position]
    path.write_bytes(change(path.read_bytes()))
    broken[path.name] = reason
  return broken


def counts(result):
  return [
    (m['labels'], m['name'], m['correct'], m['count'], m['skipped'])
    for m in result.metrics
  ]


# First, last, alone in a batch, whole batches: of twelve images in batches of four.
@pytest.mark.parametrize(
  'positions',
  [
    *[
      pytest.param(p, marks=pytest.mark.slow)
      for p in ([0], [11], [3, 4], [0, 1, 2, 3], [0, 5, 11], range(1, 12))
    ],
    [8, 9, 10, 11],
  ],
)
def test_skipped_images_change_no_count_of_the_others(photos, tmp_path, positions):
  broken = damage(photos, tmp_path / 'broken', positions)
  shutil.copytree(photos, tmp_path / 'whole')
  for name in broken:
    (tmp_path / 'whole' / name).unlink()
  whole = evaluate(tmp_path / 'whole', tmp_path / 'a', batch_size=4)
  skipped = evaluate(tmp_path / 'broken', tmp_path / 'b', batch_size=4, on_error='skip')
  assert counts(skipped) == counts(whole)
  dataset = skipped.result['dataset']
  assert dataset['evaluated'] == 12 - len(broken)
  assert dataset['expected'] == 12
  for key in ('label_digest', 'content_digest'):
    assert dataset[key] == whole.result['dataset'][key]
  assert [failure['id'] for failure in dataset['failed']] == sorted(broken)
  for failure in dataset['failed']:
    assert failure['reason'].startswith(broken[failure['id']])
  assert run.load_run(skipped.path).score() == skipped.metrics


def test_nothing_to_skip_is_as_without(photos, tmp_path):
  whole = evaluate(photos, tmp_path / 'a')
  skipped = evaluate(photos, tmp_path / 'b', on_error='skip')
  assert skipped.result['dataset']['failed'] == []
  assert skipped.metrics == whole.metrics


def test_a_run_that_stopped_goes_on_with_skip(photos, small, tmp_path):
  damage(photos, tmp_path / 'broken', [2])
  with pytest.raises(UserError, match='or give `on_error=skip`'):
    evaluate(tmp_path / 'broken', tmp_path / 'out', **small)
  skipped = evaluate(tmp_path / 'broken', tmp_path / 'out', **small, on_error='skip')
  assert skipped.result['dataset']['evaluated'] == 11


@pytest.mark.parametrize('how', ['missing', 'empty', 'cut', 'not records'])
def test_data_that_cannot_be_read_stop_both(standin_dir, small, tmp_path, how):
  """Skipping what can never be read would never end."""
  arguments = {
    'dataset': 'imagenet2012',
    'manual_dir': str(standin_dir),
    'data_dir': str(tmp_path / 'tfds'),
    'limit': None,
    **small,
  }
  open_dataset(
    'imagenet2012', manual_dir=str(standin_dir), data_dir=str(tmp_path / 'tfds')
  )
  (records,) = (tmp_path / 'tfds').rglob('*.tfrecord*')
  data = records.read_bytes()
  records.unlink()
  if how != 'missing':
    records.write_bytes(
      {'empty': b'', 'cut': data[: len(data) // 2], 'not records': b'x' * len(data)}[
        how
      ]
    )
  for on_error in ('fail', 'skip'):
    with pytest.raises(UserError, match='prepare the dataset again|changed'):
      evaluate(None, tmp_path / on_error, on_error=on_error, **arguments)
  assert not list(tmp_path.rglob('result.json'))


def test_a_run_that_skips_is_another_experiment(photos, small, tmp_path):
  damage(photos, tmp_path / 'broken', [2])
  evaluate(tmp_path / 'broken', tmp_path / 'out', **small, on_error='skip')
  with pytest.raises(UserError, match="dataset.on_error is 'skip' there"):
    evaluate(tmp_path / 'broken', tmp_path / 'out', **small)


def test_fail_names_the_first(photos, small, tmp_path):
  broken = damage(photos, tmp_path / 'broken', [7, 9])
  first = min(broken)
  with pytest.raises(
    UserError,
    match=f'example {first} is not a readable image: it '
    'is empty: replace it, or give `on_error=skip',
  ):
    evaluate(tmp_path / 'broken', tmp_path / 'out', **small)
  assert not list(tmp_path.rglob('result.json'))


def test_nothing_left_is_no_result(photos, small, tmp_path):
  damage(photos, tmp_path / 'broken', range(12))
  with pytest.raises(
    UserError,
    match='none of the 12 images can be evaluated; the '
    r'first, ILSVRC2012_val_00000001.JPEG: it is empty',
  ):
    evaluate(tmp_path / 'broken', tmp_path / 'out', **small, on_error='skip')
  assert not list(tmp_path.rglob('result.json'))


def test_the_number_stands_beside_the_accuracy(photos, tmp_path, capsys):
  broken = damage(photos, tmp_path / 'broken', [1, 6])
  arguments = [
    f'--dataset=folder:{tmp_path}/broken',
    f'--model={MODEL}',
    '--protocol=slim:rounding=nearest',
    '--preflight=off',
    f'--output_dir={tmp_path}/out',
    '--on_error=skip',
  ]
  assert cli.main(['evaluate', *arguments]) == 0
  shown = capsys.readouterr().out
  (directory,) = (tmp_path / 'out').iterdir()
  assert cli.main(['score', str(directory)]) == 0
  for text in (shown, capsys.readouterr().out):
    assert text.splitlines()[2].startswith(f'{MODEL} ')
    assert text.splitlines()[3].startswith('(2 failed)')
    # A path that is longer stands whole on a line of its own.
    assert all(len(x) <= 80 or len(x.split()) == 1 for x in text.splitlines())
    assert (
      'FAILED and not counted: 2 of 12 images: ' + ', '.join(sorted(broken))
    ) in ' '.join(text.split())
  assert cli.main(['score', str(directory), '--json']) == 0
  (result,) = json.loads(capsys.readouterr().out)
  assert len(result['dataset']['failed']) == 2
