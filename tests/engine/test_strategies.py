"""Which strategy is chosen, and what contradicts what."""

import json
import subprocess
import sys

import pytest
import tensorflow as tf

from tfeval.engine import strategies
from tfeval.utils.errors import UserError


@pytest.mark.parametrize('name', ['auto', 'multi_worker'])
def test_what_is_there_is_taken(name, monkeypatch):
  monkeypatch.delenv('TPU_NAME', raising=False)
  several = len(tf.config.list_physical_devices('GPU')) > 1
  assert strategies.choose(name) == ('mirrored' if several else 'default')
  assert strategies.choose(name, devices=1) == 'default'
  assert strategies.choose(name, devices=3) == 'mirrored'
  assert strategies.choose(name, tpu='mine') == 'tpu'
  monkeypatch.setenv('TPU_NAME', 'mine')
  assert strategies.choose(name) == 'tpu'


@pytest.mark.parametrize(
  'arguments, words',
  [
    (('mirored',), 'did you mean mirrored'),
    (('default', 2), '`devices=2` contradicts `strategy=default'),
    (('tpu', 2), '`devices=2` contradicts `strategy=tpu'),
    (('auto', 2, 'mine'), '`devices=2` contradicts `strategy=tpu'),
    (('mirrored', None, 'mine'), '`tpu=mine` contradicts `strategy=mirrored'),
  ],
)
def test_contradictions(arguments, words):
  with pytest.raises(UserError, match=words):
    strategies.choose(*arguments)


def test_a_tpu_that_is_not_there():
  with pytest.raises(UserError, match="TPU 'local' cannot be used: ") as caught:
    strategies.make_strategy('tpu')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'gpus, known',
  [
    ([], False),
    ([{}], False),
    ([{'compute_capability': (7, 5)}], False),
    ([{'compute_capability': (7, 5)}, {'compute_capability': (8, 0)}], True),
  ],
)
def test_tf32_is_of_gpus_that_have_it(monkeypatch, gpus, known):
  config = tf.config.experimental
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: gpus)
  monkeypatch.setattr(config, 'get_device_details', lambda gpu: gpu)
  strategies.allow_tf32(False)
  assert not config.tensor_float_32_execution_enabled()
  if not known:
    with pytest.raises(UserError, match='`tf32`: .* there is none here: leave it out'):
      strategies.allow_tf32(True)
    return
  try:
    strategies.allow_tf32(True)
    assert config.tensor_float_32_execution_enabled()
  finally:
    config.enable_tensor_float_32_execution(False)


@pytest.mark.slow
def test_a_tpu_that_does_not_answer():
  code = (
    'from tfeval.engine import strategies\nstrategies.TPU_SECONDS = 3\n'
    'try:\n  strategies.make_strategy("tpu", tpu="grpc://127.0.0.1:9")\n'
    'except ValueError as error:\n  print(error)'
  )
  # A process of its own: TensorFlow goes on trying.
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    timeout=120,
    check=True,
  )
  assert done.stdout.startswith(
    "TPU 'grpc://127.0.0.1:9' cannot be used: no answer within 3 s"
  )


@pytest.mark.slow
def test_counts_do_not_depend_on_where_they_were_made(standin_dir, tmp_path):
  """Replicas, hosts and batch sizes; tests/benchmarks/matrix.py prints all of them."""
  import matrix

  flags = [
    '--model=MobileNet:alpha=0.25',
    f'--manual_dir={standin_dir}',
    f'--data_dir={tmp_path / "tfds"}',
    '--limit=40',
  ]
  runs = [
    matrix.evaluate(flags, tmp_path / str(i), *where)
    for i, where in enumerate([(1, 1, 64), (1, 3, 7), (2, 1, 7), (3, 2, 7), (8, 1, 32)])
  ]
  first = runs[0]
  for run in runs[1:]:
    assert matrix.counts(run) == matrix.counts(first)
    assert (
      matrix.largest_swap(matrix.ranking(first), matrix.ranking(run)) < matrix.TOLERANCE
    )
  assert [run.result['compute']['batch_size'] for run in runs] == [64, 7, 8, 9, 32]
  assert (
    json.loads((runs[1].path / 'manifest.json').read_text())['compute']['hosts'] == 3
  )
