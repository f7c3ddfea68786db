"""The rows of the prediction store, made of what a model returns."""

import numpy as np
import pyarrow as pa

from tfeval.metrics import ranking
from tfeval.metrics.competition import ALL, RESTRICTED, Competition
from tfeval.metrics.stored_rows import STORED_CLASSES
from tfeval.utils.arrow import numbers

SCHEMA_VERSION = 1
# How many outputs rows have where their part does not say.
OUTPUTS = 1000
# The column of what a layer of the model returns.
FEATURES = 'features'
# What `rank_scores` returns.
Ranks = tuple[np.ndarray, np.ndarray | None, np.ndarray | None]
# Outputs that are a probability of each class by itself.
SIGMOID = 'sigmoid'


def schema(
  store_logits: bool,
  classes: int = STORED_CLASSES,
  outputs: int = OUTPUTS,
  restricted: int = 0,
  features: int = 0,
) -> pa.Schema:
  """Returns the columns of a part.

  Args:
    store_logits: whether all outputs are kept.
    classes: how many ranked classes are kept.
    outputs: how many there are.
    restricted: how many ranked classes are kept of those that compete under the rule
      `restricted`; 0: there is no such rule.
    features: how many features are kept; 0: none.

  Returns:
    `id`: file name; `image_sha256`: of the encoded bytes, null where these are not
    known; `label`: original label or null; `real_labels`: set of classes, null
    where the dataset has no such labels at all; `classes`, `log_probs`: best
    first, ties lowest class first, null where no probability is known;
    `label_log_prob`: of the original label, null without one or where it is not
    known; `logits`: the model's outputs as they came (probabilities if that is
    what it returns). Under the rule `restricted`: `classes@restricted`,
    `log_probs@restricted`, `label_log_prob@restricted`, among the outputs that compete.
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
  if restricted:
    classes_type = pa.list_(pa.int32(), restricted)
    fields += [
      pa.field(f'classes{RESTRICTED}', classes_type, nullable=False),
      pa.field(f'log_probs{RESTRICTED}', pa.list_(pa.float32(), restricted)),
      pa.field(f'label_log_prob{RESTRICTED}', pa.float32()),
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
  competition: Competition = ALL,
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
  restricted = None
  if competition.restricted is not None:
    restricted = rank_scores(scores, labels, output, competition, True)
  return make_ranked_rows(
    ids,
    hashes,
    labels,
    real_labels,
    rank_scores(scores, labels, output, competition),
    scores if store_logits else None,
    restricted,
    features,
  )


def make_ranked_rows(
  ids: list[str],
  hashes: list[bytes],
  labels: np.ndarray,
  real_labels: list[list[int]] | None,
  ranked: Ranks,
  scores: np.ndarray | None = None,
  restricted: Ranks | None = None,
  features: np.ndarray | None = None,
) -> pa.RecordBatch:
  """Makes the rows of n examples that are ranked already.

  Args:
    ids, hashes, labels, real_labels: as for `make_rows`.
    ranked: as `rank_scores` returns them.
    scores: float32 [n, outputs] to keep, or None.
    restricted: the same under the rule `restricted`, None where there is no such rule.
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
    *ranked,
    scores,
    restricted,
    features,
  )


