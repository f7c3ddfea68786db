"""Files that W&B writes offline: records of a log as LevelDB has it.

Its own reader is a program since 0.2x; the messages are parsed by wandb's protobufs.
"""

import json
import pathlib
import struct
from collections.abc import Iterator
from typing import Any

_BLOCK = 32_768
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def _chunks(data: bytes) -> Iterator[bytes]:
  """Yields the records of a log, behind its seven bytes of a header."""
  at, begun = 7, b''
  assert data[:4] == b':W&B'
  while at + 7 <= len(data):
    if _BLOCK - at % _BLOCK < 7:  # The rest of a block holds no header.
      at += _BLOCK - at % _BLOCK
      continue
    _, length, kind = struct.unpack_from('<IHB', data, at)
    begun += data[at + 7 : at + 7 + length]
    at += 7 + length
    if kind in (_FULL, _LAST):
      yield begun
      begun = b''


def records(file: pathlib.Path) -> list[Any]:
  """Returns the records of a run."""
  from wandb.proto import wandb_internal_pb2

  found = []
  for chunk in _chunks(file.read_bytes()):
    record = wandb_internal_pb2.Record()
    record.ParseFromString(chunk)
    found.append(record)
  return found


def runs(folder: pathlib.Path) -> list[list[Any]]:
  """Returns the records of each offline run in a folder, the first begun first."""
  files = sorted((folder / 'wandb').glob('offline-run-*/*.wandb'))
  return [records(file) for file in files]


def rows(of_run: list[Any]) -> list[dict[str, Any]]:
  """Returns the values of each step of a run."""
  return [
    {
      item.key or '/'.join(item.nested_key): json.loads(item.value_json)
      for item in one.history.item
    }
    for one in of_run
    if one.HasField('history')
  ]


def begun(of_run: list[Any]) -> Any:
  """Returns what a run was begun with: its project, name and config."""
  return next(one.run for one in of_run if one.HasField('run'))


def artifacts(of_run: list[Any]) -> list[dict[str, pathlib.Path]]:
  """Returns the files of each artifact of a run, where they wait to be sent."""
  asked = [
    one.request.log_artifact.artifact
    for one in of_run
    if one.HasField('request') and one.request.HasField('log_artifact')
  ]
  there = asked + [one.artifact for one in of_run if one.HasField('artifact')]
  return [
    {entry.path: pathlib.Path(entry.local_path) for entry in one.manifest.contents}
    for one in there
  ]
