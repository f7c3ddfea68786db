"""What models predicted for single images, ranked and named."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfeval.datasets.labels import imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics import ranking


@dataclasses.dataclass(frozen=True)
class ClassPrediction:
  """One of a model's highest classes for an image.

  Attributes:
    rank: from 1.
    index: of the class, from 0.
    wnid: its WordNet id, such as `'n01440764'`, or another one.
    name: its readable name, such as `'great_white_shark'`.
    probability: what the model gives it.
  """

  rank: int
  index: int
  wnid: str
  name: str
  probability: float

  def describe(self) -> dict[str, Any]:
    """Returns the entry of `--json`."""
    return {
      'rank': self.rank,
      'class': self.index,
      'wnid': self.wnid,
      'name': self.name.replace('_', ' '),
      'probability': self.probability,
    }


@dataclasses.dataclass(frozen=True)
class PredictingModel:
  """A model, as tables and figures name it.

  Attributes:
    name: as it was asked for, and `@WEIGHTS` for other weights than imagenet.
    protocol: how images became its pixels, such as `'opencv'`.
    size: side of its input in pixels.
  """

  name: str
  protocol: str
  size: int


@dataclasses.dataclass(frozen=True)
class ImagePredictions:
  """One image and what every model predicted.

  Attributes:
    path: of the image's file, as it was given.
    predictions: for each model, its highest classes.
    crops: for each model, the file of the pixels that it saw; empty where none were
      asked for.
  """

  path: str
  predictions: tuple[tuple[ClassPrediction, ...], ...]
  crops: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class FailedImage:
  """An image that could not be decoded, among others that could.

  Attributes:
    path: of the image's file, as it was given.
    reason: what is wrong with it.
  """

  path: str
  reason: str


def rank(
  scores: np.ndarray, top: int, logits: bool, space: LabelSpace | None = None
) -> tuple[ClassPrediction, ...]:
  """Ranks a model's outputs for one image as the metrics do.

  Args:
    scores: float [classes], finite.
    top: how many classes, at most all.
    logits: whether the scores are logits; else they are probabilities.
    space: the classes; None: nothing names them but their count. 1000 are then those
      of ILSVRC2012.
  """
  space = space or _numbered(len(scores))
  best = ranking.top_k(scores[None], min(top, len(scores)))[0]
  probabilities = np.exp(ranking.log_softmax(scores[None])[0]) if logits else scores
  return tuple(
    ClassPrediction(
      place,
      int(index),
      space.class_ids[index],
      space.class_names[index],
      float(probabilities[index]),
    )
    for place, index in enumerate(best, 1)
  )


def _numbered(outputs: int) -> LabelSpace:
  if outputs == len(imagenet.label_space()):
    return imagenet.label_space()
  ids = tuple(map(str, range(outputs)))
  return LabelSpace('outputs', ids, tuple(f'output {one}' for one in ids))


def short(probability: float) -> str:
  """Returns a probability with three decimals.

  >>> short(0.12345), short(0.0001), short(0)
  ('0.123', '<0.001', '0.000')
  """
  return '<0.001' if 0 < probability < 0.0005 else f'{probability:.3f}'


def describe(
  models: Iterable[PredictingModel], images: Iterable[ImagePredictions]
) -> list[dict[str, Any]]:
  """Returns what `--json` prints: an entry for each image."""
  models = list(models)
  return [
    {'path': image.path, 'models': describe_image(models, image)} for image in images
  ]


def describe_image(
  models: Sequence[PredictingModel], image: ImagePredictions
) -> list[dict[str, Any]]:
  """Returns what JSON says of an image: an entry for each model."""
  found: list[dict[str, Any]] = []
  for number, model in enumerate(models):
    one: dict[str, Any] = {
      'model': model.name,
      'protocol': model.protocol,
      'size': model.size,
    }
    if image.crops:
      one['crop'] = image.crops[number]
    one['predictions'] = [each.describe() for each in image.predictions[number]]
    found.append(one)
  return found
