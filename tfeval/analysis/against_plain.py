"""An adapted run beside the plain one."""

import dataclasses

from tfeval.analysis import against_base
from tfeval.runs.result_file import AgainstPlainSection
from tfeval.runs.run import Run

_LEVEL = 0.95


def beside(plain: Run, adapted: Run) -> Run:
  """Returns an adapted run with what it gains against the plain one.

  Raises:
    UserError: they are not of the same images.
  """
  labels = plain.metrics[0].labels
  named = [('plain', plain), ('adapted', adapted)]
  base, effect = against_base.effects(named, labels)
  if not base.count.count:  # No image has a label.
    return adapted
  interval = effect.interval(_LEVEL, seed=0)
  assert effect.hits is not None and effect.p is not None and interval is not None
  difference = effect.hits.difference or 0.0
  section = AgainstPlainSection(
    run=str(plain.path),
    labels=labels,
    metric='top1',
    correct=effect.count.correct,
    plain_correct=base.count.correct,
    count=base.count.count,
    points=100 * difference,
    low=100 * interval[0],
    high=100 * interval[1],
    p=effect.p,
    flips=effect.flipped,
  )
  result = adapted.result.replaced(against_plain=section)
  return dataclasses.replace(adapted, result=result)
