"""Code that was edited is another evaluation: rows are never mixed or shown again."""

import importlib
import sys

import in_memory
import keras
import numpy as np
import pytest
import tensorflow as tf
from cells import cell
from in_memory import classes, evaluate, noise_pixels

import tfeval
from tfeval import cli
from tfeval.utils.errors import UserError

QUICK = 'slim:rounding=nearest'  # To be traced.
CELL = """
def preprocess(x):
  return x / SCALE - 0.25
"""
FILE = """
import keras
class Own(keras.layers.Layer):
  def call(self, x): return keras.ops.abs(x)
def build():
  inputs = keras.Input((32, 32, 3))
  x = keras.layers.Conv2D(4, 3, strides=2)(inputs)
  x = keras.layers.GlobalAveragePooling2D()(Own()(x))
  model = keras.Model(inputs, keras.layers.Dense(1000)(x), name='own')
  return {'model': model, 'preprocess': preprocess, 'output': 'logits'}
def preprocess(x): return x / 255
"""
EDITED = {
  'preprocess': ('x / 255', 'x / 128 - 1'),
  'layer': ('ops.abs', 'ops.tanh'),
  'lambda': ('Dense(1000)', 'Dense(1000, activation=lambda x: -x)'),
}


def interrupted(run):
  """Leaves all rows of a run, but does not let it be complete."""
  (run.path / 'result.json').unlink()


@pytest.fixture
def model():
  return in_memory.small()


def test_an_edited_cell_does_not_resume(noise, model, tmp_path):
  first = cell(CELL, SCALE=255.0)
  interrupted(
    evaluate(model, noise, preprocess=first, protocol=QUICK, output_dir=tmp_path)
  )
  for edited in (cell(CELL, SCALE=64.0), cell(CELL.replace('-', '+'), SCALE=255.0)):
    with pytest.raises(UserError, match='preprocessing did something else'):
      evaluate(model, noise, preprocess=edited, protocol=QUICK, output_dir=tmp_path)
  # The same cell, run once more, does: in another process it is another object.
  again = evaluate(
    model, noise, preprocess=cell(CELL, SCALE=255.0), output_dir=tmp_path
  )
  assert again.result['dataset']['evaluated'] == 10


def test_a_variable_that_a_function_uses_is_looked_at_again(noise, model):
  names = {'__name__': '__main__', 'SCALE': 255.0}
  exec(CELL, names)
  evaluator = tfeval.Evaluator(
    model,
    f'folder:{noise}',
    preprocess=names['preprocess'],
    preflight='off',
    batch_size=4,
  )
  pixels = noise_pixels(noise)
  for scale in (255.0, -16.0):
    names['SCALE'] = scale
    scores = model.predict(pixels / scale - 0.25, verbose=0)
    expected = np.argsort(-scores, axis=1, kind='stable')[:, :20]
    assert classes(evaluator.evaluate()) == expected.tolist()


class Scaled(keras.Model):
  """Computes with a number that no configuration tells of."""

  def __init__(self, inner):
    super().__init__(name='scaled')
    self.inner, self.scale = inner, 1.0

  def call(self, x):
    return self.scale * self.inner(x)


def test_an_attribute_that_a_model_uses_is_looked_at_again(noise, model):
  scaled, traced = Scaled(model), []
  scaled(np.zeros((1, 32, 32, 3), np.float32))
  evaluator = tfeval.Evaluator(
    scaled,
    f'folder:{noise}',
    preprocess=lambda x: traced.append(1) or x / 127.5 - 1,
    input_size=32,
    output='logits',
    preflight='off',
    batch_size=4,
  )
  scores = model.predict(noise_pixels(noise) / 127.5 - 1, verbose=0)
  counted = []
  for scale in (1.0, 1.0, -1.0):
    scaled.scale = scale
    expected = np.argsort(-scale * scores, axis=1, kind='stable')[:, :20]
    assert classes(evaluator.evaluate()) == expected.tolist()
    counted.append(len(traced))
  assert counted[0] == counted[1] < counted[2]


def test_a_function_that_counts_its_calls_is_traced_once(noise, model):
  calls = []

  def preprocess(x):
    calls.append(1)
    return x / 255

  evaluator = tfeval.Evaluator(
    model,
    f'folder:{noise}',
    preprocess=preprocess,
    protocol=QUICK,
    preflight='off',
    batch_size=4,
  )
  evaluator.evaluate()
  once = len(calls)
  evaluator.evaluate()
  evaluator.evaluate()
  assert len(calls) == once


def test_random_preprocessing_is_told_and_not_resumed(noise, model, tmp_path, caplog):
  def evaluated():
    return evaluate(
      model,
      noise,
      preprocess=lambda x: tf.image.random_flip_left_right(x) / 255,
      protocol=QUICK,
      output_dir=tmp_path,
    )

  interrupted(evaluated())
  assert 'may do something else each time (RandomUniform)' in caplog.text
  caplog.clear()
  with caplog.at_level('INFO'):
    run = evaluated()
  assert 'no part there can be relied on' in caplog.text
  assert run.result['model']['preprocess_changes'] == ['RandomUniform']
  with pytest.raises(UserError, match='complete run'):
    evaluated()


@pytest.mark.parametrize('what', EDITED)
def test_an_edited_file_does_not_show_the_run_of_before(
  noise, tmp_path, monkeypatch, capsys, what
):
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setattr(sys, 'dont_write_bytecode', True)

  def write(source):
    (tmp_path / 'edited_code.py').write_text(source)
    sys.modules.pop('edited_code', None)
    importlib.invalidate_caches()

  def main(*more):
    return cli.main(
      [
        'evaluate',
        '--model=edited_code:build',
        f'--weights={tmp_path}/own.weights.h5',
        f'--dataset=folder:{noise}',
        '--batch_size=4',
        '--preflight=off',
        f'--protocol={QUICK}',
        f'--output_dir={tmp_path}/runs',
        *more,
      ]
    )

  write(FILE)
  import edited_code

  edited_code.build()['model'].save_weights(tmp_path / 'own.weights.h5')
  assert main() == 0
  (path,) = (tmp_path / 'runs').iterdir()
  before = classes(tfeval.load_run(path))
  write('# Nothing else.\n' + FILE)
  keras.layers.Dense(1)  # Names count on.
  assert main() == 0
  assert 'is complete: shown as it is' in capsys.readouterr().err
  write(FILE.replace(*EDITED[what]))
  assert main() == 2
  assert ' something else when it was made' in ' '.join(capsys.readouterr().err.split())
  assert main('--overwrite') == 0
  assert classes(tfeval.load_run(path)) != before
  sys.modules.pop('edited_code', None)
