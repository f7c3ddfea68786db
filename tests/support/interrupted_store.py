"""A prediction store that is written in pieces, as interruptions leave it."""

import hashlib
import pathlib

import numpy as np

from tfeval.runs import predictions
from tfeval.runs.predictions import resume

IMAGES, BATCH, SIZE = 23, 2, 6
# Missing alone, at both ends of a part, a whole batch, a whole part, the last one.
BROKEN = {'none': set(), 'some': {1, 5, 6, 8, 9, *range(12, 18), 22}}


def batches(broken, start=0, stop=IMAGES):
  for first in range(start, stop, BATCH):
    positions = [i for i in range(first, min(first + BATCH, stop)) if i not in broken]
    if positions:
      yield positions


def rows(positions):
  scores = np.stack([np.random.default_rng(i).normal(size=1000) for i in positions])
  return predictions.make_rows(
    [f'{i}.JPEG' for i in positions],
    [hashlib.sha256(b'%d' % i).digest() for i in positions],
    np.array(positions),
    None,
    scores.astype(np.float32),
    'logits',
    False,
  )


def store(directory, broken, shard=range(IMAGES), gapless=False, last=None, flush=True):
  """Writes a share, going on after what is there; up to some position, if it is to."""
  keep = resume.whole_parts(directory, shard, gapless)
  done = resume.positions_of(keep)
  start = (done[-1] // BATCH + 1) * BATCH if done else shard.start
  writer = predictions.Writer(directory, False, SIZE, keep=keep)
  for positions in batches(broken, start, shard.stop if last is None else last):
    writer.write(rows(positions), positions)
  if flush:
    writer.flush()
  return len(done)


def content(directory: pathlib.Path) -> dict[str, bytes]:
  return {path.name: path.read_bytes() for path in directory.iterdir()}
