"""What README.md shows of training code runs, and counts what the command counts."""

import json
import pathlib
import re
import shlex
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

README = pathlib.Path(__file__).resolve().parents[1] / 'README.md'
# MobileNet(alpha=0.25) on the stand-in photos, counted without tfeval by
# tests/benchmarks/independent_count.py: top-1, top-5, ReaL top-1, ReaL top-5.
COUNTS = [[33, 60], [50, 60], [30, 55], [44, 55]]


def blocks(title):
  """Returns the indented blocks of a section, in order."""
  section = re.search(
    rf'^## {title}\n(.*?)^## ', README.read_text(), re.DOTALL | re.MULTILINE
  ).group(1)
  found = re.findall(r'(?:^(?: {4}.*)?\n)+', section, re.MULTILINE)
  return [textwrap.dedent(one).strip() for one in found if one.strip()]


@pytest.fixture
def names(shared_data, standin_dir, tmp_path, monkeypatch):
  """What the snippets take for granted."""
  monkeypatch.chdir(tmp_path)
  import tfeval

  tfeval.build_dataset(manual_dir=standin_dir, data_dir=tmp_path / 'tfds')
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  # So small a rate that counts stay what they are.
  model.compile(
    keras.optimizers.SGD(1e-30),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
  for layer in model.layers:
    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
  return {
    'model': model,
    'MY_TFDS_DIR': tmp_path / 'tfds',
    'preprocess_input': keras.applications.mobilenet.preprocess_input,
    'training': tf.data.Dataset.from_tensors(
      (np.zeros((2, 224, 224, 3), np.float32), np.zeros(2))
    ),
  }


def test_snippets_of_training_code(names, tfeval, tmp_path):
  model = names['model']
  for code in blocks('In your training code'):
    if not code.startswith('tfeval '):
      exec(compile(code, 'README.md', 'exec'), names)  # Ours: it is our README.
  assert [[m['correct'], m['count']] for m in names['run'].metrics] == COUNTS
  evaluate = names['evaluate']
  assert list(evaluate.history[-1]['counts'].values()) == COUNTS
  assert evaluate.best.metrics[0]['correct'] == COUNTS[0][0]
  assert (tmp_path / 'best.keras').is_file()
  assert any((tmp_path / 'tensorboard').iterdir())
  assert [names['top1'].correct, names['top1'].count] == COUNTS[0]
  assert [names['real'].correct, names['real'].count] == COUNTS[2]
  assert {metric.name for metric in model._compile_metrics._user_weighted_metrics} == {
    'real_top1',
    'real_top5',
  }


def test_command_of_training_code(names, tfeval, tmp_path, monkeypatch):
  (tmp_path / 'my_models.py').write_text(
    'import keras\n'
    'def build():\n'
    '  return {"model": keras.applications.MobileNet(alpha=0.25, weights=None,\n'
    '                                                classifier_activation=None),\n'
    '          "preprocess": "tf", "output": "logits"}\n'
  )
  monkeypatch.syspath_prepend(str(tmp_path))
  (tmp_path / 'training').mkdir()
  names['model'].save_weights(tmp_path / 'training/90.weights.h5')
  (command,) = [
    shlex.split(code.replace('MY_TFDS_DIR', str(names['MY_TFDS_DIR'])))
    for code in blocks('In your training code')
    if code.startswith('tfeval ')
  ]
  code, out, err = tfeval(*command[1:], '--json', f'--output_dir={tmp_path}/runs')
  assert code == 0, err
  assert list(json.loads(out)['counts'].values()) == COUNTS
