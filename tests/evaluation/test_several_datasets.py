"""Several datasets in one command, and what runs are called."""

import json

import numpy as np
import pytest
from evaluations import make_inputs

from tfeval import datasets
from tfeval.datasets.options import DatasetConfig
from tfeval.engine import views
from tfeval.evaluation import plans, resolve
from tfeval.evaluation.config import EvaluationConfig
from tfeval.runs.run import load_run
from tfeval.runs.run_key import RunKey, directory_names
from tfeval.utils.errors import UserError

IMAGES = 12


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  directory = tmp_path_factory.mktemp('inputs')
  found = [*make_inputs(directory, IMAGES), '--batch_size=4', '--preflight=off']
  found.remove('--name=small.keras')
  return found


def _folder(inputs):
  (found,) = (text for text in inputs if text.startswith('--dataset='))
  return found.removeprefix('--dataset=')


def _rows(run):
  table = run.to_arrow(['id', 'label', 'classes'])
  return sorted(table.to_pylist(), key=lambda row: row['id'])


def test_a_model_is_loaded_once_for_all_datasets(inputs, tmp_path, tfeval, monkeypatch):
  loaded, load = [], resolve.load_model
  traced, average = [], views.averaged

  def counted(request, config):
    loaded.append(request)
    return load(request, config)

  def counted_trace(*given):
    traced.append(given)
    return average(*given)

  monkeypatch.setattr(resolve, 'load_model', counted)
  monkeypatch.setattr(views, 'averaged', counted_trace)
  folder, rest = _folder(inputs), inputs[:]
  rest.remove(f'--dataset={folder}')
  together = tmp_path / 'together'
  code, out, err = tfeval(
    *rest,
    f'--dataset={folder}',
    f'--dataset={folder}:limit=5',
    f'--dataset={folder}:sample=4',
    f'--output_dir={together}',
    '--json',
  )
  assert code == 0 and len(loaded) == len(traced) == 1
  name, tail = f'small.keras+{folder.rpartition("/")[2]}', '+slim_rounding=nearest'
  names = [f'{name}{part}{tail}' for part in ('', '+limit=5', '+sample=4')]
  assert sorted(path.name for path in together.iterdir()) == sorted(names)
  assert [one['dataset']['evaluated'] for one in json.loads(out)] == [IMAGES, 5, 4]
  # The last line says what is where.
  assert err.splitlines()[-1] == (
    f'tfeval: 3 results and their predictions are in {together}: {", ".join(names)}'
  )
  # As if each had been evaluated alone.
  for extra, name in zip((':limit=5', ':sample=4'), names[1:], strict=True):
    alone = tmp_path / f'alone{extra[1:6]}'
    assert tfeval(*rest, f'--dataset={folder}{extra}', f'--output_dir={alone}')[0] == 0
    assert _rows(load_run(alone / name)) == _rows(load_run(together / name))
  # What is there is not evaluated again; its flagfile repeats one.
  loaded.clear()
  flags = together / names[1] / 'flags.txt'
  again = tfeval('evaluate', f'--flagfile={flags}', f'--output_dir={together}')
  assert again[0] == 0 and 'is complete' in again[2]


def test_a_dataset_that_fails_stops_no_other(inputs, tmp_path, tfeval):
  folder, rest = _folder(inputs), inputs[:]
  rest.remove(f'--dataset={folder}')
  (tmp_path / 'few').mkdir()
  np.savez(
    tmp_path / 'few' / 'ten.npz',
    images=np.zeros((4, 40, 40, 3), np.uint8),
    labels=np.arange(4),
  )
  (tmp_path / 'few' / 'names.txt').write_text('\n'.join('abcd'))
  ten = f'npz:{tmp_path}/few/ten.npz:classes={tmp_path}/few/names.txt'
  code, out, err = tfeval(
    *rest,
    f'--dataset={ten}',
    f'--dataset={folder}',
    f'--output_dir={tmp_path}/out',
    '--json',
  )
  assert code == 2 and '1 of 2 models failed' in err.splitlines()[-1]
  failed, complete = json.loads(out)
  assert '(None, 1000), expected (None, 4)' in failed['error']
  assert 'ten.npz' in failed['model']['name']
  assert complete['dataset']['evaluated'] == IMAGES


