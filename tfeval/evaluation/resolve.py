"""Models and protocols as requests and settings ask for them."""

from tfeval.evaluation import config
from tfeval.evaluation.config import Request, Settings
from tfeval.models import loading, published
from tfeval.models import model as model_lib
from tfeval.preprocess import protocol
from tfeval.utils.errors import UserError


def load_model(request: Request, settings: Settings) -> model_lib.Model:
  """Loads a model for the size of images that the settings ask for, if they do."""
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


def protocol_for(
  request: Request, settings: Settings, model: model_lib.Model
) -> protocol.Protocol:
  """Returns what the settings ask for, at the size of the model's input."""
  return protocol.resolve(
    published.protocol_text(settings.protocol, request.spec), model.input_size
  )
