"""Formats of run directories and of what lies beside them, for `mutations`."""

import hashlib
import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import interrupted_store
import mutated_tables
import numpy as np
from mutations import Format, of_json

from tfeval.analysis import hardest, mistakes
from tfeval.engine.cache import chunks, entries
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import manifest
from tfeval.evaluation.hosts import agreement, shares
from tfeval.evaluation.tracking import history_file
from tfeval.evaluation.watch.watch_log import Watched
from tfeval.keras.history import History
from tfeval.models.keras.checkpoints import WEIGHTS, Checkpoint
from tfeval.reports import mistake_rows
from tfeval.runs import run
from tfeval.runs.result_file import Manifest
from tfeval.runs.verification import verify
from tfeval.utils.errors import UserError

HOSTS = Cluster(2, 0)
_OF = {'model': 'm', 'dataset': {'name': 'folder:photos'}}


def _run(name: str) -> Callable[[pathlib.Path], pathlib.Path]:
  return lambda directory: mutated_tables._run(directory) / name


# All that `verify` reads


def _verify(path: pathlib.Path) -> list[Any]:
  directory = path.parent
  if path.parent.name == 'predictions':
    directory = directory.parent
  found = [(one.name, one.state, one.seen) for one in verify.verify(directory)]
  for name, state, _ in found:
    assert name and state in (verify.OK, verify.FAILED, verify.NOT_CHECKED)
  return found


# What is shown of its rows


def _mistakes(path: pathlib.Path) -> list[Any]:
  directory = path.parent
  if path.parent.name == 'predictions':
    directory = directory.parent
  loaded = run.load_run(directory)
  found = mistakes.mistakes(loaded, None)
  several = hardest.hardest([loaded, loaded], 5)
  rows = [mistake_rows.described(one) for one in found]
  return [found.counted, rows, [mistake_rows.described_hard(one) for one in several]]


# What an evaluation resumes after, alone and with other hosts


def _manifest(**model: str) -> Manifest:
  return Manifest.from_json(
    {
      'schema_version': 1,
      'model': {'name': 'm', 'weights_sha256': 'a' * 64, **model},
      'dataset': {'name': 'folder:photos', 'on_error': 'skip'},
      'protocol': {'name': 'opencv', 'spec': 'opencv', 'size': 224},
      'store': {'logits': False, 'rows_per_part': interrupted_store.SIZE},
      'compute': {'batch_size': interrupted_store.BATCH, 'versions': {}},
    }
  )


def _resumed(name: str) -> Callable[[pathlib.Path], pathlib.Path]:
  def make(directory: pathlib.Path) -> pathlib.Path:
    path = mutated_tables._run(directory)
    (path / 'manifest.json').write_text(json.dumps(_manifest()))
    return path / name

  return make


def _resume(path: pathlib.Path) -> Any:
  directory = path.parent
  if path.parent.name == 'predictions':
    directory = directory.parent
  found = manifest.complete_run(directory, _manifest(), False)
  return None if found is None else found.result


def _incomplete(directory: pathlib.Path) -> pathlib.Path:
  path = mutated_tables._run(directory)
  (path / 'result.json').unlink()
  return path / 'flags.txt'


def _read_incomplete(path: pathlib.Path) -> str:
  """Returns how the run can be completed, which is said in an error."""
  try:
    run.load_run(path.parent)
  except UserError as error:
    if '--flagfile' in str(error):
      return str(error)
    raise
  raise AssertionError('a run without result.json was read')


def _shares(name: str) -> Callable[[pathlib.Path], pathlib.Path]:
  def make(directory: pathlib.Path) -> pathlib.Path:
    for index in range(HOSTS.count):
      hosts = Cluster(HOSTS.count, index)
      share = directory / hosts.directory()
      shard = hosts.shard(interrupted_store.IMAGES, interrupted_store.BATCH)
      interrupted_store.store(share / 'predictions', set(), shard)
      described = agreement.describe_host(_manifest(), hosts)
      (share / 'manifest.json').write_text(json.dumps(described))
      shares.finish_share(share, shard, len(shard), 2.0)
    return directory / HOSTS.directory(1) / name

  return make


def _join(path: pathlib.Path) -> Any:
  share = path.parent.parent if path.parent.name == 'predictions' else path.parent
  directory = share.parents[1]
  here, waited = agreement.describe_host(_manifest(), HOSTS), []
  agreement.wait(directory, here, HOSTS, 0, waited.append)
  timing = shares.timing(directory, HOSTS)
  assert all(isinstance(one, int | float) for one in timing)
  done = shares.merge_shares(directory, _manifest(), HOSTS, interrupted_store.IMAGES)
  assert done == sorted({*done}) and {*done} <= {*range(interrupted_store.IMAGES)}
  return [waited, timing, interrupted_store.content(directory / 'predictions')]


# Histories of a training


