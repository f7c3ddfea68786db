"""The rows of the prediction store, made of what a model returns."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tfeval.metrics import ranking
from tfeval.metrics.competition import EVERYTHING, MEAN, Competition, suffix
from tfeval.metrics.entry import ALL, RESTRICTED
from tfeval.metrics.stored_rows import STORED_CLASSES, kept_classes
from tfeval.utils.arrow import numbers

SCHEMA_VERSION = 1
# How many outputs rows have where their part does not say.
OUTPUTS = 1000
# The column of what a layer of the model returns.
FEATURES = 'features'
# Outputs that are a probability of each class by itself.
SIGMOID = 'sigmoid'


class Ranks(NamedTuple):
  """What n rows keep of a rule.

  Attributes:
    classes: int [n, k], best first.
    log_probs: float [n, k]; None where nothing is known of them.
    label_log_prob: float [n], of the label, NaN for unknown, -inf where no output is
      its class; None where all are unknown.
    counted: bool [n], which rows the rule is for; None: all.
  """

  classes: np.ndarray
  log_probs: np.ndarray | None
  label_log_prob: np.ndarray | None
  counted: np.ndarray | None = None


def schema(
  store_logits: bool,
  classes: int = STORED_CLASSES,
  outputs: int = OUTPUTS,
  rules: Mapping[str, int] | None = None,
  features: int = 0,
) -> pa.Schema:
  """Returns the columns of a part.

  Args:
    store_logits: whether all outputs are kept.
    classes: how many ranked classes are kept.
    outputs: how many there are.
    rules: how many ranked classes are kept under rules other than `all`, by name.
    features: how many features are kept; 0: none.

  Returns:
    `id`: file name; `image_sha256`: of the encoded bytes, null where these are not
    known; `label`: original label or null; `real_labels`: set of classes, null
    where the dataset has no such labels at all; `classes`, `log_probs`: best
    first, ties lowest class first, null where no probability is known;
    `label_log_prob`: of the original label, null without one or where it is not
    known; `logits`: the model's outputs as they came (probabilities if that is
    what it returns). Under the rule `restricted`: `classes@restricted`,
    `log_probs@restricted`, `label_log_prob@restricted`, among the outputs that compete;
    of other rules likewise, null in rows that they are not for.
    `features`: what a layer of the model is fed or returns.
  """
  fields = [
    pa.field('id', pa.string(), nullable=False),
    pa.field('image_sha256', pa.binary(32)),
    pa.field('label', pa.int32()),
    pa.field('real_labels', pa.list_(pa.int32())),
    pa.field('classes', pa.list_(pa.int32(), classes), nullable=False),
    pa.field('log_probs', pa.list_(pa.float32(), classes)),
    pa.field('label_log_prob', pa.float32()),
  ]
  for rule, kept in (rules or {}).items():
    classes_type, of_rule = pa.list_(pa.int32(), kept), suffix(rule)
    fields += [
      pa.field(f'classes{of_rule}', classes_type, nullable=rule != RESTRICTED),
      pa.field(f'log_probs{of_rule}', pa.list_(pa.float32(), kept)),
      pa.field(f'label_log_prob{of_rule}', pa.float32()),
    ]
  if store_logits:
    fields.append(pa.field('logits', pa.list_(pa.float32(), outputs)))
  if features:
    kept = pa.list_(pa.float16(), features)
    fields.append(pa.field(FEATURES, kept, nullable=False))
  return pa.schema(fields)


def make_rows(
  ids: list[str],
  hashes: list[bytes],
  labels: np.ndarray,
  real_labels: list[list[int]] | None,
  scores: np.ndarray,
  output: str,
  store_logits: bool,
  competition: Competition = EVERYTHING,
  features: np.ndarray | None = None,
) -> pa.RecordBatch:
  """Makes the rows of n examples out of a model's outputs.

  Args:
    ids: n unique ids.
    hashes: n SHA-256 digests of the encoded images, 32 bytes each.
    labels: int [n], original labels, negative for none.
    real_labels: n lists of class indices, or None without ReaL labels.
    scores: float32 [n, outputs], finite.
    output: `'logits'` or `'probabilities'`: what the scores are.
    store_logits: whether to keep the scores.
    competition: what the outputs are.
    features: float [n, d], within the range of float16, to keep, or None.

  Returns:
    A record batch of `schema(store_logits, ...)`.
  """
  return make_ranked_rows(
    ids,
    hashes,
    labels,
    real_labels,
    rank_by_rule(scores, labels, output, competition),
    scores if store_logits else None,
    features,
  )


def make_ranked_rows(
  ids: list[str],
  hashes: list[bytes],
  labels: np.ndarray,
  real_labels: list[list[int]] | None,
  ranked: Mapping[str, Ranks],
  scores: np.ndarray | None = None,
  features: np.ndarray | None = None,
) -> pa.RecordBatch:
  """Makes the rows of n examples that are ranked already.

  Args:
    ids, hashes, labels, real_labels: as for `make_rows`.
    ranked: as `rank_by_rule` returns them.
    scores: float32 [n, outputs] to keep, or None.
    features: as for `make_rows`.

  Returns:
    A record batch of `schema(scores is not None, ...)`.
  """
  return assemble(
    pa.array(ids, pa.string()),
    pa.array(hashes, pa.binary(32)),
    labels,
    pa.array(
      real_labels if real_labels is not None else [None] * len(ids),
      pa.list_(pa.int32()),
    ),
    ranked,
    scores,
    features,
  )


def rank_by_rule(
  scores: np.ndarray, labels: np.ndarray, output: str, competition: Competition
) -> dict[str, Ranks]:
  """Returns what `rank_scores` does of every rule, by its name, `all` first."""
  return {
    rule: rank_scores(scores, labels, output, competition, rule)
    for rule in competition.rules
  }


def rank_scores(
  scores: np.ndarray,
  labels: np.ndarray,
  output: str,
  competition: Competition = EVERYTHING,
  rule: str = ALL,
) -> Ranks:
  """Ranks outputs of n examples under a rule.

  Args:
    scores: float [n, outputs], finite.
    labels: int [n], original labels, negative for none.
    output: `'logits'`, `'probabilities'` or `'sigmoid'`: what the scores are.
    competition: what the outputs are.
    rule: its name. Where fewer outputs compete, their probabilities are made to sum to
      1; of those that mean the same class the highest counts, or their mean, see
      `competition.Rule`.

  Returns:
    The best classes, 20 or all, of rules of another set 5; log-probabilities in
    float64. Of sigmoids these are None: they are no distribution.
  """
  scores, log_probs = _competing(scores, output, competition, rule)
  kept = min(kept_classes(competition, rule), scores.shape[1])
  ranked = ranking.top_k(scores, kept)
  if log_probs is None:
    return named_ranks(ranked, None, None, labels, competition, rule)
  columns = competition.columns_of(labels, rule)
  of_label = log_probs[np.arange(len(labels)), np.maximum(columns, 0)]
  return named_ranks(
    ranked,
    np.take_along_axis(log_probs, ranked, axis=1),
    np.select([columns >= 0, columns == -1], [of_label, np.nan], -np.inf),
    labels,
    competition,
    rule,
  )


def _competing(
  scores: np.ndarray, output: str, competition: Competition, rule: str
) -> tuple[np.ndarray, np.ndarray | None]:
  """Returns what is ranked under a rule, and its logarithms of probabilities."""
  contest = competition.contests.get(rule)
  if contest is None:
    return scores, _log_probs(scores, output, False)
  chosen = scores[:, contest.columns]
  if contest.rule.reduce == MEAN:
    of_all = scores.astype(np.float64)
    if output == 'logits':
      of_all = np.exp(ranking.log_softmax(scores))
    mean = contest.reduced(of_all[:, contest.columns])
    with np.errstate(divide='ignore'):
      # As a device ranks them.
      return mean.astype(np.float32), None if output == SIGMOID else np.log(mean)
  log_probs = _log_probs(chosen, output, rule != ALL)
  return contest.reduced(chosen), (
    None if log_probs is None else contest.reduced(log_probs)
  )


def _log_probs(scores: np.ndarray, output: str, renormalised: bool):
  """Returns float64 [n, m], None of sigmoids."""
  if output == SIGMOID:
    return None
  if output == 'logits':
    return ranking.log_softmax(scores)
  with np.errstate(divide='ignore'):
    log_probs = np.log(scores.astype(np.float64))
    if renormalised:
      log_probs -= np.log(scores.sum(axis=1, keepdims=True, dtype=np.float64))
  return log_probs


def named_ranks(
  ranked: np.ndarray,
  log_probs: np.ndarray | None,
  label_log_prob: np.ndarray | None,
  labels: np.ndarray,
  competition: Competition,
  rule: str,
) -> Ranks:
  """Returns ranks of what competes as ranks of classes; see `Competition.classes`."""
  classes, contest = competition.classes(rule), competition.contests.get(rule)
  if classes is not None:
    ranked = classes[ranked].astype(np.int32)
  counted = None if contest is None else contest.counts(labels)
  return Ranks(ranked, log_probs, label_log_prob, counted)


def assemble(
  ids: pa.Array,
  hashes: pa.Array,
  labels: np.ndarray,
  real_labels: pa.Array,
  ranked: Mapping[str, Ranks],
  scores: np.ndarray | None,
  features: np.ndarray | None = None,
) -> pa.RecordBatch:
  """Puts the columns of n rows together.

  Args:
    ids, hashes, real_labels: as `schema` has them.
    labels: int [n], negative for none.
    ranked: by rule, `all` first.
    scores: float [n, outputs] to keep as `logits`, or None.
    features: see `make_rows`.

  Returns:
    A record batch of `schema`.
  """
  columns = [
    ids,
    hashes,
    numbers(labels.astype(np.int32), labels < 0),
    real_labels,
    *(column for ranks in ranked.values() for column in _ranks(ranks)),
  ]
  kept = {rule: ranks.classes.shape[1] for rule, ranks in ranked.items()}
  outputs = OUTPUTS
  if scores is not None:
    outputs = scores.shape[1]
    columns.append(_fixed_size(scores, np.float32))
  dimension = 0
  if features is not None:
    dimension = features.shape[1]
    columns.append(_fixed_size(features, np.float16))
  there = schema(scores is not None, kept.pop(ALL), outputs, kept, dimension)
  return pa.record_batch(columns, schema=there)


def columns_of_rule(rule: str, ranks: Ranks) -> dict[str, pa.Array]:
  """Returns the columns of n rows under a rule, by their names."""
  names = [name + suffix(rule) for name in Ranks._fields]
  return dict(zip(names, _ranks(ranks), strict=False))


def _ranks(ranks: Ranks) -> list[pa.Array]:
  """Returns the columns of ranks, null where nothing is known of probabilities."""
  ranked, log_probs, label_log_prob, counted = ranks
  n, k = ranked.shape
  without = None if counted is None else ~counted
  return [
    _fixed_size(ranked, np.int32, without),
    pa.nulls(n, pa.list_(pa.float32(), k))
    if log_probs is None
    else _fixed_size(log_probs, np.float32, without),
    pa.nulls(n, pa.float32())
    if label_log_prob is None
    else _known(label_log_prob, without),
  ]


def _known(values: np.ndarray, without: np.ndarray | None) -> pa.Array:
  """Returns float32 values, null where they are NaN and in rows `without`."""
  unknown = np.isnan(values) if without is None else np.isnan(values) | without
  return numbers(values.astype(np.float32), unknown)


def _fixed_size(
  values: np.ndarray, dtype: type, without: np.ndarray | None = None
) -> pa.Array:
  values = np.ascontiguousarray(values, dtype)
  mask = None
  if without is not None:
    # What nobody reads would show in the bytes.
    values = np.where(without[:, None], np.zeros(1, dtype), values)
    mask = pa.array(without)
  flat = numbers(values.reshape(-1))
  return pa.FixedSizeListArray.from_arrays(flat, values.shape[1], mask=mask)
