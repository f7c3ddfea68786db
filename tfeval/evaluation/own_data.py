"""Data of the user's beside a model in memory."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfeval.datasets import in_memory, own_forms, subset
from tfeval.datasets.base import ImageDataset
from tfeval.evaluation.config import GIVEN
from tfeval.models.keras.backend import takes_texts
from tfeval.models.keras.preprocessor import preprocessor_of
from tfeval.models.model import Model, preprocessing
from tfeval.utils import errors
from tfeval.utils.errors import UserError

_IDENTITY = 'identity'
# What is of datasets that tfeval opens itself.
_OF_NAMES = (
  *('split', 'data_dir', 'manual_dir', 'real_labels', 'on_error', 'labels'),
  *('class_folders', 'only'),
)


@dataclasses.dataclass(frozen=True)
class OwnData:
  """The dataset, and what follows from it for the model.

  Attributes:
    dataset: the user's.
    labels: all of them, where they are at hand, see `own_forms.labels_of`.
    classes: their names, how many there are, or None for what can be known.
    keywords: of the evaluation, with what follows from the dataset.
    as_it_stands: whether images are the model's input already.
    resized: whether a protocol resizes them.
    channels: of the images.
  """

  dataset: tf.data.Dataset
  labels: list[np.ndarray] | None
  classes: Sequence[str] | int | None
  keywords: dict[str, Any]
  as_it_stands: bool
  resized: bool
  channels: int

  @classmethod
  def of(
    cls,
    model: Any,
    dataset: Any,
    classes: Sequence[str] | int | None,
    given: Mapping[str, Any],
  ) -> Self | None:
    """Returns it, None for a dataset by name.

    Args:
      model, dataset, classes: as they were given to `tfeval.evaluate`.
      given: its other keywords.

    Raises:
      UserError: a keyword is none of such a dataset, or its elements are no images.
    """
    given_dataset, dataset = dataset, own_forms.as_dataset(dataset)
    if dataset is None:
      return None
    labels = own_forms.labels_of(given_dataset)
    for name in _OF_NAMES:
      if given.get(name) is not None:
        raise UserError(f'`{name}` is of datasets that have a name: leave it out')
    if None not in (given.get('sample'), given.get('limit')):
      raise UserError('`sample` and `limit` were both given: leave one out')
    resized = given.get('protocol') not in (None, GIVEN)
    as_it_stands = given.get('preprocess') is None and not resized
    height, width, channels = in_memory.shape_of(dataset)
    keywords = {'protocol': GIVEN, **given}
    if not resized and channels not in (3, None):
      keywords['protocol'] = f'{GIVEN}:channels={channels}'
    if not isinstance(model, Model):  # Of which all is known.
      if as_it_stands and not takes_texts(model):
        keywords['preprocess'] = _IDENTITY
      if not resized and height == width is not None and not takes_texts(model):
        keywords.setdefault('input_size', width)
    return cls(dataset, labels, classes, keywords, as_it_stands, resized, channels or 3)

  def fed(self, model: Model) -> Model:
    """Returns a model that is fed as the dataset's images are.

    Raises:
      UserError: it takes others.
    """
    if model.takes_encoded:
      raise UserError(
        f'{model.name} takes encoded images, those of dataset are pixels: give a '
        'dataset of image files by name, or a model that takes pixels'
      )
    model = dataclasses.replace(model, channels=self.channels)
    if not self.as_it_stands or preprocessor_of(model.backend.model) is not None:
      return model
    expected = model.backend.input_spec.channels
    if expected not in (None, self.channels):
      raise UserError(
        f'{model.name} takes images of {expected} channels, those of the dataset have '
        f'{self.channels}: convert them, or give a `preprocess` that does'
      )
    return dataclasses.replace(
      model,
      preprocess=preprocessing(_IDENTITY),
      preprocess_name=_IDENTITY,
      preprocess_sha256=None,
      preprocess_changes=(),
    )

  @property
  def told_classes(self) -> Sequence[str] | int | None:
    """The classes without a model; None: these are not known."""
    return self.classes or in_memory.class_names(self.dataset)

  def open(self, model: Model | None) -> ImageDataset:
    """Returns the dataset as the engine is given it.

    Args:
      model: tells the classes where nothing else does; None: not there yet.

    Raises:
      UserError: the model cannot be traced to count them, the classes cannot be known,
        or as `in_memory.open_dataset` and `subset.sample`.
    """
    classes = self.told_classes
    if model is not None and (
      classes is None
      or (
        isinstance(classes, int)
        and model.label_space
        and len(model.label_space) == classes
      )
    ):
      classes = model.label_space or model.outputs or _traced_outputs(model)
    if classes is None:
      raise UserError(
        'how many classes the dataset has cannot be known: give `classes`, their names '
        'or how many'
      )
    limit, size = self.keywords.get('limit'), self.keywords.get('sample')
    found = in_memory.open_dataset(
      self.dataset, classes, limit, self.resized, self.labels
    )
    return found if size is None else subset.sample(found, str(size))


def _traced_outputs(model: Model) -> int | None:
  """Returns how many outputs a model has, by its graph; None: that does not tell."""
  side = model.input_size
  images = tf.TensorSpec([None, side, side, model.channels], tf.float32)
  try:
    traced = tf.function(model, autograph=False).get_concrete_function(images)
  except UserError:
    raise
  except Exception as error:  # The user's own code may raise anything.
    raise UserError(
      f'{model.name} cannot run on images of the dataset, {list(images.shape)}: '
      f'{errors.one_line(error)}'
    ) from error
  return traced.output_shapes[-1]
