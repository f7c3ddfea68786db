"""Whether runs are of the same classes."""

from collections.abc import Iterable

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.runs.run import Failure, Run
from tfeval.utils.errors import UserError


def one_space(runs: Iterable[Run | Failure]) -> LabelSpace:
  """Returns the classes that all runs have; those of ILSVRC2012 of no runs.

  Raises:
    UserError: two have different ones.
  """
  complete = [run for run in runs if isinstance(run, Run)]
  for run in complete[1:]:
    if found := classes_difference(complete[0], run):
      raise UserError(found)
  return complete[0].label_space if complete else imagenet.label_space()


def classes_difference(one: Run, other: Run) -> str | None:
  """Says in which classes two runs differ; None: in none."""
  here, there = one.label_space, other.label_space
  if here.digest == there.digest:
    return None
  if len(here) != len(there):
    return f'{one.path} has {len(here)} classes, {other.path} {len(there)}'
  at = next(
    i
    for i, ids in enumerate(zip(here.class_ids, there.class_ids, strict=True))
    if len({*ids}) > 1
  )
  return (
    f'class {at} is {here.class_ids[at]} in {one.path}, {there.class_ids[at]} in '
    f'{other.path}'
  )
