"""`tfeval predict`."""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api.predict import PARTS, WITHOUT
from tfeval.cli import console, input_flags, output
from tfeval.cli.command_flags import with_dashes
from tfeval.datasets import image_files
from tfeval.datasets.labels import imagenet
from tfeval.datasets.options import FAIL, ON_ERROR, SKIP
from tfeval.reports import failures, figures, formats
from tfeval.runs.predicted import Predictions
from tfeval.runs.run import Failure
from tfeval.utils import progress
from tfeval.utils.errors import UserError, listed

if TYPE_CHECKING:
  from tfeval.evaluation.config import EvaluationConfig
  from tfeval.evaluation.plans import ModelRequest
  from tfeval.runs.top_classes import FailedImage, ImagePredictions, PredictingModel

USAGE = """Usage: tfeval predict IMAGE... --model=NAME [--model=NAME ...] [--flags]

IMAGE is a JPEG or PNG, or a folder of them, with the folders inside of it.

  tfeval predict cat.jpg photos/ --model=ResNet50 --model=EfficientNetLite0
  tfeval predict photos/ --model=ResNet50 --output_file=a.csv --on_error=skip
  tfeval predict cat.jpg --model=ResNet50 --crops=seen"""

# What `--help` shows first.
FIRST = (
  *('model', 'weights', 'protocol', 'top', 'output_file', 'figure', 'crops'),
  *('on_error', 'overwrite', 'json'),
)
# Of more images that a file holds no tables are printed.
_MOST_TABLES = 50
# A few are done before one could read it.
_MOST_HIDDEN = 19


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
    'output_file',
    None,
    'Write a row for each image and model to this file as it is done: .csv, .parquet '
    f'or .jsonl. Of more than {_MOST_TABLES} images no tables are printed then.',
  )
  define.string(
    'figure',
    None,
    'Also draw the images and the answers into this .png, '
    ".pdf or .svg; needs pip install 'tfeval[figure]'.",
  )
  define.string(
    'crops',
    None,
    'Also write what each model sees, before normalisation, as DIR/MODEL/IMAGE.png.',
  )
  define.enum(
    'on_error',
    FAIL,
    list(ON_ERROR),
    'fail: stop at an image that cannot be decoded, and write nothing; skip: go on '
    'without it, and name it.',
  )
  define.bool('overwrite', False, 'Replace files that are there.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no image was given: tfeval predict IMAGE... --model=NAME')
  requests, config = input_flags.read_requests(flags)
  skip = flags.on_error == SKIP
  files = _files(flags)
  paths = image_files.find_images(arguments, check=not skip)
  if 'figure' in files:
    figures.check_size(files['figure'], len(paths), len(requests), flags.top)
  with console.quiet_tensorflow():
    from tfeval.evaluation import predict  # TensorFlow: seconds.

    models, images, broken, failed = _predicted(flags, requests, config, paths, files)
    # While TensorFlow may speak: it decodes.
    drawn = [pathlib.Path(one.path) for one in images] if 'figure' in files else []
    photos = [predict.small_picture(path, figures.PHOTO_PIXELS) for path in drawn]
  if flags.json or (images and not _is_summed_up(files, paths)):
    shown = Predictions(models, images, failed)
    output.print_report(formats.PREDICTIONS, flags.json, shown)
  if drawn:
    figures.draw_answers(files['figure'], models, images, photos)
  _tell(files, drawn, len(paths), broken)
  if failed:
    found = failures.grouped([Failure(*one) for one in failed.items()])
    told = [f'{listed(names)}: {why}' for why, names in found]
    told.insert(0, f'{len(failed)} of {len(requests)} models failed')
    raise UserError('; '.join(told))
  if len(broken) == len(paths):
    raise UserError(f'none of {len(paths):,} images could be decoded')
  return 0


