"""What stored rows add up to: metrics by label set, and digests."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfeval.datasets.labels import numbering, sets, subsets
from tfeval.datasets.labels.numbering import NumberingCounts
from tfeval.metrics import accuracy, collectors, registry
from tfeval.metrics.accuracy import LabelSets
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import ALL, MetricEntry
from tfeval.metrics.stored_rows import ScoredRows
from tfeval.runs import predictions
from tfeval.runs.digests import digest_of_sorted
from tfeval.runs.run_classes import IMAGENET, RunClasses
from tfeval.utils import arrow
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

SUMMARY_COLUMNS = ['id', 'image_sha256', 'label', 'real_labels', 'classes']
_OF_RULES = ('classes', 'log_probs', 'label_log_prob')
TOP = (1, 5)


@dataclasses.dataclass(frozen=True)
class SummaryRequest:
  """What stored rows are added up for.

  Attributes:
    metrics: see `registry.get_metric`; by default those of `registry.DEFAULT` that
      the rows give.
    output: `'logits'` or `'probabilities'`: what stored outputs are, if any.
    keep_predictions: whether to keep them, for tables by class.
    classes: those of the rows; None: those of ILSVRC2012.
    further: metrics beside those, where these are the default.
  """

  metrics: Sequence[str] | None = None
  output: str | None = None
  keep_predictions: bool = False
  classes: RunClasses | None = None
  further: Sequence[str] = ()


@dataclasses.dataclass
class Summary:
  """What stored rows add up to.

  Attributes:
    request: what it was made for.
    scores: by the rule and the label set's name.
    identities: `id`, `image_sha256` and `label` of the rows, part by part.
    subset: how many images belong to the subset; None without one.
    numberings: of label sets in files, how their labels would be right, by name.
  """

  request: SummaryRequest
  scores: dict[tuple[str, str], registry.LabelSetScores]
  identities: list[pa.Table]
  subset: int | None = None
  numberings: dict[str, NumberingCounts] = dataclasses.field(default_factory=dict)

  @property
  def label_sets(self) -> list[str]:
    """The names of the label sets."""
    return list(dict.fromkeys(labels for _, labels in self.scores))

  def column(self, name: str) -> pa.Array:
    """Returns a column of the identities."""
    fields = predictions.schema(store_logits=False)
    chunks = [chunk for part in self.identities for chunk in part[name].chunks]
    return pa.chunked_array(chunks, fields.field(name).type).combine_chunks()

  @property
  def ids(self) -> list[str]:
    """Returns the ids of the rows, in their order."""
    return self.column('id').to_pylist()

  def check_labels(self, labels: Iterable[sets.LabelSource], where: Path) -> None:
    """Checks that each label set has a label for at least one of the rows.

    Logs which are numbered otherwise than the classes, by all appearances.

    Args:
      labels: what was counted against.
      where: the run's directory, for the message.

    Raises:
      UserError: one has none.
    """
    for one in labels:
      sets.check_ids(one, self.column('id'), where)
      scores = self.scores.get((ALL, one.name))
      if not (scores and scores.count):
        raise no_labels(one, where, self.ids)
      if one.name in self.numberings:
        numbering.warn(one.path, where, self.numberings[one.name])

  def metrics(self, interval: str = 'wilson') -> list[MetricEntry]:
    """Returns the metrics as results hold them.

    Args:
      interval: see `accuracy.INTERVALS`.
    """
    rules = dict.fromkeys(rule for rule, _ in self.scores)
    found = [
      entry
      for rule in rules
      for (of_rule, name), scores in self.scores.items()
      if of_rule == rule
      for entry in scores.entries(name, interval, rule)
    ]
    if self.request.metrics is not None:
      return found
    further = {name.partition('@')[0] for name in self.request.further}
    return [
      entry for entry in found if entry.unavailable is None or entry.name in further
    ]

  def predictions(self) -> dict[str, collectors.TopPredictions]:
    """Returns the predictions by the label set's name, where images have one label."""
    return {
      name: scores.predictions
      for (rule, name), scores in self.scores.items()
      if rule == ALL and scores.predictions is not None
    }

  def digests(self) -> dict[str, str]:
    """Returns what tells two data sets apart: their labels and their content.

    Both are `files.digest_of_pairs` over the ids, of the labels and of the SHA-256 of
    the images.
    """
    # UTF-8 sorts like the characters that it encodes.
    order = pc.sort_indices(self.column('id'))
    ids = self.column('id').take(order)
    labels = self.column('label').take(order).cast(pa.string())
    hashes = self.column('image_sha256').take(order)
    content = (
      pa.nulls(len(ids), pa.string())
      if hashes.null_count == len(ids)
      else arrow.strings([value.hex() if value else '' for value in hashes.to_pylist()])
    )
    return {
      'label_digest': digest_of_sorted(ids, labels),
      'content_digest': digest_of_sorted(ids, content),
    }


def no_labels(labels: sets.LabelSource, where: Path, ids: Sequence[str]) -> UserError:
  """Returns the error for a label set that has no label for any image of a run."""
  if labels.name == sets.REAL and labels.file is None:
    return UserError(f'{where} stores no ReaL labels: give the path of real.json')
  return UserError(
    f'`labels={labels.path or labels.name}` has labels for none of the '
    f'images of {where}; the first of these is {[*ids, "none"][0]}'
  )


