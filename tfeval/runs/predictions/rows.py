"""The rows of the prediction store, made of what a model returns."""

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics import ranking
from tfeval.metrics.stored_rows import STORED_CLASSES
from tfeval.utils.arrow import numbers

SCHEMA_VERSION = 1


def label_space() -> LabelSpace:
  """Returns the classes that rows are of: no run says which, as there are no others."""
  return imagenet.label_space()


def schema(store_logits: bool, classes: int = STORED_CLASSES) -> pa.Schema:
  """Returns the columns of a part.

  Args:
    store_logits: whether all 1000 outputs are kept.
    classes: how many ranked classes are kept.

  Returns:
    `id`: file name; `image_sha256`: of the encoded bytes, null where these are not
    known; `label`: original label or null; `real_labels`: set of classes, null
    where the dataset has no such labels at all; `classes`, `log_probs`: best
    first, ties lowest class first, null where no probability is known;
    `label_log_prob`: of the original label, null without one or where it is not
    known; `logits`: the model's outputs as they came (probabilities if that is
    what it returns).
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
  if store_logits:
    fields.append(pa.field('logits', pa.list_(pa.float32(), len(label_space()))))
  return pa.schema(fields)


def make_rows(
  ids: list[str],
  hashes: list[bytes],
  labels: np.ndarray,
  real_labels: list[list[int]] | None,
  scores: np.ndarray,
  output: str,
  store_logits: bool,
) -> pa.RecordBatch:
  """Makes the rows of n examples out of a model's outputs.

  Args:
    ids: n unique ids.
    hashes: n SHA-256 digests of the encoded images, 32 bytes each.
    labels: int [n], original labels, negative for none.
    real_labels: n lists of class indices, or None without ReaL labels.
    scores: float32 [n, 1000], finite.
    output: `'logits'` or `'probabilities'`: what the scores are.
    store_logits: whether to keep the scores.

  Returns:
    A record batch of `schema(store_logits)`.
  """
  return make_ranked_rows(
    ids,
    hashes,
    labels,
    real_labels,
    *rank_scores(scores, labels, output),
    scores if store_logits else None,
  )


def make_ranked_rows(
  ids: list[str],
  hashes: list[bytes],
  labels: np.ndarray,
  real_labels: list[list[int]] | None,
  ranked: np.ndarray,
  log_probs: np.ndarray,
  label_log_prob: np.ndarray,
  scores: np.ndarray | None = None,
) -> pa.RecordBatch:
  """Makes the rows of n examples that are ranked already.

  Args:
    ids, hashes, labels, real_labels: as for `make_rows`.
    ranked, log_probs, label_log_prob: as `rank_scores` returns them.
    scores: float32 [n, 1000] to keep, or None.

  Returns:
    A record batch of `schema(scores is not None)`.
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
    log_probs,
    label_log_prob,
    scores,
  )


def rank_scores(
  scores: np.ndarray, labels: np.ndarray, output: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Ranks all outputs of n examples.

  Args:
    scores: float [n, 1000], finite.
    labels: int [n], original labels, negative for none.
    output: `'logits'` or `'probabilities'`: what the scores are.

  Returns:
    int32 [n, 20], the best classes; float64 [n, 20], their log-probabilities;
    float64 [n], the log-probability of the label, NaN without one.
  """
  ranked = ranking.top_k(scores, STORED_CLASSES)
  if output == 'logits':
    log_probs = ranking.log_softmax(scores)
  else:
    with np.errstate(divide='ignore'):
      log_probs = np.log(scores.astype(np.float64))
  labelled = labels >= 0
  of_label = log_probs[np.arange(len(labels)), np.where(labelled, labels, 0)]
  return (
    ranked,
    np.take_along_axis(log_probs, ranked, axis=1),
    np.where(labelled, of_label, np.nan),
  )


def assemble(
  ids: pa.Array,
  hashes: pa.Array,
  labels: np.ndarray,
  real_labels: pa.Array,
  ranked: np.ndarray,
  log_probs: np.ndarray | None,
  label_log_prob: np.ndarray | None,
  scores: np.ndarray | None,
) -> pa.RecordBatch:
  """Puts the columns of n rows together.

  Args:
    ids, hashes, real_labels: as `schema` has them.
    labels: int [n], negative for none.
    ranked: int [n, k], classes, best first.
    log_probs: float [n, k]; None where nothing is known of them.
    label_log_prob: float [n], NaN for unknown; None where all are.
    scores: float [n, 1000] to keep as `logits`, or None.

  Returns:
    A record batch of `schema(scores is not None, k)`.
  """
  n, k = ranked.shape
  unknown = pa.nulls(n, pa.float32())
  columns = [
    ids,
    hashes,
    numbers(labels.astype(np.int32), labels < 0),
    real_labels,
    _fixed_size(ranked, np.int32),
    (
      pa.nulls(n, pa.list_(pa.float32(), k))
      if log_probs is None
      else _fixed_size(log_probs, np.float32)
    ),
    (
      unknown
      if label_log_prob is None
      else numbers(label_log_prob.astype(np.float32), np.isnan(label_log_prob))
    ),
  ]
  if scores is not None:
    columns.append(_fixed_size(scores, np.float32))
  return pa.record_batch(columns, schema=schema(scores is not None, k))


def _fixed_size(values: np.ndarray, dtype: type) -> pa.Array:
  flat: np.ndarray = np.ascontiguousarray(values, dtype).reshape(-1)
  return pa.FixedSizeListArray.from_arrays(numbers(flat), values.shape[1])
