"""Labels that were made again, and how far they agree with others."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np

from tfeval.analysis.relabel import labels
from tfeval.analysis.relabel.raters import Pairs, Rated, Scores
from tfeval.metrics.precision_recall import Curve
from tfeval.runs.run import Run
from tfeval.utils.errors import UserError
from tfeval.utils.shown import Shown

# What the published scores are called.
SCORES = 'scores'


@dataclasses.dataclass(frozen=True)
class Agreement:
  """Scores above a threshold, beside others.

  Attributes:
    name: of the scores: `scores`, or of an aggregation.
    pairs: of images and labels that have a score.
    above: those above the threshold.
    with_scores: agreeing pairs, and all, beside the published scores; None: not told.
    with_golden: the same beside the experts' answers.
  """

  name: str
  pairs: int
  above: int
  with_scores: tuple[int, int] | None = None
  with_golden: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Relabelled(Shown):
  """Labels made of scores.

  Attributes:
    scored: the scores by name, `scores` and `golden`.
    threshold: labels score more than this.
    labelled_by: which scores are the labels'; None: none of them.
    agreement: of each of the scores.
    golden: the experts' answers; None: none were given.
    runs: whose predictions curves are of.
  """

  DOCUMENT = 'tfeval.reports.page.of_relabelled:document'

  scored: Mapping[str, Scores]
  threshold: float
  labelled_by: str | None
  agreement: Sequence[Agreement]
  golden: Rated | None = None
  runs: Sequence[Run] = ()

  @functools.cached_property
  def labels(self) -> list[list[int]]:
    """50,000 lists of class indices, validation image 1 first.

    Raises:
      UserError: no scores were given that are to label.
    """
    if self.labelled_by is None:
      raise UserError('there are no `scores`: say which `aggregate` is to label')
    return labels.labels_at(self.scored[self.labelled_by], self.threshold)

  @property
  def counts(self) -> dict[str, int]:
    """How many images and labels there are, and images without one."""
    return {
      'images': sum(map(bool, self.labels)),
      'without': sum(not one for one in self.labels),
      'labels': sum(map(len, self.labels)),
    }

  @functools.cached_property
  def curves(self) -> dict[str, Curve]:
    """Precision and recall by the experts' answers; none without these."""
    return {} if self.golden is None else _curves(self.scored, self.golden, self.runs)


def relabelled(
  scored: Mapping[str, Scores],
  threshold: float,
  labelled_by: str | None,
  golden: Rated | None,
  runs: Sequence[Run],
) -> Relabelled:
  """Holds scores against the published ones and the experts' answers.

  Args:
    scored, threshold, labelled_by, golden, runs: see `Relabelled`.

  Raises:
    UserError: they are of different pairs.
  """
  found = [_agreement(name, scored, threshold, golden) for name in scored]
  return Relabelled(scored, threshold, labelled_by, found, golden, runs)


def _agreement(
  name: str, scored: Mapping[str, Scores], threshold: float, golden: Rated | None
) -> Agreement:
  scores, published = scored[name], scored.get(SCORES)
  with_scores = with_golden = None
  if published is not None and name != SCORES:
    with_scores = labels.agreement(
      scores, published.score > threshold, published.pairs, threshold
    )
    if not with_scores[1]:
      raise UserError('`raters` and `scores` are of different pairs')
  if golden is not None:
    with_golden = labels.agreement(
      scores, labels.truth(golden), golden.pairs, threshold
    )
  above = int((scores.score > threshold).sum())
  return Agreement(name, len(scores.score), above, with_scores, with_golden)


def _curves(
  scored: Mapping[str, Scores], golden: Rated, runs: Sequence[Run]
) -> dict[str, Curve]:
  curves = {name: labels.score_curve(scores, golden) for name, scores in scored.items()}
  original = labels.original_proposals(golden)
  curves['original labels'] = labels.proposal_curve(
    original, np.ones(len(original.image)), golden
  )
  for run in runs:
    name = run.result.model.name
    if name in curves:
      name = str(run.path)
    pairs, log_probs, first = labels.run_proposals(
      str(run.path), run.parts(['id', 'classes', 'log_probs'])
    )
    curves[name] = labels.proposal_curve(pairs, log_probs, golden)
    curves[f'{name}, top-1'] = labels.proposal_curve(
      Pairs(pairs.image[first], pairs.label[first]), np.ones(first.sum()), golden
    )
  return curves
