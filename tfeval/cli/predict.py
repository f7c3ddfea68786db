"""`tfeval predict`."""

import pathlib

from tfeval.api.predict import PARTS, WITHOUT, predict
from tfeval.cli import console, input_flags, output
from tfeval.datasets import image_files
from tfeval.datasets.labels import imagenet
from tfeval.reports import failures, figures, formats
from tfeval.runs.run import Failure
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval predict IMAGE... --model=NAME [--model=NAME ...] [--flags]

IMAGE is a JPEG or PNG, or a folder of them.

  tfeval predict cat.jpg photos/ --model=ResNet50 --model=EfficientNetLite0"""


def define_flags(define) -> None:
  input_flags.define_models(define)
  input_flags.define(define, PARTS, without=WITHOUT)
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
  requests, _ = input_flags.read_requests(flags)
  paths = image_files.find_images(arguments)
  figure = None
  if flags.figure is not None:
    figure = pathlib.Path(flags.figure).expanduser()
    figures.check_figure(figure, len(paths), len(requests), flags.top)
  found = predict(
    paths,
    flags.model,
    weights=flags.weights,
    top=flags.top,
    progress=True,
    **input_flags.given(flags),
  )
  output.print_report(formats.PREDICTIONS, flags.json, found)
  if figure:
    with console.quiet_tensorflow():
      from tfeval.evaluation.predict import thumbnail

      photos = [thumbnail(path, figures.PHOTO_PIXELS) for path in paths]
    figures.draw_answers(figure, found.models, found.images, photos)
    output.say(f'the figure is in {figure}')
  if failed := found.failed:
    grouped = failures.grouped([Failure(*one) for one in failed.items()])
    told = [f'{failures.some(names)}: {why}' for why, names in grouped]
    told.insert(0, f'{len(failed)} of {len(requests)} models failed')
    raise UserError('; '.join(told))
  return 0
