"""Runs are found beside whatever else lies there, which is never waited for."""

import os
import shutil

import numpy as np
import pytest

from tfeval.runs import discovery
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import UserError

LABELS = np.arange(10)


@pytest.mark.parametrize('name', ['result.json', 'manifest.json'])
@pytest.mark.parametrize(
  'make',
  [os.mkfifo, os.mkdir, lambda path: os.symlink('/dev/zero', path)],
  ids=['pipe', 'directory', 'device'],
)
def test_special_files_are_no_runs(store_run, tmp_path, name, make):
  store_run('whole', LABELS[:, None], LABELS, where='runs/whole')
  (tmp_path / 'runs/special').mkdir()
  make(tmp_path / 'runs/special' / name)
  (found,) = discovery.find_runs([tmp_path / 'runs'])
  assert isinstance(found, Run)
  with pytest.raises(UserError, match='no run directory and holds none'):
    discovery.find_runs([tmp_path / 'runs/special'])
  # Of one that is known by its other file it is a fault.
  other = ({'result.json', 'manifest.json'} - {name}).pop()
  shutil.copy(tmp_path / 'runs/whole' / other, tmp_path / 'runs/special' / other)
  found = discovery.find_runs([tmp_path / 'runs'])
  kinds = {type(one) for one in found}
  assert kinds == ({Run, Failure} if name == 'result.json' else {Run})