def rank_scores(
  scores: np.ndarray,
  labels: np.ndarray,
  output: str,
  competition: Competition = ALL,
  restricted: bool = False,
) -> Ranks:
  """Ranks all outputs of n examples.

  Args:
    scores: float [n, outputs], finite.
    labels: int [n], original labels, negative for none.
    output: `'logits'`, `'probabilities'` or `'sigmoid'`: what the scores are.
    competition: what the outputs are.
    restricted: whether only those compete that do under the rule `restricted`;
      probabilities are then made to sum to 1 again.

  Returns:
    int32 [n, k], the best classes, 20 or all; float64 [n, k], their
    log-probabilities; float64 [n], the log-probability of the label, NaN without one,
    -inf where no output is its class. Of sigmoids the probabilities are None: they are
    no distribution.
  """
  if restricted:
    scores = scores[:, competition.restricted]
  ranked = ranking.top_k(scores, min(STORED_CLASSES, scores.shape[1]))
  if output == SIGMOID:
    return named_ranks(ranked, None, None, competition.classes(restricted))
  if output == 'logits':
    log_probs = ranking.log_softmax(scores)
  else:
    with np.errstate(divide='ignore'):
      log_probs = np.log(scores.astype(np.float64))
      if restricted:
        log_probs -= np.log(scores.sum(axis=1, keepdims=True, dtype=np.float64))
  columns = competition.columns_of(labels, restricted)
  of_label = log_probs[np.arange(len(labels)), np.maximum(columns, 0)]
  return named_ranks(
    ranked,
    np.take_along_axis(log_probs, ranked, axis=1),
    np.select([columns >= 0, columns == -1], [of_label, np.nan], -np.inf),
    competition.classes(restricted),
  )


def named_ranks(
  ranked: np.ndarray,
  log_probs: np.ndarray | None,
  label_log_prob: np.ndarray | None,
  classes: np.ndarray | None,
) -> Ranks:
  """Returns ranks of outputs as ranks of classes; see `Competition.classes`."""
  if classes is not None:
    ranked = classes[ranked].astype(np.int32)
  return ranked, log_probs, label_log_prob


def assemble(
  ids: pa.Array,
  hashes: pa.Array,
  labels: np.ndarray,
  real_labels: pa.Array,
  ranked: np.ndarray,
  log_probs: np.ndarray | None,
  label_log_prob: np.ndarray | None,
  scores: np.ndarray | None,
  restricted: Ranks | None = None,
  features: np.ndarray | None = None,
) -> pa.RecordBatch:
  """Puts the columns of n rows together.

  Args:
    ids, hashes, real_labels: as `schema` has them.
    labels: int [n], negative for none.
    ranked: int [n, k], classes, best first.
    log_probs: float [n, k]; None where nothing is known of them.
    label_log_prob: float [n], NaN for unknown; None where all are.
    scores: float [n, outputs] to keep as `logits`, or None.
    restricted, features: see `make_ranked_rows`.

  Returns:
    A record batch of `schema`.
  """
  n, k = ranked.shape
  columns = [
    ids,
    hashes,
    numbers(labels.astype(np.int32), labels < 0),
    real_labels,
    *_ranks((ranked, log_probs, label_log_prob)),
  ]
  competing = 0
  if restricted is not None:
    competing = restricted[0].shape[1]
    columns += _ranks(restricted)
  outputs = OUTPUTS
  if scores is not None:
    outputs = scores.shape[1]
    columns.append(_fixed_size(scores, np.float32))
  dimension = 0
  if features is not None:
    dimension = features.shape[1]
    columns.append(_fixed_size(features, np.float16))
  there = schema(scores is not None, k, outputs, competing, dimension)
  return pa.record_batch(columns, schema=there)


def _ranks(ranks: Ranks) -> list[pa.Array]:
  """Returns the columns of ranks, null where nothing is known of probabilities."""
  ranked, log_probs, label_log_prob = ranks
  n, k = ranked.shape
  return [
    _fixed_size(ranked, np.int32),
    pa.nulls(n, pa.list_(pa.float32(), k))
    if log_probs is None
    else _fixed_size(log_probs, np.float32),
    pa.nulls(n, pa.float32()) if label_log_prob is None else _known(label_log_prob),
  ]


def _known(values: np.ndarray) -> pa.Array:
  """Returns float32 values, null where they are NaN."""
  return numbers(values.astype(np.float32), np.isnan(values))


def _fixed_size(values: np.ndarray, dtype: type) -> pa.Array:
  flat: np.ndarray = np.ascontiguousarray(values, dtype).reshape(-1)
  return pa.FixedSizeListArray.from_arrays(numbers(flat), values.shape[1])
