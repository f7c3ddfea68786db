"""A `tf.data.Dataset` of the user's beside a model in memory."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Self

import tensorflow as tf

from tfeval.datasets import in_memory, subset
from tfeval.datasets.base import ImageDataset
from tfeval.evaluation.config import GIVEN
from tfeval.models.keras.preprocessor import preprocessor_of
from tfeval.models.model import Model, preprocessing
from tfeval.utils.errors import UserError

_IDENTITY = 'identity'
# What is of datasets that tfeval opens itself.
_OF_NAMES = (
  *('split', 'data_dir', 'manual_dir', 'real_labels', 'on_error', 'labels'),
  'class_folders',
)


@dataclasses.dataclass(frozen=True)
class OwnData:
  """The dataset, and what follows from it for the model.

  Attributes:
    dataset: the user's.
    classes: their names, how many there are, or None for what can be known.
    keywords: of the evaluation, with what follows from the dataset.
    as_it_stands: whether images are the model's input already.
  """

  dataset: tf.data.Dataset
  classes: Sequence[str] | int | None
  keywords: dict[str, Any]
  as_it_stands: bool

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
    if not isinstance(dataset, tf.data.Dataset):
      return None
    for name in _OF_NAMES:
      if given.get(name) is not None:
        raise UserError(f'`{name}` is not of a tf.data.Dataset: leave it out')
    if None not in (given.get('sample'), given.get('limit')):
      raise UserError('`sample` and `limit` were both given: leave one out')
    resized = given.get('protocol') not in (None, GIVEN)
    as_it_stands = given.get('preprocess') is None and not resized
    keywords = {'protocol': GIVEN, **given}
    if not isinstance(model, Model):  # Of which all is known.
      if as_it_stands:
        keywords['preprocess'] = _IDENTITY
      side = in_memory.side_of(dataset)
      if not resized and side is not None:
        keywords.setdefault('input_size', side)
    return cls(dataset, classes, keywords, as_it_stands)

  def fed(self, model: Model) -> Model:
    """Returns a model that is fed as the dataset's images are."""
    if not self.as_it_stands or preprocessor_of(model.backend.model) is not None:
      return model
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
      UserError: the classes cannot be known, or as `in_memory.open_dataset` and
        `subset.sample`.
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
      classes = model.label_space or model.outputs
    if classes is None:
      raise unknown_classes()
    encoded = self.keywords['protocol'] != GIVEN
    limit, size = self.keywords.get('limit'), self.keywords.get('sample')
    found = in_memory.open_dataset(self.dataset, classes, limit, encoded)
    return found if size is None else subset.sample(found, str(size))


def unknown_classes() -> UserError:
  """Returns the error of a dataset whose classes nothing tells."""
  return UserError(
    'how many classes the dataset has cannot be known: give `classes`, their names '
    'or how many'
  )
