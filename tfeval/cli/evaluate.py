"""`tfeval evaluate`."""

from tfeval.cli import console, input_flags, output
from tfeval.engine import cluster
from tfeval.evaluation import config
from tfeval.runs import expectations as expectation
from tfeval.utils import progress
from tfeval.utils.errors import UserError

SUMMARY = """Evaluate models on ImageNet and keep every prediction.

Usage: tfeval evaluate --model=NAME [--model=NAME ...] [--flags]

  tfeval evaluate --model=ResNet50 --manual_dir=DIR_WITH_THE_VALIDATION_TAR
  tfeval evaluate --model=MobileNet:alpha=0.25 --dataset=folder:VAL_DIR"""


def define_flags(define) -> None:
  input_flags.define(define)
  define.enum(
    'on_error',
    'fail',
    list(config.ON_ERROR),
    'fail: stop at an image that cannot be decoded; skip: go on without it '
    'and list it in the result.',
  )
  define.enum(
    'preflight',
    'error',
    list(config.PREFLIGHT),
    'Look at the answers to 128 images first. error: stop at a fault, such '
    'as another class order or preprocessing; warn: say so and go on.',
  )
  define.integer(
    'max_loaded_models',
    4,
    'Most models in memory at once. Those that '
    'share a protocol and a size share its images.',
    lower_bound=1,
  )
  define.bool('store_logits', False, 'Store all 1000 outputs of each example.')
  define.integer(
    'rows_per_part',
    2000,
    'Predictions are stored in parts of so many: what an interruption loses at most.',
    lower_bound=1,
    upper_bound=1 << 20,
  )
  define.integer(
    'num_hosts',
    None,
    'How many hosts evaluate a share each, all with the same flags and --output_dir.',
    lower_bound=1,
  )
  define.integer(
    'host_index',
    None,
    'Which of --num_hosts this is, from 0, which joins what all have done.',
    lower_bound=0,
  )
  define.integer(
    'host_timeout',
    3600,
    'Seconds that host 0 waits for hosts of which nothing new comes.',
    lower_bound=1,
  )
  define.string(
    'tf_data_service',
    None,
    'HOST:PORT of the dispatcher of a tf.data '
    'service whose workers read and decode the images: '
    'configs/tf_data_service.py. They have to see the same files.',
  )
  define.string(
    'cache_dir',
    None,
    'Keep preprocessed images in here, and take them '
    'from here where they are of the same content and protocol: tfeval '
    'cache.',
  )
  define.string(
    'output_dir',
    'tfeval_runs',
    'Run directories are made in here, on a '
    'disk or at a URL of tf.io.gfile, such as gs://BUCKET/runs.',
  )
  define.bool('overwrite', False, 'Replace what a run directory holds.')
  define.bool('json', False, 'Print a list of JSON results on stdout, nothing else.')
  define.multi_string(
    'expect',
    [],
    'LABELS/METRIC:VALUE:TOLERANCE, such as original/top1:0.704:0.002: '
    'exit with 1 if it does not hold.',
  )
  define.integer(
    'show_examples',
    0,
    'Print the answers to the first so many examples.',
    lower_bound=0,
  )


def run(flags, arguments: list[str]) -> int:
  if arguments:
    raise UserError(
      f'unexpected argument {arguments[0]!r}: models are given as --model=NAME'
    )
  expectations = [expectation.parse(text) for text in flags.expect]
  wanted, settings = input_flags.read(flags)
  if not settings.output_dir:
    raise UserError(
      '--output_dir is empty: name a directory (a variable that is not set?)'
    )
  here = cluster.find_cluster(settings)
  with console.quiet_tensorflow():
    from tfeval.evaluation import evaluate  # TensorFlow, which takes seconds.

    runs = evaluate.evaluate(wanted, settings, progress.on_stderr, expectations)
  if here.index == 0 or flags.json:
    output.print_runs(runs, flags.json, flags.show_examples)
  else:
    # Only the host that joins has results.
    output.print_failures(runs)
  return output.exit_code(runs, expectations, len(wanted))
