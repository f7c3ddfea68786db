"""A linear probe on stored features: fitted on a source, tested on a target.

Of the target its features are used, where an alignment asks for them; its labels are
for the counts alone.
"""

import dataclasses
import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfeval.analysis import probe_remarks, stored_features
from tfeval.analysis.probe_remarks import CORAL
from tfeval.analysis.stored_features import StoredFeatures
from tfeval.metrics import domain_alignment, paired
from tfeval.metrics.accuracy import Count
from tfeval.metrics.domain_alignment import Aligned
from tfeval.runs import discovery
from tfeval.runs.run import Run
from tfeval.utils import errors, spec
from tfeval.utils.errors import UserError

NONE, STANDARDISED, SUBSPACE = 'none', 'standardised', 'subspace'
ALIGNMENTS = NONE, CORAL, SUBSPACE
FOLDS = 5
# Of the variance of the source, what a subspace has where no size is given.
SHARE = 0.95
_MOST_STEPS = 1000


class Alignment(NamedTuple):
  """How features are aligned: one of `ALIGNMENTS`, and of a subspace its size."""

  name: str
  dimension: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Tested:
  """What a probe says of the target under an alignment.

  Attributes:
    name: of the alignment.
    dimension: how many features the probe is fitted on.
    predicted: int [m], classes of the source's label space.
    count: of the target.
    loss: `domain_alignment.coral_loss` of the features.
    hits: who hits what, without an alignment and with this one; None of `none`.
    p: of McNemar's exact test between these two; None of `none`.
    p_holm: the same, adjusted for all alignments.
  """

  name: str
  dimension: int
  predicted: np.ndarray
  count: Count
  loss: float
  hits: paired.PairedHits | None = None
  p: float | None = None
  p_holm: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
  """A probe of two runs.

  Attributes:
    source, target: what they store.
    held_out: of the source, each image by a probe that was fitted without it.
    folds: in how many parts the source was taken for that.
    tested: on the target, `none` first.
    remarks: what a reader must know beside the figures.
  """

  source: StoredFeatures
  target: StoredFeatures
  held_out: Count
  folds: int
  tested: list[Tested]
  remarks: list[str]


def parse_alignment(text: str) -> Alignment:
  """Reads `none`, `coral`, `subspace` or `subspace:d=N`.

  Raises:
    UserError: it is none of these.
  """
  given = spec.parse(text)
  if given.target not in ALIGNMENTS:
    raise errors.unknown('align', given.target, ALIGNMENTS)
  options = dict(given.options)
  dimension = options.pop('d', None)
  if options or dimension is not None and given.target != SUBSPACE:
    raise UserError(f'`align={text}`: subspace:d=N is the only one with an option')
  if dimension is not None and (type(dimension) is not int or dimension < 1):
    raise UserError(f'`align={text}`: d is a number of components, at least 1')
  return Alignment(given.target, dimension)


def probe(source: Run, target: Run, alignments: Sequence[Alignment] = ()) -> Probe:
  """Fits a linear classifier on a source's features, and tests it on a target's.

  Args:
    source: a run with features and labels.
    target: another one, of the same layer of the same model.
    alignments: what is tried beside no alignment.

  Raises:
    UserError: scikit-learn is not installed, or the runs do not allow it.
  """
  if importlib.util.find_spec('sklearn') is None:
    raise UserError("probe needs scikit-learn: pip install 'tfeval[shift]'")
  names = discovery.distinct_names([source, target])
  one, other = map(stored_features.read, (source, target), names)
  stored_features.check_one_kind(one, other)
  labelled = one.labels >= 0
  labels = one.labels[labelled]
  _check_source(one, labels)
  truth = stored_features.label_in(one, other)
  counted = np.isin(truth, labels)
  _check_target(one, other, truth, counted)
  varying = _varying(one, other)
  fitted = one.values[labelled][:, varying].astype(np.float64)
  asked = other.values[:, varying].astype(np.float64)
  asked_for = [one for one in alignments if one.name != NONE]
  steps = _Steps()
  tested = [
    _tested(name, aligned, labels, truth, counted, steps)
    for name, aligned in _aligned(fitted, asked, asked_for)
  ]
  held_out, folds = _held_out(fitted, labels, steps)
  return Probe(
    one,
    other,
    Count(held_out, len(labels), len(one.labels) - len(labels)),
    folds,
    _against_none(tested, truth, counted),
    [
      *probe_remarks.on_classes(one, other, labels, truth, counted),
      *probe_remarks.on_features(one, fitted, asked, [each.name for each in asked_for]),
      *probe_remarks.on_images(one, other),
      *steps.remarks,
    ],
  )


def _check_source(source: StoredFeatures, labels: np.ndarray) -> None:
  counts = np.unique(labels, return_counts=True)[1]
  if len(counts) < 2:
    raise UserError(
      f'{source.run.path} has labels of {len(counts)} classes, expected at least 2 to '
      'fit a probe on'
    )
  if counts.max() == 1:
    raise UserError(
      f'{source.run.path} has one image of each of its {len(counts):,} classes: a '
      'probe needs several to be fitted on, and to hold one out'
    )


