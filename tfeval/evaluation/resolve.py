"""Models and protocols as requests and settings ask for them."""

from tfeval.evaluation import config
from tfeval.evaluation.config import Request, Settings
from tfeval.models import loading, model, published
from tfeval.preprocess import protocol
from tfeval.utils.errors import UserError


def load_model(request: Request, settings: Settings) -> model.Model:
  """Loads a model for the size of images that the settings ask for, if they do.

  Raises:
    UserError: it cannot be loaded, or two settings name different sizes.
  """
  settings = config.for_model(request, settings)
  size = protocol.requested_size(
    published.protocol_text(settings.protocol, request.spec)
  )
  if None not in (size, settings.input_size) and size != settings.input_size:
    raise UserError(
      f'`input_size={settings.input_size}` contradicts '
      f'`protocol={settings.protocol}`: leave one out'
    )
  return loading.load_model(
    request.spec,
    request.weights,
    preprocess=settings.preprocess,
    input_size=settings.input_size or size,
    output=settings.output,
    class_map=settings.class_map,
    output_name=settings.output_name,
    dtype=settings.dtype,
    trust_model=settings.trust_model,
  )


def resolve_protocol(
  request: Request, settings: Settings, loaded: model.Model
) -> protocol.Protocol:
  """Returns the protocol that the settings ask for, at the size of a model's input.

  Raises:
    UserError: there is none of that name, or it contradicts the size.
  """
  return protocol.resolve(
    published.protocol_text(settings.protocol, request.spec), loaded.input_size
  )
