"""Models and protocols as requests and settings ask for them."""

from tfeval import published
from tfeval import settings as settings_lib
from tfeval.errors import UserError
from tfeval.models import loading
from tfeval.models import model as model_lib
from tfeval.preprocess import protocol as protocol_lib
from tfeval.settings import Request, Settings


def load_model(request: Request, settings: Settings) -> model_lib.Model:
  """Loads a model for the size of images that the settings ask for, if they do."""
  settings = settings_lib.for_model(request, settings)
  size = protocol_lib.requested_size(
      published.protocol_text(settings.protocol, request.spec))
  if None not in (size, settings.input_size) and size != settings.input_size:
    raise UserError(f'--input_size={settings.input_size} contradicts '
                    f'--protocol={settings.protocol}: leave one out')
  return loading.load_model(
      request.spec, request.weights, preprocess=settings.preprocess,
      input_size=settings.input_size or size, output=settings.output,
      class_map=settings.class_map, output_name=settings.output_name,
      dtype=settings.dtype, trust_model=settings.trust_model)


def protocol_for(request: Request, settings: Settings,
                 model: model_lib.Model) -> protocol_lib.Protocol:
  """Returns what the settings ask for, at the size of the model's input."""
  return protocol_lib.resolve(
      published.protocol_text(settings.protocol, request.spec), model.input_size)