def _history(directory: pathlib.Path) -> pathlib.Path:
  best = 'step-00000002/m'
  shutil.move(mutated_tables._run(directory), directory / best)
  shutil.copytree(directory / best, directory / 'good')
  found = [
    {
      'step': n + 1,
      'epoch': n,
      'metrics': {'val_top1': 0.5 * n},
      'counts': {'val_top1': [n, 2]},
      'run': best if n else None,
    }
    for n in range(2)
  ]
  path = directory / 'history' / 'history.json'
  path.parent.mkdir()
  shutil.move(directory / 'step-00000002', path.parent)
  history_file.write_history(path, {**_OF, 'best_by': 'val_top1'}, found)
  return path


def _read_history(path: pathlib.Path) -> list[Any]:
  # What is of another step is removed.
  best = path.parent / 'step-00000002/m'
  if not (best / 'result.json').exists():
    shutil.copytree(path.parents[1] / 'good', best, dirs_exist_ok=True)
  found = History(path.parent, _OF, 'val_top1')
  try:
    for entry in found.entries:
      assert type(entry['step']) is int and isinstance(entry['metrics'], dict)
    return [found.entries, found.best and found.best.path.name]
  finally:
    found.close()


def _watched(directory: pathlib.Path) -> pathlib.Path:
  watched = Watched(directory, _OF)
  for n in range(3):
    entry = watched.begin(_checkpoint(directory, n), f'm@{n}')
    entry['metrics'], entry['counts'] = {'val_top1': 0.5 * n}, {'val_top1': [n, 2]}
  watched.write()
  return directory / 'watched.json'


def _checkpoint(directory: pathlib.Path, n: int) -> Checkpoint:
  return Checkpoint(directory / f'{n}.weights.h5', WEIGHTS, n, (100, 10**18 + n))


def _read_watched(path: pathlib.Path) -> list[Any]:
  watched = Watched(path.parent, _OF)
  content = path.read_bytes()
  found = [watched.entry(_checkpoint(path.parent, n)) for n in range(3)]
  for entry in found:
    assert entry is None or isinstance(entry['step'], int)
  watched.begin(_checkpoint(path.parent, 3), 'm@3')
  path.write_bytes(content)
  return [watched.entries, found]


# Caches of images


def _entry(name: str) -> Callable[[pathlib.Path], pathlib.Path]:
  def make(directory: pathlib.Path) -> pathlib.Path:
    root, _ = entries.prepare(str(directory / 'cache'))
    description = {
      'format': chunks.FORMAT,
      'protocol': {'spec': 'opencv', 'size': 8, 'dtype': 'uint8'},
      'dataset': {'name': 'folder:photos', 'split': ''},
      'images': 2,
    }
    entry = root / entries.key_of(description)
    entry.mkdir()
    (entry / entries.ENTRY).write_text(json.dumps(description))
    content = np.random.default_rng(0).bytes(300)
    sha256 = hashlib.sha256(content).hexdigest()
    (entry / chunks.name(0, 2, sha256)).write_bytes(content)
    return root / name if name == entries.TAG else entry / name

  return make


def _read_cache(path: pathlib.Path) -> list[Any]:
  root = path.parent if path.name == entries.TAG else path.parents[1]
  (found,) = entries.listed(str(root))
  (fault,) = map(found.fault, found.chunks)
  assert fault is not None and '\n' not in fault
  return [found.images, found.bytes, found.description, fault]


FORMATS = (
  Format('verify.result.json', _run('result.json'), _verify, of_json),
  Format('verify.manifest.json', _run('manifest.json'), _verify, of_json),
  Format('verify.index.json', _run('predictions/index.json'), _verify, of_json),
  Format('verify.part.parquet', _run('predictions/part-00000.parquet'), _verify),
  Format('mistakes.result.json', _run('result.json'), _mistakes, of_json),
  Format('mistakes.index.json', _run('predictions/index.json'), _mistakes, of_json),
  Format('mistakes.part.parquet', _run('predictions/part-00000.parquet'), _mistakes),
  Format('verify.flags.txt', _run('flags.txt'), _verify),
  Format('resume.result.json', _resumed('result.json'), _resume, of_json),
  Format('resume.manifest.json', _resumed('manifest.json'), _resume, of_json),
  Format('resume.index.json', _resumed('predictions/index.json'), _resume, of_json),
  Format('incomplete.flags.txt', _incomplete, _read_incomplete),
  Format('host.done.json', _shares('done.json'), _join, of_json),
  Format('host.manifest.json', _shares('manifest.json'), _join, of_json),
  Format('host.index.json', _shares('predictions/index.json'), _join, of_json),
  Format('host.part.parquet', _shares('predictions/part-00000.parquet'), _join),
  Format('history.json', _history, _read_history, of_json),
  Format('watched.json', _watched, _read_watched, of_json),
  Format('entry.json', _entry(entries.ENTRY), _read_cache, of_json),
  Format('CACHEDIR.TAG', _entry(entries.TAG), _read_cache),
)
