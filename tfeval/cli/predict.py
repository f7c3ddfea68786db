"""`tfeval predict`."""

import contextlib
import pathlib
import sys

from tfeval.cli import console, input_flags
from tfeval.datasets import image_files
from tfeval.datasets.labels import imagenet
from tfeval.reports import figures, predictions, terminal
from tfeval.runs import top_classes
from tfeval.utils import progress
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval predict IMAGE... --model=NAME [--model=NAME ...] [--flags]

IMAGE is a JPEG or PNG, or a folder of them.

  tfeval predict cat.jpg photos/ --model=ResNet50 --model=EfficientNetLite0"""


def define_flags(define) -> None:
  input_flags.define_models(define)
  input_flags.define(define, ('model', 'protocol'))
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
  wanted, config = input_flags.read(flags)
  paths = image_files.find(arguments)
  figure = None
  if flags.figure is not None:
    figure = pathlib.Path(flags.figure).expanduser()
    figures.check(figure, len(paths), len(wanted), flags.top)
  with console.quiet_tensorflow():
    from tfeval.evaluation import predict  # TensorFlow: seconds.

    with _progress(len(paths)) as advance:
      models, images, failed = predict.predict_images(
        wanted, config, paths, flags.top, advance
      )
    # While TensorFlow may speak: it decodes.
    photos = (
      [predict.thumbnail(path, figures.PHOTO_PIXELS) for path in paths]
      if figure
      else []
    )
  if flags.json:
    terminal.print_json(top_classes.describe(models, images))
  else:
    _print_tables(models, images)
  if figure:
    figures.draw_answers(figure, models, images, photos)
  if failed:
    raise UserError(
      '; '.join(
        [
          f'{len(failed)} of {len(wanted)} models failed',
          *(f'{name}: {why}' for name, why in failed.items()),
        ]
      )
    )
  return 0


def _progress(images: int):
  # A few are done before one could read it.
  return (
    progress.on_stderr('predict', images)
    if images >= 20
    else contextlib.nullcontext(lambda count: None)
  )


def _print_tables(models, images) -> None:
  for number, image in enumerate(images):
    if number:
      print()
    print(image.path)
    for table in predictions.answers_tables(models, image):
      terminal.print_table(table, sys.stdout)
