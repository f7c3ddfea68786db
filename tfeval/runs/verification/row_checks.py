"""Whether stored rows agree with themselves, column with column."""

import numpy as np
import pyarrow as pa

from tfeval.metrics.competition import Rule
from tfeval.utils import arrow
from tfeval.utils.arrow import to_numpy

# Of a log-probability stored twice as float32.
_TOLERANCE = 1e-6


def fault(part: pa.Table, suffix: str = '', rule: Rule | None = None) -> str | None:
  """Returns what is wrong with stored rows, and in which first; None: nothing is.

  The classes of a row must differ, their log-probabilities descend (ties are
  allowed), and that of the label must be the one that stands beside it among the
  classes, or be none above the last of them. Types, ranges and NaN are for
  `predictions.read_parts` to refuse.

  Args:
    part: rows of `predictions.schema`, all of it but `logits`.
    suffix: behind the names of the columns, such as `@restricted`.
    rule: which classes mean the same; None: none do.
  """
  classes, log_probs = (
    arrow.matrix(part[name + suffix]) for name in ('classes', 'log_probs')
  )
  label = to_numpy(part['label'], null=-1)
  label = label if rule is None else rule.named(label)
  of_label = to_numpy(part['label_log_prob' + suffix], null=np.nan)
  ordered = np.sort(classes, axis=1)
  beside = classes == label[:, None]
  ranked, known = beside.any(axis=1), to_numpy(part['log_probs' + suffix].is_valid())
  expected = np.where(
    ranked, log_probs[np.arange(len(label)), beside.argmax(axis=1)], np.nan
  )
  unknown = np.isnan(of_label)
  # `isclose` takes equal infinities, of a probability of zero, for close.
  agrees = np.isclose(of_label, expected, rtol=0, atol=_TOLERANCE)
  found = {
    'a class twice': (ordered[:, 1:] == ordered[:, :-1]).any(axis=1),
    'log_probs that do not descend': (log_probs[:, 1:] > log_probs[:, :-1]).any(axis=1),
    'a label_log_prob without a label': (label < 0) & ~unknown,
    'a label_log_prob that is not the one beside its label': ranked & known & ~agrees,
    'a label_log_prob above those of its classes, which lack the label': ~ranked
    & known
    & (of_label > log_probs[:, -1] + _TOLERANCE),
  }
  for what, rows in found.items():
    if rows.any():
      first = part['id'][int(rows.argmax())].as_py()
      return f'{int(rows.sum()):,} rows have {what}, such as {first[:80]}'
  return None
