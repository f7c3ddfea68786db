"""Models and protocols as a request and a config ask for them."""

import dataclasses

from tfeval.datasets.base import ImageDataset
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import ModelRequest, for_model, with_operations
from tfeval.models import loading, model, published
from tfeval.models.keras import features
from tfeval.preprocess import corruption_table, corruptions, protocol
from tfeval.runs.options import PENULTIMATE
from tfeval.utils.errors import UserError


def load_model(request: ModelRequest, config: EvaluationConfig) -> model.Model:
  """Loads a model for the size of images that the config asks for, if it does.

  Raises:
    UserError: it cannot be loaded, or two options name different sizes.
  """
  if request.loaded is not None:
    return _in_memory(request.loaded, config)
  config = for_model(request, config)
  if published.is_told(config.protocol, request.spec, request.weights):
    found = loading.load(request.spec, request.weights, config.model)
    size = protocol.requested_size(protocol_text(request, config, found))
    if config.model.input_size is None and size not in (None, found.input_size):
      known = dataclasses.replace(config.model, input_size=size)
      found = loading.load(request.spec, request.weights, known)
  else:
    size = protocol.requested_size(
      published.protocol_text(config.protocol, request.spec, weights=request.weights)
    )
    if None not in (size, config.model.input_size) and size != config.model.input_size:
      raise UserError(
        f'`input_size={config.model.input_size}` contradicts '
        f'`protocol={config.protocol}`: leave one out'
      )
    size = config.model.input_size or size
    known = dataclasses.replace(config.model, input_size=size)
    found = loading.load(request.spec, request.weights, known)
  return (
    found if request.name is None else dataclasses.replace(found, name=request.name)
  )


def _in_memory(loaded: model.Model, config: EvaluationConfig) -> model.Model:
  """Returns a model as it is in memory.

  Raises:
    UserError: the config asks for another dtype than it computes in.
  """
  if config.model.dtype not in (EvaluationConfig().model.dtype, loaded.dtype):
    raise UserError(
      f'{loaded.name} is in memory and computes in {loaded.dtype}: `dtype='
      f'{config.model.dtype}` is of models by name'
    )
  return loaded


def resolve_protocol(
  request: ModelRequest, config: EvaluationConfig, loaded: model.Model
) -> protocol.Protocol:
  """Returns the protocol that the config asks for, at the size of a model's input.

  Raises:
    UserError: there is none of that name, or it contradicts the size; or a model that
      takes encoded images is given one for pixels, or the other way round; or what a
      corruption needs is not there.
  """
  text = protocol_text(request, config, loaded)
  if loaded.takes_encoded and config.tta != protocol.NO_TTA:
    raise UserError(
      f'{loaded.name} takes encoded images, of which there are no other views: leave '
      f'`tta={config.tta}` out'
    )
  if loaded.takes_encoded and config.corruption != corruption_table.NONE:
    raise UserError(
      f'{loaded.name} takes encoded images, and corruptions are of pixels: leave '
      f'`corruption={config.corruption}` out'
    )
  if not loaded.takes_encoded:
    if text == protocol.ENCODED:
      raise UserError(
        f'`protocol={text}` is of models whose input is a string, {loaded.name} takes '
        'pixels: give another one'
      )
    found = protocol.resolve(text, loaded.input_size)
    if found.channels != loaded.channels:
      raise UserError(
        f'{loaded.name} takes images of {_channels(loaded.channels)}, the protocol '
        f'makes those of {found.channels}: give a model of RGB images, or in Python '
        'evaluate it on arrays of its own kind'
      )
    if found.is_corrupted:
      corruptions.check(corruption_table.parse(found.corruption))
    return found
  if text not in (protocol.ENCODED, EvaluationConfig().protocol):
    raise UserError(
      f'{loaded.name} takes encoded images, {protocol.BY_MODEL} and resized there: '
      f'leave `protocol={text}` out'
    )
  return protocol.resolve(protocol.ENCODED, 0)


def _channels(count: int) -> str:
  return f'{count} channel{"s" * (count != 1)}'


def protocol_text(
  request: ModelRequest, config: EvaluationConfig, loaded: model.Model
) -> str:
  """Returns the protocol of a config as a specification, `published` looked up.

  Raises:
    UserError: no such recipe is known of the model.
  """
  found = published.protocol_text(
    config.protocol,
    request.spec,
    loaded.backend.told_protocol,
    request.weights,
    loaded.backend.no_protocol,
  )
  return with_operations(found, config)


def resolve_features(
  config: EvaluationConfig, loaded: model.Model
) -> features.Tap | None:
  """Returns what takes the features that the config asks for, None if it does not.

  Raises:
    UserError: the model has none, or no such layer.
  """
  asked = config.store.features
  if asked is None:
    return None
  return features.tap_of(loaded, None if asked == PENULTIMATE else asked)


def check_encoded(loaded: model.Model, dataset: ImageDataset, caches: bool) -> None:
  """Checks that a model that takes encoded images can be handed those of a dataset.

  Args:
    loaded: the model.
    dataset: the dataset.
    caches: whether pixels are to be kept.

  Raises:
    UserError: it cannot.
  """
  if not loaded.takes_encoded:
    return
  if not dataset.encoded:
    raise UserError(
      f'{loaded.name} takes encoded images, those of {dataset.name} are pixels: give '
      'a dataset of image files, or a model that takes pixels'
    )
  if caches:
    raise UserError(
      f'{loaded.name} takes encoded images, {protocol.BY_MODEL}, and `cache_dir` keeps '
      'pixels: leave it out'
    )
