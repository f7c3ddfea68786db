"""A runtime whose pipelines are kept from piece to piece."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from tfeval.engine import batches, pipeline
from tfeval.engine.piece_feed import PieceFeed
from tfeval.evaluation.runtime import Runtime

# Feeds that are open: that of the run, and of the one before.
_MOST = 2


@dataclasses.dataclass
class PieceRuntime(Runtime):
  """Where pieces of a dataset are evaluated.

  Attributes:
    feeds: the pipelines that are open, by what they are of, the last one used last.
  """

  feeds: dict[Any, PieceFeed] = dataclasses.field(default_factory=dict)

  @classmethod
  def of(cls, opened: Runtime) -> 'PieceRuntime':
    """Returns the same with pipelines that are kept."""
    values = {one.name: getattr(opened, one.name) for one in dataclasses.fields(opened)}
    return cls(**values)

  def read(
    self,
    protocol: pipeline.Protocols,
    batch_size: int,
    skip_errors: bool,
    positions: range,
  ) -> Iterator[batches.Batch]:
    """Yields the batches of some positions; see `Runtime.read`."""
    dataset, key = self.dataset, (protocol, batch_size, skip_errors)
    # Python of this process is none of a graph that others may run.
    if self.cache is not None or dataset.read_by_python:
      yield from super().read(protocol, batch_size, skip_errors, positions)
      self.pipelines.clear()
      return
    feed = self.feeds.pop(key, None) or PieceFeed(
      lambda start, stop: pipeline.batched(dataset, *key, start, stop, self.canvas)
    )
    self.feeds[key] = feed
    self._close(list(self.feeds)[:-_MOST])
    yield from batches.read_batches(
      dataset, *key, positions, self.canvas, feed.over(positions)
    )

  def close(self) -> None:
    """Lets go of the pipelines."""
    self._close(list(self.feeds))

  def _close(self, keys: list[Any]) -> None:
    for key in keys:
      self.feeds.pop(key).close()
