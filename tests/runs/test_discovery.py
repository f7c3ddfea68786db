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


def test_runs_of_each_step_are_found_in_what_holds_the_steps(store_run, tmp_path):
  for step in (2, 1):
    store_run('m', LABELS[:, None], LABELS, where=f'loop/step-{step}/m')
  (tmp_path / 'loop/history.json').write_text('{}')
  (tmp_path / 'loop/tensorboard').mkdir()
  paths = [f'{tmp_path}/loop/step-{step}/m' for step in (1, 2)]
  found = discovery.find_runs([tmp_path / 'loop'])
  assert [str(run.path) for run in found] == paths
  assert discovery.expand([str(tmp_path / 'loop')]) == paths
  assert len({*discovery.distinct_names(found)}) == 2
  # Where a folder has runs itself, those below are others.
  store_run('n', LABELS[:, None], LABELS, where='loop/n')
  (one,) = discovery.find_runs([tmp_path / 'loop'])
  assert one.path.name == 'n'
