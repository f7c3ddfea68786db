"""`tfeval evaluate`."""

import dataclasses

from tfeval import settings as settings_lib
from tfeval.cli import console, output
from tfeval.errors import UserError
from tfeval.preprocess import protocol

SUMMARY = """Evaluate models on ImageNet and keep every prediction.

Usage: tfeval evaluate --model=NAME [--model=NAME ...] [--flags]

  tfeval evaluate --model=ResNet50 --manual_dir=DIR_WITH_THE_VALIDATION_TAR
  tfeval evaluate --model=MobileNet:alpha=0.25 --dataset=folder:VAL_DIR"""


def define_input_flags(define) -> None:
  """Defines the flags that say what is evaluated: models, images, devices."""
  define.multi_string(
      'model', [], 'TARGET[:key=value,...]: an application (tfeval models), the '
      'path of a .keras, .h5 or SavedModel, or module:function')
  define.multi_string(
      'weights', ['imagenet'], 'imagenet, none, or the path of a weights file; one '
      'for all models or one for each')
  define.string(
      'dataset', 'imagenet2012_real', 'imagenet2012, imagenet2012_real, sample, '
      'folder:DIR, or any TFDS name with images and the 1000 ILSVRC2012 classes.')
  define.string('split', 'validation', "A TFDS split or slice: 'validation[:10%]'.")
  define.string('data_dir', None, 'Where prepared TFDS datasets lie '
                '(default: that of TFDS).')
  define.string('manual_dir', None, 'Directory of ILSVRC2012_img_val.tar and, for '
                'use without network, real.json.')
  define.string('real_labels', None, 'real.json, for datasets without ReaL labels.')
  define.string('protocol', 'opencv', 'NAME[:field=value,...]: how images become '
                'pixels (tfeval protocols).')
  define.integer('batch_size', 64, 'Images in a step, over all replicas.',
                 lower_bound=1, upper_bound=1 << 16)
  define.integer('limit', None, 'Evaluate only the first N examples; the result is '
                 'marked as partial.', lower_bound=1, upper_bound=1 << 40)
  define.enum('strategy', 'default', list(settings_lib.STRATEGIES),
              'default: one device; mirrored: all GPUs of this host.')
  define.string('preprocess', None, 'For models that are not applications: caffe, '
                "tf, torch, lite, identity, or an application's name.")
  define.integer('input_size', None, 'Side of the input in pixels, where the model '
                 "does not tell, or another than an application's own.",
                 lower_bound=1)
  define.enum('output', None, ['logits', 'probabilities'],
              'What the model returns, where it does not tell.')
  define.bool('trust_model', False, 'Load model files that can run code of their '
              'author.')


def define_flags(define) -> None:
  define_input_flags(define)
  define.enum('on_error', 'fail', list(settings_lib.ON_ERROR),
              'fail: stop at an image that cannot be decoded; skip: go on without it '
              'and list it in the result.')
  define.bool('store_logits', False, 'Store all 1000 outputs of each example.')
  define.string('output_dir', 'tfeval_runs', 'Run directories are made in here.')
  define.bool('overwrite', False, 'Replace what a run directory holds.')
  define.bool('json', False, 'Print a list of JSON results on stdout, nothing else.')
  define.integer('show_examples', 0, 'Print the answers to the first so many '
                 'examples.', lower_bound=0)


def run(flags, arguments: list[str]) -> int:
  if arguments:
    raise UserError(f'unexpected argument {arguments[0]!r}: models are given as '
                    '--model=NAME')
  settings = settings_of(flags)
  wanted = settings_lib.requests(flags.model, flags.weights)
  with console.quiet_tensorflow():
    from tfeval import evaluation  # TensorFlow, which takes seconds.
    runs = evaluation.evaluate(wanted, settings, console.progress)
  output.print_runs(runs, flags.json, flags.show_examples)
  return 0


def settings_of(flags) -> settings_lib.Settings:
  """Returns the settings that a command's flags give; the rest is as by default.

  Raises:
    UserError: the protocol contradicts itself: told at once, before a dataset is
      prepared and a model loaded.
  """
  settings = settings_lib.Settings(**{
      field.name: flags[field.name].value
      for field in dataclasses.fields(settings_lib.Settings) if field.name in flags})
  protocol.resolve(settings.protocol, size=224)
  return settings
