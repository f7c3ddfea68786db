"""The flags that say what is evaluated, shared by the commands that run models."""

import dataclasses

from tfeval.evaluation import config
from tfeval.models import published
from tfeval.preprocess import protocol


def define(definer, weights: bool = True) -> None:
  """Defines the flags that say what is evaluated: models, images, devices."""
  define_models(definer, weights)
  definer.string(
    'dataset',
    'imagenet2012_real',
    'imagenet2012, imagenet2012_real, sample, '
    'folder:DIR, or any TFDS name with images and the 1000 ILSVRC2012 classes.',
  )
  definer.string('split', 'validation', "A TFDS split or slice: 'validation[:10%]'.")
  definer.string(
    'data_dir', None, 'Where prepared TFDS datasets lie (default: that of TFDS).'
  )
  definer.string(
    'manual_dir',
    None,
    'Directory of ILSVRC2012_img_val.tar and, for use without network, real.json.',
  )
  definer.string('real_labels', None, 'real.json, for datasets without ReaL labels.')
  definer.integer(
    'batch_size',
    64,
    'Images in a step, over all replicas.',
    lower_bound=1,
    upper_bound=1 << 16,
  )
  definer.enum(
    'resize_on',
    'host',
    list(config.RESIZE_ON),
    'device: the host only decodes, and the resizing of opencv runs where '
    'the model does, if a self-test finds it to be exact there.',
  )
  definer.integer(
    'canvas',
    None,
    'Side of what --resize_on=device gives to the '
    'device: 256, 384, 512 (the default), 640, 768 or 1024; larger '
    'photos the host resizes.',
  )
  definer.integer(
    'limit',
    None,
    'Evaluate only the first N examples; the result is marked as partial.',
    lower_bound=1,
    upper_bound=1 << 40,
  )
  definer.enum(
    'strategy',
    'auto',
    list(config.STRATEGIES),
    'default: one device; mirrored: all GPUs of this host, or --devices; '
    'multi_worker: several hosts, from TF_CONFIG or --num_hosts; auto: what '
    'is there.',
  )
  definer.integer(
    'devices',
    None,
    'How many GPUs to use, or logical devices to make '
    'of the CPU where there is no GPU.',
    lower_bound=1,
    upper_bound=256,
  )
  definer.string('tpu', None, 'Name or address of a TPU; local: that of this host.')
  definer.bool('jit', False, 'Compile the model with XLA. A TPU always does.')
  definer.bool(
    'tf32',
    False,
    'Let GPUs multiply float32 in TensorFloat-32: faster, '
    'with 10 bits of mantissa; compare counts the answers that flip.',
  )


def define_models(definer, weights: bool = True) -> None:
  """Defines the flags that say which models, and how images become their pixels."""
  definer.multi_string(
    'model',
    [],
    'TARGET[:key=value,...]: an application (tfeval models), the '
    'path or URL of a .keras, .h5 or SavedModel, or module:function; all: every '
    'application',
  )
  if weights:
    definer.multi_string(
      'weights',
      ['imagenet'],
      'imagenet, none, or the path or URL of a weights '
      'file; one for all models or one for each',
    )
  definer.string(
    'protocol',
    'opencv',
    'NAME[:field=value,...]: how images become '
    'pixels (tfeval protocols); published: the recipe behind the '
    "model's published figure; native: its authors' own.",
  )
  definer.string(
    'preprocess',
    None,
    'For models that are not applications: caffe, '
    "tf, torch, lite, identity, or an application's name.",
  )
  definer.integer(
    'input_size',
    None,
    'Side of the input in pixels, where the model '
    "does not tell, or another than an application's own.",
    lower_bound=1,
  )
  definer.enum(
    'output',
    None,
    list(config.OUTPUTS),
    'What the model returns, where it does not tell.',
  )
  definer.string(
    'class_map',
    None,
    'Order of the outputs, where it is not that of the '
    'sorted wnids: background_first, background_last, ilsvrc_id, name, or '
    'the path of a file with a wnid for each output.',
  )
  definer.string('output_name', None, 'Which of several outputs is the classifier.')
  definer.enum(
    'dtype',
    'float32',
    list(config.DTYPES),
    'What layers compute in, of applications and factories.',
  )
  definer.bool(
    'trust_model', False, 'Load model files that can run code of their author.'
  )


def read(flags) -> tuple[list[config.Request], config.Settings]:
  """Returns the models and the settings that a command's flags give.

  Raises:
    UserError: a model is not known, or the protocol contradicts itself: told at
      once, before a dataset is prepared and a model loaded.
  """
  settings = read_settings(flags)
  wanted = config.requests(flags.model, flags.weights)
  config.check(wanted, settings)
  for request in wanted if 'all' not in flags.model else ():
    protocol.resolve(published.protocol_text(settings.protocol, request.spec), size=224)
  return wanted, settings


def read_settings(flags) -> config.Settings:
  """Returns the settings that a command's flags give."""
  return config.Settings(
    **{
      field.name: flags[field.name].value
      for field in dataclasses.fields(config.Settings)
      if field.name in flags
    }
  )
