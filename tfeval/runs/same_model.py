"""Whether runs are of one model."""

from tfeval.runs.result_file import ModelSection


def same_weights(one: ModelSection, other: ModelSection) -> bool | None:
  """Whether two models have the same weights, by what their runs have stored.

  Args:
    one, other: what runs say of their models.

  Returns:
    None where it is not known: no digest is stored of one of them, as of imported
    predictions.
  """
  digests = [x.weights_sha256 or x.values_sha256 for x in (one, other)]
  return None if None in digests else digests[0] == digests[1]
