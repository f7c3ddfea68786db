"""The metric `confidence`: how sure a model is of its first classes, on average."""

from tfeval.metrics import collectors
from tfeval.metrics.registry import Metric

METRIC = Metric(
  'mean probability of the best class',
  collectors.Confidences,
  lambda found: float(found.confidence.mean()),
)
