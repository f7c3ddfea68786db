"""`tfeval predict`."""

import pathlib

from tfeval.cli import console, input_flags, output
from tfeval.datasets import image_files
from tfeval.datasets.labels import imagenet
from tfeval.reports import failures, figures, formats
from tfeval.runs.run import Failure
from tfeval.utils import progress
from tfeval.utils.errors import UserError, listed

USAGE = """Usage: tfeval predict IMAGE... --model=NAME [--model=NAME ...] [--flags]

IMAGE is a JPEG or PNG, or a folder of them.

  tfeval predict cat.jpg photos/ --model=ResNet50 --model=EfficientNetLite0"""


def define_flags(define) -> None:
  input_flags.define_models(define)
  input_flags.define(define, ('model', 'protocol'), without=('feed',))
  define.integer(
    'top',
    5,
    'How many classes of each model to show.',
    lower_bound=1,
    upper_bound=len(imagenet.label_space()),
  )
  define.bool(
    'json',
    False,
    'Print a list of JSON objects on stdout, one for each image, nothing else.',
  )
  define.string(
    'figure',
    None,
    'Also draw the images and the answers into this .png, '
    ".pdf or .svg; needs pip install 'tfeval[figure]'.",
  )


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no image was given: tfeval predict IMAGE... --model=NAME')
  requests, config = input_flags.read_requests(flags)
  paths = image_files.find_images(arguments)
  figure = None
  if flags.figure is not None:
    figure = pathlib.Path(flags.figure).expanduser()
    figures.check_figure(figure, len(paths), len(requests), flags.top)
  with console.quiet_tensorflow():
    from tfeval.evaluation import predict  # TensorFlow: seconds.

    # A few are done before one could read it.
    show = progress.on_stderr if len(paths) >= 20 else progress.hidden
    with show('predict', len(paths)) as advance:
      models, images, failed = predict.predict_images(
        requests, config, paths, flags.top, advance
      )
    # While TensorFlow may speak: it decodes.
    drawn = paths if figure else []
    photos = [predict.thumbnail(path, figures.PHOTO_PIXELS) for path in drawn]
  output.print_report(formats.PREDICTIONS, flags.json, models, images)
  if figure:
    figures.draw_answers(figure, models, images, photos)
    output.say(f'the figure is in {figure}')
  if failed:
    found = failures.grouped([Failure(*one) for one in failed.items()])
    told = [f'{listed(names)}: {why}' for why, names in found]
    told.insert(0, f'{len(failed)} of {len(requests)} models failed')
    raise UserError('; '.join(told))
  return 0