def _files(flags) -> dict[str, pathlib.Path]:
  """Returns what is written, by its flags, and checks that it can be."""
  from tfeval.reports import prediction_rows
  from tfeval.utils import row_files

  found = {
    name: pathlib.Path(flags[name].value).expanduser()
    for name in ('output_file', 'figure', 'crops')
    if flags[name].value is not None
  }
  if 'output_file' in found:
    row_files.check_path(
      found['output_file'], flags.overwrite, 'output_file', prediction_rows.FORMATS
    )
  if 'figure' in found:
    figures.check_path(found['figure'], flags.overwrite)
  if 'crops' in found:
    _check_crops(found['crops'], flags.overwrite)
  return found


def _check_crops(directory: pathlib.Path, overwrite: bool) -> None:
  if directory.exists() and not directory.is_dir():
    raise UserError(f'--crops={directory} is no folder: give the name of one')
  if directory.is_dir() and any(os.scandir(directory)) and not overwrite:
    raise UserError(
      f'--crops={directory} is not empty: give another folder, or --overwrite'
    )


def _is_summed_up(
  files: dict[str, pathlib.Path], paths: Sequence[pathlib.Path]
) -> bool:
  """Whether no tables are printed of images, which a file holds."""
  return 'output_file' in files and len(paths) > _MOST_TABLES


def _predicted(
  flags,
  requests: 'list[ModelRequest]',
  config: 'EvaluationConfig',
  paths: Sequence[pathlib.Path],
  files: dict[str, pathlib.Path],
) -> 'tuple[list[PredictingModel], list[ImagePredictions], list[FailedImage], dict]':
  """Runs the models, and writes what they say as it comes.

  Returns:
    The models; what they say, where it is printed or drawn; images that were skipped;
    what is wrong with models, by name.
  """
  from tfeval.evaluation import crops, predict
  from tfeval.runs.top_classes import FailedImage

  kept = flags.json or 'figure' in files or not _is_summed_up(files, paths)
  images: list[ImagePredictions] = []
  broken: list[FailedImage] = []
  show = progress.on_stderr if len(paths) > _MOST_HIDDEN else progress.hidden
  writer = crops.Crops(files['crops'], paths) if 'crops' in files else None
  loaded, failed = predict.load_models(requests, config)
  models = [one.answerer for one in loaded]
  with (
    _writing(files, models, flags.top) as write,
    _all_or_none(writer),
    show('predict', len(paths)) as told,
  ):
    for one in predict.predict_each(
      loaded, paths, flags.top, flags.on_error == SKIP, writer
    ):
      write(one)
      if isinstance(one, FailedImage):
        broken.append(one)
      elif kept:
        images.append(one)
      told(1)
  return models, images, broken, failed


@contextlib.contextmanager
def _all_or_none(writer: Any) -> Iterator[None]:
  """Leaves no crops behind where something goes wrong."""
  try:
    yield
  except BaseException:
    if writer is not None:
      writer.discard()
    raise


@contextlib.contextmanager
def _writing(
  files: dict[str, pathlib.Path], models: 'list[PredictingModel]', top: int
) -> Iterator[Any]:
  """Where what is said of an image is written to `--output_file`, if that is given."""
  if 'output_file' not in files:
    yield lambda image: None
    return
  from tfeval.reports import prediction_rows
  from tfeval.utils import row_files

  path = files['output_file']
  schema = prediction_rows.schema(path, top, 'crops' in files)
  with row_files.writing(path, schema, 'output_file') as write:
    yield lambda image: write(prediction_rows.rows(path, models, image))


def _tell(
  files: dict[str, pathlib.Path],
  drawn: list[pathlib.Path],
  images: int,
  broken: 'list[FailedImage]',
) -> None:
  """Says what was written where, and which images were skipped."""
  if 'output_file' in files:
    output.say(f'{images - len(broken):,} images are in {files["output_file"]}')
  if 'crops' in files:
    output.say(f'what the models saw is in {files["crops"]}')
  if drawn:
    output.say(f'the figure is in {files["figure"]}')
  for one in broken[:10]:
    output.say(f'skipped: {with_dashes(one.reason)}')
  if broken[10:]:
    output.say(f'skipped: {len(broken) - 10:,} more images')