def test_a_collision_names_both_and_offers_a_name(inputs, tmp_path, tfeval):
  out = f'--output_dir={tmp_path}/out'
  assert tfeval(*inputs, out)[0] == 0
  code, _, err = tfeval(*inputs, out, '--real_labels=', '--preprocess=caffe')
  code, _, err = tfeval(*inputs, out, '--preprocess=caffe')
  last = err.splitlines()[-1]
  assert code == 2 and 'small.keras on folder:' in last
  assert "model.preprocess is 'identity' there and 'caffe' here" in last
  assert last.endswith(
    'give this one a --name, choose another --output_dir, or --overwrite it'
  )
  code, stdout, _ = tfeval(*inputs, out, '--preprocess=caffe', '--name=caffe', '--json')
  assert code == 0 and json.loads(stdout)[0]['model']['name'] == 'caffe'
  assert load_run(tmp_path / 'out' / 'caffe').key.model_name == 'caffe'
  assert '--name=caffe' in (tmp_path / 'out/caffe/flags.txt').read_text().split()


def _named(models, configs, names=()):
  return [
    [request.directory for request in plan.requests]
    for plan in plans.make_plans(models, configs, names)
  ]


def test_names_say_what_is_not_the_default(tmp_path, monkeypatch):
  for name in ('exp1', 'exp2'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'best.keras').touch()
  monkeypatch.chdir(tmp_path)
  models = plans.requests(
    ['exp1/best.keras', 'exp2/best.keras', 'ResNet50'], ['imagenet']
  )
  plain, changed = (
    EvaluationConfig(),
    EvaluationConfig.of(
      dataset='imagenet_v2/topimages:3.0.0',
      split='test',
      limit=10,
      protocol='pillow:field=1',
      input_size=160,
      dtype='mixed_bfloat16',
      jit=True,
    ),
  )
  tail = (
    '+imagenet_v2_topimages_3.0.0+split=test+limit=10+pillow_field=1+size=160'
    '+mixed_bfloat16+jit'
  )
  stems = ['exp1_best.keras', 'exp2_best.keras', 'ResNet50']
  assert _named(models, [plain, changed]) == [stems, [stem + tail for stem in stems]]
  assert _named(models[:1], [plain]) == [['best.keras']]
  assert _named(models[:1], [plain], ['mine']) == [['mine']]
  assert _named(models[:1], [plain, changed], ['a', 'b']) == [['a'], ['b']]
  assert _named(models[:2], [plain, EvaluationConfig.of(limit=3)], ['a', 'b']) == [
    ['a', 'b'],
    ['a+limit=3', 'b+limit=3'],
  ]
  with pytest.raises(UserError, match='two runs would be called ResNet50: give each'):
    _named(models[2:], [plain, EvaluationConfig.of(preflight='warn')])
  with pytest.raises(UserError, match='2 `name` for 3 models on 1 datasets'):
    _named(models, [plain], ['a', 'b'])


@pytest.mark.parametrize(
  'names, found',
  [
    (['/a/x', '/b/x', '/b/y'], ['a_x', 'b_x', 'y']),
    (['/a/x/m', '/b/x/m'], ['a_x_m', 'b_x_m']),
    (['/x', '/a/x'], ['x', 'a_x']),
    (['gs://one/m', 'gs://two/m'], ['one_m', 'two_m']),
    (['x', '/a/x'], ['x', 'a_x']),
  ],
)
def test_the_shortest_names_that_tell_apart(names, found):
  assert directory_names([RunKey(name) for name in names]) == found


def test_options_behind_the_name_of_a_dataset(tmp_path):
  def requested(name, **more):
    return datasets.requested(DatasetConfig(name, **more))

  one = requested('imagenet_v2/topimages:3.0.0:split=test[:10%],limit=7', limit=3)
  assert (one.name, one.split, one.limit) == (
    'imagenet_v2/topimages:3.0.0',
    'test[:10%]',
    7,
  )
  # Containers have options of their own, and folders may be called anything.
  one = requested('parquet:val.parquet:label=fine,sample=0.5')
  assert (one.name, one.sample) == ('parquet:val.parquet:label=fine', '0.5')
  (tmp_path / 'odd:a=b').mkdir()
  assert requested(f'folder:{tmp_path}/odd:a=b').name == f'folder:{tmp_path}/odd:a=b'
  for name, words in {
    'imagenet_v2:splits=test': "unknown option of imagenet_v2 'splits'",
    'folder:val:lables=x.csv': "'lables': did you mean labels",
    'imagenet_v2:limit=many': '`limit=many`, expected a whole number',
    'imagenet_v2:limit=0': 'limit is 0, expected a positive integer',
    'imagenet_v2:on_error=stop': "on_error 'stop'",
    'folder:val:limit=1,limit=2': "'limit' is given twice",
  }.items():
    with pytest.raises(UserError, match=words.replace('[', r'\[')):
      requested(name)