def summarize(
  parts: Iterable[pa.Table],
  labels: Sequence[sets.LabelSource] | None = None,
  subset: subsets.Subset | None = None,
  request: SummaryRequest = SummaryRequest(),
) -> Summary:
  """Adds up stored rows, part by part.

  Args:
    parts: tables with `SUMMARY_COLUMNS` and those of `registry.required_columns`.
    labels: what to score against; by default what the rows carry.
    subset: images to score once more by themselves, under the label set's name
      and `@subset`; the others are in none of its counts.
    request: what to add them up for.
  """
  summary = Summary(request, {}, [])
  for part in parts:
    summary.identities.append(part.select(['id', 'image_sha256', 'label']))
    label_sets = (
      label_columns(part, (request.classes or IMAGENET).label_set)
      if labels is None
      else {one.name: one.of_rows(part) for one in labels}
    )
    if subset is not None:
      inside = subset.mask(part['id'])
      summary.subset = (summary.subset or 0) + int(inside.sum())
      rows = part.take(arrow.numbers(np.flatnonzero(inside)))
    for one in labels or ():
      _add_numbering(summary, one, part, label_sets[one.name])
    for name, label_set in label_sets.items():
      _add(summary, name, part, label_set)
      if subset is not None:
        _add(
          summary, name + sets.SUBSET_SUFFIX, rows, subsets.select(label_set, inside)
        )
  return summary


def summarize_store(
  store: Path,
  classes: RunClasses,
  output: str | None,
  stored_outputs: bool,
  further: Sequence[str] = (),
) -> Summary:
  """Adds up the rows of a store against the labels that they carry.

  Args:
    store: directory of the parts.
    classes: of the rows.
    output: see `SummaryRequest`.
    stored_outputs: whether the rows have all outputs.
    further: names of metrics beside the default ones.

  Raises:
    UserError: rows are missing or changed.
  """
  needed = registry.required_columns(further, False, stored_outputs)
  columns = columns_read([*SUMMARY_COLUMNS, *needed], classes)
  return summarize(
    predictions.read_parts(store, columns),
    request=SummaryRequest(output=output, classes=classes, further=further),
  )


def columns_read(names: Iterable[str], classes: RunClasses) -> list[str]:
  """Returns the columns that hold what `names` do, of all rules."""
  names = list(names)
  of_rules = [name for name in names if name in _OF_RULES]
  found = [one + suffix(rule) for rule in classes.kept_by_rule for one in of_rules]
  return names + found


def _add(
  summary: Summary, name: str, rows: pa.Table, labels: accuracy.LabelSets
) -> None:
  request = summary.request
  classes = request.classes or IMAGENET
  count = len(classes.space)
  if ALL not in classes.competition.contests:
    _scores(summary, ALL, name, classes).add(
      ScoredRows(rows, labels, count, classes.said, request.output)
    )
  for rule, contest in classes.competition.contests.items():
    values = contest.rule.named(np.asarray(labels.values))
    named = LabelSets(values, np.asarray(labels.sizes))
    of_rule = _under(rule, rows)
    if contest.rule.partner:
      # Others have no label under it: they are skipped.
      inside = arrow.to_numpy(of_rule['classes'].is_valid())
      values = subsets.select(named, inside).values
      named = LabelSets(values, np.where(inside, named.sizes, 0))
      of_rule = _filled(of_rule)
    # Of stored outputs nothing is read: all of them compete there, each for itself.
    _scores(summary, rule, name, classes).add(ScoredRows(of_rule, named, count))


def _add_numbering(
  summary: Summary, labels: sets.LabelSource, rows: pa.Table, found: accuracy.LabelSets
) -> None:
  if labels.path is None or not len(rows):
    return
  space = (summary.request.classes or IMAGENET).dataset
  counts = summary.numberings.setdefault(labels.name, NumberingCounts(space))
  counts.add(arrow.matrix(rows['classes'])[:, 0], found)


def _scores(
  summary: Summary, rule: str, name: str, classes: RunClasses
) -> registry.LabelSetScores:
  request = summary.request
  if (rule, name) not in summary.scores:
    asked = request.metrics
    if asked is None:
      asked = [*registry.DEFAULT, *request.further]
    names = registry.names_of_rule(asked, rule, classes.is_partner(rule))
    summary.scores[rule, name] = registry.LabelSetScores(
      names, classes.competing(rule), request.keep_predictions
    )
  return summary.scores[rule, name]


def _filled(rows: pa.Table) -> pa.Table:
  """Returns rows with zeros for lists of ranks that are not there."""
  for name in set(rows.column_names) & {'classes', 'log_probs'}:
    values = arrow.matrix(rows[name])
    values = np.where(np.isnan(values), 0, values)
    kind = rows[name].type
    flat = pa.array(values.reshape(-1)).cast(kind.value_type)
    column = pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    rows = rows.set_column(rows.column_names.index(name), name, column)
  return rows


def _under(rule: str, rows: pa.Table) -> pa.Table:
  """Returns rows whose ranks are those of a rule, without stored outputs."""
  names = {
    name: name.removesuffix(suffix(rule))
    for name in rows.column_names
    if name.removesuffix(suffix(rule)) in _OF_RULES and name.endswith(suffix(rule))
  }
  others = [n for n in rows.column_names if '@' not in n and n not in _OF_RULES]
  kept = [name for name in others if name != 'logits']
  return rows.select([*kept, *names]).rename_columns([*kept, *names.values()])


def label_columns(
  part: pa.Table, label_set: str = sets.REAL
) -> dict[str, accuracy.LabelSets]:
  """Returns the label sets that stored rows carry, by name.

  `original` is always there; `real` where the dataset has ReaL labels, that is,
  where the column is not null (an empty list is an image without a label); other sets
  in that column are called `label_set`.
  """
  original = arrow.to_numpy(part['label'], null=-1)
  found = {sets.ORIGINAL: accuracy.LabelSets.from_single(original)}
  if len(part) and part['real_labels'].null_count < len(part):
    found[label_set] = sets.LabelSource(sets.REAL).of_rows(part)
  return found
