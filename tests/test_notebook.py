"""The notebook of `configs/` runs, cell by cell, and what cells show.

Its cells are run one after the other in one namespace, as a kernel does, and the value
of the last line is asked for its HTML, as a notebook does. A kernel and nbclient would
add seconds and a dozen packages, and nothing that could fail here.
"""

import ast
import json
import pathlib

import documents
import pytest

NOTEBOOK = documents.ROOT / 'configs/notebook.ipynb'
CONTENT = json.loads(NOTEBOOK.read_text('utf-8'))


def run(source, namespace):
  """Runs a cell; returns the value of its last line, None if that is a statement."""
  *lines, last = ast.parse(source).body
  if not isinstance(last, ast.Expr):
    lines, last = [*lines, last], None
  exec(compile(ast.Module(lines, []), 'cell', 'exec'), namespace)
  if last is not None:
    return eval(compile(ast.Expression(last.value), 'cell', 'eval'), namespace)
  return None


def test_every_cell_runs(tmp_path, monkeypatch):
  pytest.importorskip('pandas')
  pytest.importorskip('jinja2')
  monkeypatch.setattr('tempfile.tempdir', str(tmp_path))
  namespace, shown = {'__name__': '__main__'}, []
  for cell in CONTENT['cells']:
    if cell['cell_type'] == 'code':
      value = run(''.join(cell['source']), namespace)
      html = getattr(value, '_repr_html_', lambda: None)()
      # Both are shown: what notebooks have, and where there is no HTML.
      assert value is None or repr(value)
      shown.append((type(value).__name__, html))
  names = [name for name, _ in shown]
  assert names == [
    *('NoneType', 'NoneType', 'Run', 'dict', 'DataFrame', 'Comparison', 'DataFrame'),
    *('DataFrame', 'Leaderboard', 'DataFrame', 'list'),
  ]
  for name, html in shown:
    assert (html is None) == (name in ('NoneType', 'dict', 'list')), name
    assert html is None or '<table' in html
  assert len(namespace['board'].rows) == 4
  # Three that err in part by themselves are better together.
  best = namespace['board'].rows[0]
  assert best.run.path == namespace['together'].path
  where = pathlib.Path(namespace['where'])
  assert where.is_relative_to(tmp_path)
  assert (
    run('[run.path for run in tfeval.verify(where / "runs").failed]', namespace) == []
  )


def test_outputs_are_cleared():
  assert CONTENT['nbformat'] == 4
  for cell in CONTENT['cells']:
    assert cell.get('outputs', []) == [] and cell.get('execution_count') is None
    assert all(len(line.rstrip('\n')) <= 88 for line in cell['source'])