def _check_target(
  source: StoredFeatures, target: StoredFeatures, truth: np.ndarray, counted: np.ndarray
) -> None:
  if len(target.values) < 2:
    raise UserError(f'{target.run.path} has a single image, expected at least 2')
  if not (truth != -1).any():
    raise UserError(f'{target.run.path} has no labels to count by')
  if not counted.any():
    raise UserError(
      f'{source.run.path} and {target.run.path} have no class in common: those of the '
      f'one are {source.run.label_space.name}, of the other '
      f'{target.run.label_space.name}'
    )


def _varying(source: StoredFeatures, target: StoredFeatures) -> np.ndarray:
  """Returns bool [d]: which features are not the same for all images of the source.

  Raises:
    UserError: none is, of the source or of the target.
  """
  for one in (source, target):
    if (one.values == one.values[0]).all():
      raise UserError(
        f'{one.run.path} stores the same features of all {len(one.values):,} images: '
        'name another layer by `store_features=`LAYER'
      )
  labelled = source.values[source.labels >= 0]
  found = (labelled != labelled[0]).any(0)
  if not found.any():
    raise UserError(
      f'{source.run.path} stores the same features of all images with a label'
    )
  return found


def _aligned(
  source: np.ndarray, target: np.ndarray, asked: Sequence[Alignment]
) -> Iterator[tuple[str, Aligned]]:
  """Yields the features as they are, as alignments take them, and aligned."""
  yield NONE, domain_alignment.by_source(source, target)
  if asked:
    yield STANDARDISED, domain_alignment.standardised(source, target)
  for one in asked:
    if one.name == CORAL:
      yield CORAL, domain_alignment.coral(source, target)
      continue
    most = min(source.shape[1], len(source) - 1, len(target) - 1)
    dimension = one.dimension
    if dimension is None:
      dimension = min(domain_alignment.components_for(source, SHARE), most)
    if dimension > most:
      raise UserError(
        f'`align=subspace:d={dimension}`: {len(source):,} and {len(target):,} images '
        f'of {source.shape[1]:,} features have {most:,} components at most'
      )
    name = f'{SUBSPACE}:d={dimension}'
    yield name, domain_alignment.subspace(source, target, dimension)


class _Steps:
  """Fits probes; knows whether all of them came to an end."""

  def __init__(self) -> None:
    self._unfinished = 0

  def fitted(self, values: np.ndarray, labels: np.ndarray, asked: np.ndarray):
    """Returns what a probe that is fitted on n images says of m others.

    Args:
      values: float64 [n, d].
      labels: int [n].
      asked: float64 [m, d].
    """
    from sklearn import exceptions, linear_model  # It takes a second.

    model = linear_model.LogisticRegression(max_iter=_MOST_STEPS)
    with warnings.catch_warnings():
      warnings.simplefilter('ignore', exceptions.ConvergenceWarning)
      model.fit(values, labels)
    self._unfinished += bool(max(model.n_iter_) >= _MOST_STEPS)
    return model.predict(asked)

  @property
  def remarks(self) -> list[str]:
    if not self._unfinished:
      return []
    return [
      f'{self._unfinished} probes were still getting better after {_MOST_STEPS:,} steps'
    ]


def _tested(
  name: str,
  aligned: Aligned,
  labels: np.ndarray,
  truth: np.ndarray,
  counted: np.ndarray,
  steps: _Steps,
) -> Tested:
  predicted = steps.fitted(aligned.source, labels, aligned.target)
  correct, count = int((predicted == truth)[counted].sum()), int(counted.sum())
  return Tested(
    name,
    aligned.source.shape[1],
    predicted,
    Count(correct, count, len(truth) - count),
    domain_alignment.coral_loss(*aligned),
  )


def _held_out(values: np.ndarray, labels: np.ndarray, steps: _Steps) -> tuple[int, int]:
  """Returns how many images are hit by probes fitted without them, in how many folds.

  Each class is spread over the folds, by a seeded order of the sorted ids.
  """
  from sklearn import model_selection

  folds = min(FOLDS, int(np.bincount(labels).max()))
  splitter = model_selection.StratifiedKFold(folds, shuffle=True, random_state=0)
  correct = 0
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', message='The least populated class')
    splits = list(splitter.split(values, labels))
  for fitted, left_out in splits:
    scaled = domain_alignment.by_source(values[fitted], values[left_out])
    predicted = steps.fitted(scaled.source, labels[fitted], scaled.target)
    correct += int((predicted == labels[left_out]).sum())
  return correct, folds


def _against_none(
  tested: list[Tested], truth: np.ndarray, counted: np.ndarray
) -> list[Tested]:
  none, *others = tested
  hit = none.predicted == truth
  hits = [paired.paired_hits(hit, one.predicted == truth, counted) for one in others]
  p = [paired.mcnemar(one.first, one.second) for one in hits]
  adjusted = paired.holm(np.array(p)).tolist()
  found = [
    dataclasses.replace(one, hits=cells, p=raw, p_holm=holm)
    for one, cells, raw, holm in zip(others, hits, p, adjusted, strict=True)
  ]
  return [none, *found]
