"""`tfeval.predict`."""

import os
from typing import TYPE_CHECKING, Any

from tfeval.api import around, requests
from tfeval.datasets import image_files
from tfeval.utils import progress as showing
from tfeval.utils.arguments import several, whole_number
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.runs.predicted import Predictions

# Options that single images have no use for.
PARTS = ('model', 'protocol')
WITHOUT = ('feed',)
# A few are done before one could read it.
_SHOWN_FROM = 20


def predict(
  images: Any,
  model: Any,
  *,
  weights: Any = 'imagenet',
  top: int = 5,
  progress: bool | None = None,
  **given: Any,
) -> 'Predictions':
  """Asks models what is on images.

      tfeval.predict(['cat.jpg', 'photos'], ['ResNet50', 'EfficientNetLite0'])

  Args:
    images: files, or folders of such, one or several.
    model: names of models, models in memory, or several of either.
    weights: of models by name: one for all or one for each.
    top: how many classes of each model are returned, at most all.
    progress: whether to show progress on stderr; by default if that is a terminal.
    **given: `protocol`, and of models in memory or in files `preprocess`, `output`,
      `input_size` and others, as `tfeval predict --help` lists them.

  Returns:
    The answers; `failed` says which of several models could not be loaded.

  Raises:
    UserError: an image cannot be read, no model can be loaded, or a value is none.
  """
  kinds = str | os.PathLike
  listed = [images] if isinstance(images, kinds) else images
  paths = [
    os.fspath(one) for one in several('images', listed, kinds, 'paths of images')
  ]
  if not paths:
    raise UserError('no image was given: give files, or folders of such, as `images`')
  top = whole_number('top', top)
  config = requests.config(given, WITHOUT)
  requested = requests.requests(model, weights, [config])
  files = image_files.find_images(paths)
  show = around.progress_of(progress)
  if len(files) < _SHOWN_FROM:
    show = showing.hidden
  with around.tensorflow():
    from tfeval.evaluation import predict as predicting  # TensorFlow: seconds.
    from tfeval.runs.predicted import Predictions

    with show('predict', len(files)) as advance:
      return Predictions(
        *predicting.predict_images(requested, config, files, top, advance)
      )
