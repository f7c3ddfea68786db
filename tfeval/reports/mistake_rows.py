"""Mistakes as rows of files and as JSON; the guide `mistakes` explains each column."""

from typing import Any

import pyarrow as pa

from tfeval.analysis.answered_rows import TOP
from tfeval.analysis.hardest import HardImage
from tfeval.analysis.mistake import Mistake, NamedClass
from tfeval.runs.top_classes import ClassPrediction
from tfeval.utils.row_files import finite

_INDICES, _NAMES = pa.list_(pa.int32()), pa.list_(pa.string())
_FIRST = [
  ('rank', pa.int64()),
  ('id', pa.string()),
  ('label', pa.int32()),
  ('label_id', pa.string()),
  ('label_name', pa.string()),
  ('right', _INDICES),
  ('real', _INDICES),
  ('right_by_real', pa.bool_()),
  ('loss', pa.float64()),
]
_PREDICTED = [
  column
  for place in range(1, TOP + 1)
  for column in (
    (f'class_{place}', pa.int32()),
    (f'class_id_{place}', pa.string()),
    (f'name_{place}', pa.string()),
    (f'probability_{place}', pa.float64()),
  )
]
_OTHER = [
  ('is_right', pa.bool_()),
  ('other_class', pa.int32()),
  ('other_class_id', pa.string()),
  ('other_name', pa.string()),
  ('other_probability', pa.float64()),
  ('other_is_right', pa.bool_()),
]
_HARD = [
  ('missed', pa.int32()),
  ('said', pa.int32()),
  ('said_id', pa.string()),
  ('said_name', pa.string()),
  ('said_by', pa.int32()),
  ('mean_probability', pa.float64()),
]


def schema(other: bool, hard: bool = False) -> pa.Schema:
  """Returns the columns of a file.

  Args:
    other: whether another run is beside it.
    hard: whether several runs are counted.
  """
  hard_first = _HARD if hard else []
  return pa.schema([*_FIRST, *hard_first, *_PREDICTED, *(_OTHER if other else [])])


def row(rank: int, mistake: Mistake) -> dict[str, Any]:
  """Returns a mistake by the columns of `schema`."""
  label = mistake.label
  found: dict[str, Any] = {
    'rank': rank,
    'id': mistake.id,
    'label': label and label.index,
    'label_id': label and label.id,
    'label_name': label and label.name,
    'right': [one.index for one in mistake.right],
    'real': None if mistake.real is None else [one.index for one in mistake.real],
    'right_by_real': mistake.right_by_real,
    'loss': mistake.loss,
  }
  for place, one in enumerate(mistake.predictions, 1):
    found |= {
      f'class_{place}': one.index,
      f'class_id_{place}': one.wnid,
      f'name_{place}': name(one),
      f'probability_{place}': finite(one.probability),
    }
  if mistake.other is not None:
    found |= {
      'is_right': mistake.is_right,
      'other_class': mistake.other.index,
      'other_class_id': mistake.other.wnid,
      'other_name': name(mistake.other),
      'other_probability': finite(mistake.other.probability),
      'other_is_right': mistake.other_is_right,
    }
  return found


def hard_row(rank: int, image: HardImage) -> dict[str, Any]:
  """Returns an image that several runs miss by the columns of `schema`."""
  return row(rank, image.mistake) | {
    'missed': image.missed,
    'said': image.said.index,
    'said_id': image.said.id,
    'said_name': image.said.name,
    'said_by': image.said_by,
    'mean_probability': image.confidence,
  }


def described(mistake: Mistake) -> dict[str, Any]:
  """Returns a mistake as JSON; unknown numbers and infinite losses are null."""
  found: dict[str, Any] = {
    'id': mistake.id,
    'label': mistake.label and _class(mistake.label),
    'right': [_class(one) for one in mistake.right],
    'real': None if mistake.real is None else [_class(one) for one in mistake.real],
    'right_by_real': mistake.right_by_real,
    'predictions': [one.describe() for one in mistake.predictions],
    'confidence': mistake.confidence,
    'loss': mistake.loss,
  }
  if mistake.other is not None:
    found |= {
      'is_right': mistake.is_right,
      'other': mistake.other.describe(),
      'other_is_right': mistake.other_is_right,
    }
  return finite(found)


def described_hard(image: HardImage) -> dict[str, Any]:
  """Returns an image that several runs miss as JSON."""
  return {
    'missed': image.missed,
    'said': _class(image.said),
    'said_by': image.said_by,
    'mean_probability': image.confidence,
    **described(image.mistake),
  }


def name(prediction: ClassPrediction) -> str:
  """Returns the readable name of a class."""
  return prediction.name.replace('_', ' ')


def _class(one: NamedClass) -> dict[str, Any]:
  return {'class': one.index, 'wnid': one.id, 'name': one.name}
