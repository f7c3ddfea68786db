"""What models see on images: what `tfeval predict` shows."""

import dataclasses
from collections.abc import Mapping, Sequence

from tfeval.runs.top_classes import ImagePredictions, PredictingModel
from tfeval.utils.shown import Shown


@dataclasses.dataclass(frozen=True, repr=False)
class Predictions(Shown):
  """Answers of models to images.

  Attributes:
    models: those that could be loaded.
    images: each with the highest classes of each model.
    failed: what is wrong with the other models, by name.
  """

  DOCUMENT = 'tfeval.reports.page.of_predictions:document'

  models: Sequence[PredictingModel]
  images: Sequence[ImagePredictions]
  failed: Mapping[str, str] = dataclasses.field(default_factory=dict)
