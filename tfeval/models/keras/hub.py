"""Image classifiers of KerasHub, by the name or the folder of a preset."""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Iterator
from typing import Any

from tfeval.models.keras.files import described
from tfeval.models.keras.legacy import backend_of
from tfeval.models.model import Model
from tfeval.models.options import ModelOptions
from tfeval.utils import errors
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec

PREFIX = 'kerashub:'


def load(spec: Spec, weights: str, known: ModelOptions) -> Model:
  """Loads a preset, with the numbers of its own converter.

  Args:
    spec: `kerashub:NAME`, a name of KerasHub or Hugging Face (`hf://...`), or a folder
      that `save_to_preset` wrote; options are arguments of `from_preset`.
    weights: `'imagenet'`: those of the preset; `'none'`.
    known: what it does not tell.

  Raises:
    UserError: KerasHub is not there, or has no such classifier.
  """
  name = spec.target.removeprefix(PREFIX)
  if weights not in ('imagenet', 'none'):
    raise UserError(f'{spec.text} has the weights of its preset: leave weights out')
  task = _task(name, {'load_weights': weights != 'none', **dict(spec.options)})
  side = getattr(getattr(task, 'preprocessor', None), 'image_size', None)
  if known.input_size is None and side is not None and None not in tuple(side):
    known = dataclasses.replace(known, input_size=int(tuple(side)[0]))
  return described(backend_of(task), spec.text, known, 'model', None)


def _task(name: str, options: dict[str, Any]) -> Any:
  try:
    import keras_hub
  except ImportError as error:
    raise UserError(
      f'kerashub:{name} needs KerasHub ({error}): pip install "tfeval[kerashub]"'
    ) from error
  presets = keras_hub.models.ImageClassifier.presets
  is_known = name in presets or '://' in name or os.path.isdir(name)
  if not is_known:
    raise errors.unknown('preset of KerasHub', name, presets, 'or a folder of one')
  try:
    with _without_retries():
      return keras_hub.models.ImageClassifier.from_preset(name, **options)
  except Exception as error:  # What a preset and a hub make it raise is open.
    way = 'give a folder that save_to_preset of an image classifier wrote'
    if not os.path.isdir(name):
      handle = presets[name].get('kaggle_handle', name) if name in presets else name
      way = (
        f'where there is no network, download {handle} elsewhere, a folder with '
        'config.json and model.weights.h5, and give kerashub:FOLDER'
      )
    raise UserError(
      f'kerashub:{name} cannot be loaded: {errors.one_line(error, 100)}: {way}'
    ) from error


@contextlib.contextmanager
def _without_retries() -> Iterator[None]:
  """Keeps the hub's own lines about each of its attempts to itself."""
  logger = logging.getLogger('huggingface_hub')
  before = logger.level
  logger.setLevel(logging.CRITICAL)
  try:
    yield
  finally:
    logger.setLevel(before)
