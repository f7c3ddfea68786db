"""The examples of the guide `python` run, those with a model by their signatures."""

import ast
import inspect

import documents
import numpy as np
import pytest

import tfeval

(GUIDE,) = (path for path in documents.GUIDES if path.stem == 'python')
BLOCKS = documents.python(GUIDE)


def needs_model(code):
  return 'folder:VAL' in code


def test_examples_run(tmp_path, monkeypatch):
  pytest.importorskip('pandas')
  pytest.importorskip('jsonschema')
  monkeypatch.chdir(tmp_path)
  rng = np.random.default_rng(0)
  labels = np.arange(60) % 6
  ids = [f'{i:02d}.jpg' for i in range(60)]
  rows = (f'{name},{label}' for name, label in zip(ids, labels, strict=True))
  (tmp_path / 'labels.csv').write_text('\n'.join(['id,label', *rows]))
  (tmp_path / 'classes.txt').write_text('\n'.join('abcdef'))
  (tmp_path / 'ids.txt').write_text('\n'.join(ids))
  for seed in (1, 2, 3):
    outputs = 2 * np.eye(6)[labels] + rng.normal(size=(60, 6))
    np.save(f'seed{seed}.npy', outputs.astype(np.float32))
    tfeval.import_predictions(
      f'seed{seed}.npy',
      order='ids.txt',
      labels='labels.csv',
      classes='classes.txt',
      store_logits=True,
      output_dir=f'runs/seed{seed}',
    )
  namespace = {}
  for code in BLOCKS:
    if not needs_model(code):
      exec(compile(code, 'python.md', 'exec'), namespace)
  assert namespace['frame'].shape[0] == 1
  assert namespace['votes'].result.ensemble.how == 'votes'


def test_examples_with_models_have_the_parameters_that_they_name():
  (code,) = filter(needs_model, BLOCKS)
  calls = [one for one in ast.walk(ast.parse(code)) if isinstance(one, ast.Call)]
  assert len(calls) == 4
  for call in calls:
    function = getattr(tfeval, call.func.attr)
    given = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
    inspect.signature(function).bind(*map(ast.literal_eval, call.args), **given)


def test_every_public_function_is_in_the_guide():
  text = GUIDE.read_text('utf-8')
  missing = [
    name
    for name in tfeval.__all__
    if name not in ('errors', 'keras', 'DataError', 'CheckFailed') and name not in text
  ]
  assert not missing
