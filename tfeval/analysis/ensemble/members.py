"""Which runs can be one: of the same images, labels and classes."""

import dataclasses
import hashlib
from collections.abc import Sequence

import numpy as np

from tfeval.analysis import alignment, differences, stored_outputs
from tfeval.analysis.alignment import AlignedPredictions
from tfeval.metrics.competition import Rule
from tfeval.runs import discovery, predictions
from tfeval.runs.result_file import PREDICTIONS
from tfeval.runs.run import Run
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.same_classes import classes_difference
from tfeval.utils.errors import UserError

MEAN, VOTES = HOW = ('mean', 'votes')


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
  """Runs that can be one.

  Attributes:
    runs: at least two.
    names: what tells each from the others.
    aligned: one that knows the content of images if any does.
    classes: of all of them, with the rules that all have.
  """

  runs: list[Run]
  names: list[str]
  aligned: AlignedPredictions
  classes: RunClasses

  def digests(self) -> list[str]:
    """Returns the SHA-256 of the rows of each run, by those of its parts."""
    return [rows_sha256(run) for run in self.runs]


def of(runs: Sequence[Run], how: str) -> Members:
  """Checks that runs can be one.

  Args:
    runs: at least two, each once.
    how: `MEAN` or `VOTES`.

  Raises:
    UserError: they cannot, or lack what that takes.
  """
  if len(runs) < 2:
    raise UserError(f'{len(runs)} run was given: an ensemble takes two or more')
  names = discovery.distinct_names(runs)
  # What can be told of results is told before rows are read.
  for run in runs[1:]:
    if found := classes_difference(runs[0], run):
      raise UserError(f'{found}: an ensemble is of runs of the same classes')
  if how == MEAN:
    for run in runs:
      _check_outputs(run)
  classes = _classes(runs, names)
  aligned = [
    alignment.align_run(run, name, None, None)
    for run, name in zip(runs, names, strict=True)
  ]
  first, *others = differences.known_first(aligned)
  for other in others:
    _check_same(first, other)
  for one in aligned:
    if one.contradiction is not None:
      raise UserError(f'{one.contradiction}: verify the run, and evaluate it again')
  return Members(list(runs), names, first, classes)


def _check_outputs(run: Run) -> None:
  if not run.result.store.logits:
    raise UserError(
      f'{run.path} stores no outputs of all classes, which a mean of probabilities '
      f'takes: evaluate it again with `store_logits`, or give `how={VOTES}`'
    )
  if not stored_outputs.has_probabilities(run):
    raise UserError(
      f'{run.path}: its outputs are no distribution over classes, of which there is no '
      f'mean: give `how={VOTES}`'
    )


def _check_same(first: AlignedPredictions, other: AlignedPredictions) -> None:
  if found := differences.data_difference(first, other):
    raise UserError(f'{found}: an ensemble is of runs on the same images and labels')
  if lacking := first.labels.keys() ^ other.labels.keys():
    which = first if lacking & first.labels.keys() else other
    raise UserError(
      f'of {first.name} and {other.name} only {which.name} has the labels '
      f'{", ".join(sorted(lacking))}: give runs with the same label sets'
    )


def _classes(runs: Sequence[Run], names: Sequence[str]) -> RunClasses:
  """Returns the classes of all runs, with the rules that all of them have.

  A rule for the images of another test set is left out where a run lacks it; any other
  one decides what a hit is, so that all have to have it.
  """
  first = runs[0].classes
  for run, name in zip(runs[1:], names[1:], strict=True):
    same = (
      [one.space.class_ids[: len(one.space)] for one in (first, run.classes)],
      [_said(one) for one in (first, run.classes)],
    )
    if any(a != b for a, b in same):
      raise UserError(
        f'{name} can say other classes than {names[0]}: an ensemble is of models with '
        'the same outputs'
      )
    if _of_set(first) != _of_set(run.classes):
      raise UserError(
        f'{name} is counted by other class rules than {names[0]}: an ensemble is of '
        'runs on the same test set'
      )
  shared = [
    rule
    for rule in first.rules
    if all(_like(rule) in map(_like, run.classes.rules) for run in runs)
  ]
  return dataclasses.replace(first, rules=tuple(shared))


def _said(classes: RunClasses) -> list[int]:
  said = np.arange(len(classes.space)) if classes.said is None else classes.said
  return [int(one) for one in said]


def _of_set(classes: RunClasses) -> set[tuple[object, ...]]:
  return {_like(rule) for rule in classes.rules if not rule.partner}


def _like(rule: Rule) -> tuple[object, ...]:
  return rule.name, rule.groups, rule.reduce, rule.partner, rule.class_set


def rows_sha256(run: Run) -> str:
  """Returns the SHA-256 of the rows of a run, by those of its parts."""
  parts = predictions.listed_parts(run.path / PREDICTIONS)
  return hashlib.sha256(''.join(part['sha256'] for part in parts).encode()).hexdigest()
