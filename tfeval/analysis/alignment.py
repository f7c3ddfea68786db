"""What runs predicted for the same images, whatever the order of their rows."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import numbering
from tfeval.datasets.labels.sets import SUBSET_SUFFIX, LabelSource, check_ids
from tfeval.datasets.labels.subsets import Subset, select
from tfeval.metrics import accuracy, registry
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import RESTRICTED, MetricEntry
from tfeval.runs import summary
from tfeval.runs.run import Run
from tfeval.utils import arrow
from tfeval.utils.arrow import to_numpy
from tfeval.utils.errors import UserError, listed


@dataclasses.dataclass(frozen=True)
class AlignedPredictions:
  """What a run predicted, in the order of its sorted ids.

  Attributes:
    run: the run.
    name: what tells it from the others.
    ids: string [n], sorted.
    hashes: binary [n], SHA-256 of the images; null where it is not known.
    predicted: int32 [n, at most 5], classes, best first.
    by_rule: the same under other rules, by name; zeros of images that a rule is not
      for.
    labels: the right classes, by label set.
    inside: bool [n], which images belong to the subset; None without one.
    contradiction: what `Run.contradiction` says of the rows.
  """

  run: Run
  name: str
  ids: pa.Array
  hashes: pa.Array
  predicted: np.ndarray
  labels: dict[str, accuracy.LabelSets]
  by_rule: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  inside: np.ndarray | None = None
  contradiction: str | None = None

  @functools.cached_property
  def _hits(self) -> dict[tuple[str, str], np.ndarray]:
    return {}

  def within(self, name: str) -> np.ndarray:
    """Returns bool [n]: of `LABELS@subset` the subset's images, of others all."""
    if self.inside is not None and name.endswith(SUBSET_SUFFIX):
      return self.inside
    return np.ones(len(self.ids), bool)

  def counted(self, name: str) -> np.ndarray:
    """Returns bool [n]: which of the images within have a label."""
    labels = self.labels[name.removesuffix(SUBSET_SUFFIX)]
    return self.within(name) & (np.asarray(labels.sizes) > 0)

  def ranked(self, metric: str) -> np.ndarray | None:
    """Returns the predictions under a metric's rule; None where it says nothing."""
    asked, classes = registry.get_metric(metric), self.run.classes
    ranked, competing = self.predicted, classes.outputs
    if rule := metric.partition('@')[2]:
      if rule not in self.by_rule:
        return None
      ranked = self.by_rule[rule]
      competing = classes.competing(rule) or classes.outputs
    few = asked.least_classes > competing or asked.classes > ranked.shape[1]
    return None if few else ranked

  def first(self, metric: str) -> np.ndarray:
    """Returns int [n], the first class of each image under a metric's rule.

    The metric is one that `ranked` has predictions for.
    """
    ranked = self.ranked(metric)
    assert ranked is not None
    return ranked[:, 0]

  def hits(self, name: str, metric: str) -> np.ndarray:
    """Returns bool [n]: which images are hit by a paired metric."""
    key = name.removesuffix(SUBSET_SUFFIX), metric
    if key not in self._hits:
      hits, ranked = registry.get_metric(metric).hits, self.ranked(metric)
      assert hits is not None and ranked is not None  # It is paired, and there.
      self._hits[key] = hits(ranked, self.labels[key[0]])
    return self._hits[key]

  def count(self, name: str, metric: str) -> accuracy.Count | None:
    """Returns a metric; None where it is not known of the stored classes."""
    if self.ranked(metric) is None:
      return None
    counted = self.counted(name)
    correct = np.count_nonzero(self.hits(name, metric) & counted)
    count = np.count_nonzero(counted)
    within = np.count_nonzero(self.within(name))
    return accuracy.Count(int(correct), int(count), int(within - count))

  def restricted(self, ids: pa.Array) -> 'AlignedPredictions':
    """Returns the predictions for some of the images."""
    found = pc.is_in(self.ids, ids)
    kept = to_numpy(found)
    return dataclasses.replace(
      self,
      ids=self.ids.filter(found),
      hashes=self.hashes.filter(found),
      predicted=self.predicted[kept],
      by_rule={name: ranked[kept] for name, ranked in self.by_rule.items()},
      labels={name: select(sets, kept) for name, sets in self.labels.items()},
      inside=None if self.inside is None else self.inside[kept],
    )


