"""`tfeval shift SOURCE TARGET`."""

from tfeval.api.shift import LEAST_IMAGES, LEAST_PERMUTATIONS, shift
from tfeval.cli import console, output
from tfeval.reports import formats
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval shift SOURCE TARGET [--flags]

  tfeval shift runs/ResNet50-val runs/ResNet50-mine
  tfeval shift runs/ResNet50-val PHOTOS

What changed between the images of two runs of a model, and of which kind it is:
covariate shift (other images), prior shift (other shares of classes), concept
shift (other labels for the same), or none told apart. Every measure stands
beside what it is between two halves of the source. Of runs with
--store_features features are compared, else outputs. Of the statistics of
images themselves where these are at hand; TARGET may be a folder of images,
which no model has seen, then of these alone.

How many images of the target may be hit is guessed without its labels: that is
no accuracy. MMD and Fréchet distances do not predict accuracy."""


def define_flags(define) -> None:
  define.string('labels_of', 'original', 'The label set that hits are counted by.')
  define.string('metric', 'top1', 'What a hit is.')
  define.multi_string(
    'beside',
    [],
    'SOURCE,TARGET: runs of another model on the same images, whose agreement is told; '
    'may be repeated.',
  )
  define.float('level', 0.05, 'Significance level; intervals cover 1 - level.')
  define.integer('permutations', 1000, 'Of each test.', lower_bound=LEAST_PERMUTATIONS)
  define.integer('seed', 0, 'Of all that is drawn.', lower_bound=0)
  define.integer(
    'max_images',
    2000,
    'How many of each side at most, drawn by ids.',
    lower_bound=LEAST_IMAGES,
  )
  define.bool('images', True, 'Measure the images themselves, where they are at hand.')
  define.string('data_dir', None, 'Where prepared TFDS datasets of the runs lie.')
  define.string('manual_dir', None, 'Where ILSVRC2012_img_val.tar lies.')
  define.integer(
    'farthest', 10, 'List so many images that are farthest from the source.',
    lower_bound=0,
  )  # fmt: skip
  output.define_report(define)
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 2:
    raise UserError(
      f'{len(arguments)} arguments were given: tfeval shift SOURCE TARGET'
    )
  page = output.report_path(flags)
  console.import_tensorflow_for(arguments)
  names = (
    *('labels_of', 'metric', 'beside', 'level', 'permutations', 'seed', 'max_images'),
    *('images', 'data_dir', 'manual_dir', 'farthest'),
  )
  given = {name: flags[name].value for name in names}
  found = shift(*arguments, progress=True, **given)
  output.print_report(formats.SHIFT, flags.json, found)
  output.save_report(page, found)
  return 0
