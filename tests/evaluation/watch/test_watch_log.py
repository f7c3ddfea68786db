"""What a watcher remembers is read as data."""

import json

import pytest

from tfeval.evaluation.watch.watch_log import FILE, Watched
from tfeval.utils.errors import UserError

ENTRY = {
  'checkpoint': 'a.keras',
  'step': 1,
  'stamp': [1, 2],
  'run': 'a',
  'metrics': {'val_top1': 0.5, 'val_real_top1': None},
  'counts': {'val_top1': [1, 2]},
}


def read(folder, **changes) -> Watched:
  text = json.dumps(
    {'version': 1, 'of': {'a': 1}, 'evaluations': [{**ENTRY, **changes}]}
  )
  (folder / FILE).write_text(text.replace('Infinity', '1e999'))
  return Watched(folder, {'a': 1})


def test_what_was_written_is_read(tmp_path):
  assert read(tmp_path).entries == [ENTRY]
  assert read(tmp_path, metrics=None, counts=None).entries[0]['counts'] is None


@pytest.mark.parametrize(
  'changes',
  [
    {'counts': {'val_top1': 3}},
    {'counts': {'val_top1': [1]}},
    {'counts': {'val_top1': [3, 2]}},
    {'counts': {'val_top1': [-1, 2]}},
    {'counts': {'val_top1': [1.0, 2]}},
    {'counts': {'val_top1': [0, 10**30]}},
    {'counts': [1]},
    {'metrics': {'val_top1': 'x'}},
    {'metrics': {'val_top1': float('inf')}},
    {'metrics': {'val_top1': 10**400}},
    {'metrics': {'val_top1': True}},
    {'step': '1'},
    {'run': '../a'},
    {'stamp': [1]},
  ],
)
def test_what_cannot_be_is_refused(tmp_path, changes):
  with pytest.raises(UserError, match='is not what this tfeval writes'):
    read(tmp_path, **changes)


@pytest.mark.parametrize('key', ENTRY)
def test_what_lacks_anything_is_refused(tmp_path, key):
  entry = {one: value for one, value in ENTRY.items() if one != key}
  content = {'version': 1, 'of': {'a': 1}, 'evaluations': [entry]}
  (tmp_path / FILE).write_text(json.dumps(content))
  with pytest.raises(UserError, match='is not what this tfeval writes'):
    Watched(tmp_path, {'a': 1})