def align_run(
  run: Run, name: str, labels: Sequence[LabelSource] | None, subset: Subset | None
) -> AlignedPredictions:
  """Reads what a run predicted.

  Args:
    run: the run.
    name: what to call it.
    labels: label sets; by default those that the rows carry.
    subset: images that are counted once more by themselves.

  Raises:
    UserError: the rows are not those that the result was made of; a label set has
      no label for any of them; the subset names other images or leaves none.
  """
  table = run.sorted_rows()
  ids = table['id'].combine_chunks()
  carried = {
    key: value
    for key, value in summary.label_columns(table, run.classes.label_set).items()
    if len(value.values)
  }
  found = AlignedPredictions(
    run,
    name,
    ids,
    table['image_sha256'].combine_chunks(),
    _first(table, 'classes'),
    carried,
    {
      rule: _first(table, f'classes{suffix(rule)}')
      for rule in run.classes.kept_by_rule
      if not run.classes.is_partner(rule)
    },
  )
  contradiction = run.contradiction(_metrics(found))
  if labels is not None:
    sets = {one.name: run.classes.named(one.of_rows(table)) for one in labels}
    found = dataclasses.replace(found, labels=sets)
  for one in labels or ():
    check_ids(one, ids, run.path)
    if not len(sets[one.name].values):
      raise summary.no_labels(one, run.path, ids[:1].to_pylist())
    if one.path is not None:
      counts = numbering.NumberingCounts(run.label_space)
      counts.add(found.predicted[:, 0], sets[one.name])
      numbering.warn(one.path, run.path, counts)
  if subset is not None:
    subset.check(ids, run.path)
    found = dataclasses.replace(found, inside=subset.mask(ids))
  if contradiction is None:
    return found
  return dataclasses.replace(found, contradiction=contradiction)


def _first(table: pa.Table, column: str) -> np.ndarray:
  return arrow.matrix(table[column])[:, : max(summary.TOP)].copy()


def with_common_rule(aligned: list[AlignedPredictions]) -> list[AlignedPredictions]:
  """Gives the rule `restricted` of some runs to those that say nothing else.

  A model of the very classes that compete under it has the same predictions under both
  rules, and its run has but one.
  """
  competing = [one.run.classes.restricted for one in aligned]
  rule = next((found for found in competing if found is not None), None)
  if rule is None:
    return aligned

  def given(one: AlignedPredictions) -> AlignedPredictions:
    classes = one.run.classes
    said = np.arange(len(classes.space)) if classes.said is None else classes.said
    if RESTRICTED not in one.by_rule and np.array_equal(said, rule):
      return dataclasses.replace(one, by_rule=one.by_rule | {RESTRICTED: one.predicted})
    return one

  return [given(one) for one in aligned]


def metric_keys(aligned: Iterable[AlignedPredictions]) -> list[str]:
  """Returns the metrics that runs can be compared by, under the rules that all have."""
  names, (first_run, *others) = registry.paired_metrics(), aligned
  common = [
    rule for rule in first_run.by_rule if all(rule in one.by_rule for one in others)
  ]
  return names + [name + suffix(rule) for rule in common for name in names]


def _metrics(aligned: AlignedPredictions) -> Iterator[MetricEntry]:
  """Yields the metrics that every result has."""
  for labels in aligned.labels:
    for name in registry.DEFAULT:
      if (count := aligned.count(labels, name)) is not None:
        yield count.entry(name, labels)


def contradictions(aligned: Iterable[AlignedPredictions]) -> list[str]:
  """Returns what `Run.contradiction` says of runs."""
  return [one.contradiction for one in aligned if one.contradiction]


def used_labels(aligned: Sequence[AlignedPredictions]) -> tuple[list[str], list[str]]:
  """Returns the names of the label sets that all runs have, and remarks on others.

  Of a subset there is each label set once more, as `NAME@subset`.

  Raises:
    UserError: there is no such label set.
  """
  seen = dict.fromkeys(name for one in aligned for name in one.labels)
  used, remarks = [], []
  for name in seen:
    without = [one.name for one in aligned if name not in one.labels]
    if without:
      remarks.append(
        f'labels {name} are not used: none are stored of '
        f'{listed(without)}; `labels=FILE` gives them to all'
      )
    else:
      used.append(name)
  if not used:
    raise UserError('the runs carry no labels of the same name: give `labels=FILE`')
  if aligned[0].inside is not None:
    used = [name + suffix for name in used for suffix in ('', SUBSET_SUFFIX)]
  return used, remarks


def restrict_to_common(
  aligned: list[AlignedPredictions],
) -> tuple[list[AlignedPredictions], list[str]]:
  """Restricts predictions to the images that all runs have.

  Returns:
    The aligned, and a remark that says what was left out, if anything was.

  Raises:
    UserError: there is no such image.
  """
  ids = functools.reduce(
    lambda kept, one: kept.filter(pc.is_in(kept, one.ids)), aligned, aligned[0].ids
  )
  if not len(ids):
    raise UserError(
      f'`common`: the runs have no image in common; the first of {aligned[0].name} is '
      f'{aligned[0].ids[0]}, of {aligned[1].name} {aligned[1].ids[0]}'
    )
  left_out = [
    f'{len(one.ids) - len(ids):,} of {one.name}'
    for one in aligned
    if len(one.ids) > len(ids)
  ]
  if not left_out:
    return aligned, []
  only = f'COMMON: only the {len(ids):,} images that all runs have; left out: '
  return [one.restricted(ids) for one in aligned], [only + listed(left_out)]
