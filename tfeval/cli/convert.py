"""`tfeval convert MODEL --to=litert:int8`."""

from tfeval import datasets
from tfeval.cli import console, input_flags, output
from tfeval.datasets.options import DatasetConfig
from tfeval.evaluation import plans
from tfeval.models import conversion, published
from tfeval.preprocess import protocol
from tfeval.reports import terminal
from tfeval.utils import options, progress
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval convert MODEL --to=litert:KIND [--flags]

  tfeval convert ResNet50 --to=litert:int8 --calibrate=200 --dataset=folder:DIR
  tfeval convert my.keras --preprocess=tf --to=litert:float16

MODEL is an application, a model file or a function, as --model of tfeval
evaluate. KIND is int8 (weights and all that is computed, uint8 in and out),
float16 (weights), dynamic (weights in 8 bits) or float. Beside FILE.tflite
stands FILE.tflite.json: which model, how its input is made, which images it
was calibrated on, the flags that evaluate it."""
# What `--help` shows first.
FIRST = (
  *('to', 'weights', 'preprocess', 'calibrate', 'dataset', 'manual_dir', 'io_dtype'),
  *('output_file', 'overwrite', 'json'),
)

# Of the dataset, what says which images there are to choose from.
_WITHOUT = ('labels', 'real_labels', 'sample', 'only', 'on_error', 'dtype', 'feed')


def define_flags(define) -> None:
  input_flags.define(
    define,
    ('model', 'protocol', 'dataset'),
    without=_WITHOUT,
    texts={'limit': 'Choose among the first N examples only.'},
  )
  define.string(
    'weights', 'imagenet', 'imagenet, none, or the path or URL of a weights file.'
  )
  define.enum('to', None, list(conversion.TARGETS), 'What to convert to.')
  define.integer(
    'calibrate',
    None,
    'int8: find the ranges of all values on so many images of --dataset, the first by '
    'SHA-256 of their ids.',
    lower_bound=1,
  )
  define.enum(
    'io_dtype',
    None,
    list(conversion.IO_DTYPES),
    'int8: what input and output are (default: uint8).',
  )
  define.string('output_file', None, 'Where to (default: MODEL.KIND.tflite here).')
  define.bool('overwrite', False, 'Replace a file that is there.')
  define.bool(
    'json', False, 'Print what FILE.tflite.json says on stdout, nothing else.'
  )


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 1:
    raise UserError(
      f'{len(arguments)} models were given: tfeval convert MODEL --to=litert:int8 '
      'takes one'
    )
  asked = conversion.requested(flags.to, flags.calibrate, flags.io_dtype)
  if asked.calibrate is None:
    _check_no_dataset(flags)
  if arguments == ['all']:
    raise UserError('all: convert takes one model')
  requests = plans.requests(arguments, [flags.weights])
  config = input_flags.read_config(flags)
  plans.check_config(requests, config)
  request, *more = requests
  if more:
    raise UserError(
      f'{arguments[0]} is {len(requests)} models, {request.spec.text} and '
      f'{more[0].spec.text} among them: convert takes one'
    )
  if not published.is_told(config.protocol, request.spec, request.weights):
    text = published.protocol_text(
      config.protocol, request.spec, weights=request.weights
    )
    protocol.resolve(text, size=224)
  path = conversion.output_path(
    flags.output_file, request.spec.text, asked.kind, flags.overwrite
  )
  if asked.calibrate is not None:
    datasets.check(config.dataset)
  with console.quiet_tensorflow():
    from tfeval.evaluation import convert  # TensorFlow, which takes seconds.

    described = convert.convert(
      request, config, asked, path, progress.on_stderr, console.silent
    )
  if flags.json:
    terminal.print_json(described)
  output.say(convert.summary(described, path))
  return 0


def _check_no_dataset(flags) -> None:
  """Checks that no images are named where none are needed."""
  for field in options.fields(DatasetConfig):
    if field.name in flags and flags[field.name].present:
      raise UserError(
        f'--{field.name} says on which images to calibrate, {flags.to} needs none: '
        'leave it out'
      )
