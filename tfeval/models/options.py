"""What cannot be known of a model that is not a Keras application."""

import dataclasses
from collections.abc import Callable
from typing import Any

from tfeval.datasets.labels import class_lists
from tfeval.datasets.labels.spaces import LabelMap
from tfeval.utils import errors, paths
from tfeval.utils.errors import UserError
from tfeval.utils.options import PREPROCESSING, fields, option

# Keras' dtype policies.
DTYPES = ('float32', 'mixed_bfloat16', 'mixed_float16')
# What `models.model.preprocessing` knows by name, beside the applications' own.
PREPROCESSINGS = ('caffe', 'tf', 'torch', 'lite', 'identity')
# What `feeding.otherwise` does to a model's own preprocessing.
FEEDS = BGR, TWICE, NO_MEAN = ('bgr', 'twice', 'no_mean')
# Of a model file: the moving averages of its weights, see `keras/averages`.
AVERAGES = 'averages'
# Orders of ImageNet's classes that outputs may be in, see `class_maps.label_map`.
BACKGROUND = ('background_first', 'background_last')
CLASS_MAPS = (*BACKGROUND, 'ilsvrc_id', 'name')
OUTPUTS = LOGITS, PROBABILITIES, SIGMOID = ('logits', 'probabilities', 'sigmoid')


@dataclasses.dataclass(frozen=True)
class ModelOptions:
  """How a model is loaded, and what it wants to be fed, where it does not tell.

  Attributes:
    preprocess: a name or numbers that `models.model.preprocessing` knows, or a
      function of float32 [n, size, size, 3] in [0, 255], or None.
    input_size: side of the input in pixels, None for the model's own.
    output: `'logits'`, `'probabilities'`, or `'sigmoid'`, a probability of each class
      by itself, a single one that of the second of two classes; or None.
    class_map: in which order the outputs stand, see `class_maps.label_map`; None
      for that of the sorted wnids.
    output_name: which of several outputs is the classifier's, or None.
    feed: see `feeding.otherwise`.
    dtype: a Keras dtype policy of `DTYPES`.
    model_python: the Python that runs models of other frameworks, of an environment
      that has these; None: the one that runs this.
    signature, tags: which signature of which graph of a SavedModel; None:
      `serving_default`, and the only graph or that with the tag `serve`.
    import_module: modules or `.py` files that define what model files need.
    trust_model: whether files that can run code of their author may be loaded.
    batch_timeout: seconds that a file that is not trusted, or a model of another
      framework, may take for a batch, None for `time_limit.TimeLimit`'s.
  """

  GROUP = 'Model'

  preprocess: str | Callable[[Any], Any] | None = option(
    None,
    'What turns pixels in [0, 255] into what the model is fed, where it does not tell: '
    "caffe, tf, torch, lite, identity, an application's name, unit, imagenet, "
    'inception, clip, dpn, bgr, or numbers, such as mean=M,M,M:std=D,D,D of x / 255, '
    'or scale=S:offset=O.',
    identifies=True,
    of_applications=False,
    group=PREPROCESSING,
  )
  input_size: int | None = option(
    None,
    'Side of the input in pixels, where the model does not tell, or another than an '
    "application's own.",
    least=1,
    identifies=True,
    group=PREPROCESSING,
  )
  output: str | None = option(
    None,
    'What the model returns, where it does not tell; sigmoid: a probability of each '
    'class by itself, a single one that of the second of two classes.',
    choices=OUTPUTS,
    identifies=True,
    of_applications=False,
  )
  class_map: str | None = option(
    None,
    'What the outputs are, where they are not the classes of the dataset in their '
    'order: the path of a file with an id or name for each output; of ImageNet also '
    'background_first, background_last, ilsvrc_id, name.',
    identifies=True,
    of_applications=False,
  )
  output_name: str | None = option(
    None,
    'Which of several outputs is the classifier.',
    identifies=True,
    of_applications=False,
  )
  feed: str | None = option(
    None,
    'Feed the model otherwise than it wants, to see what that costs: bgr (channels '
    'exchanged), twice (its preprocessing twice), no_mean (without its mean), another '
    'preprocessing in its place, or bgr+ and one of these.',
    identifies=True,
    in_python=False,
    group=PREPROCESSING,
  )
  dtype: str = option(
    DTYPES[0],
    'What layers compute in, of applications and factories.',
    choices=DTYPES,
    identifies=True,
    in_python=False,
  )
  model_python: str | None = option(
    None,
    'The Python that runs models of PyTorch, ONNX and other frameworks, such as '
    'VENV/bin/python: it needs NumPy and the framework alone.',
    in_python=False,
  )
  signature: str | None = option(
    None,
    'Of a SavedModel, which signature: serving_default by default.',
    identifies=True,
    of_applications=False,
    in_python=False,
  )
  tags: str | None = option(
    None,
    "Of a SavedModel of several graphs, the tags of one, with commas; '' for none. By "
    'default those of the only one, or serve.',
    identifies=True,
    of_applications=False,
    in_python=False,
  )
  import_module: tuple[str, ...] | None = option(
    None,
    'A module or .py file of yours that defines layers, losses or functions that model '
    'files need; may be repeated. It is imported before a model is loaded.',
    of_applications=False,
    in_python=False,
  )
  trust_model: bool = option(
    False,
    'Load model files that can run code of their author, and run what a flagfile names '
    'that can. Written in a flagfile it does not count.',
    in_python=False,
  )
  batch_timeout: float | None = option(
    None,
    'Seconds that a model file, unless it is trusted, or a model of another framework '
    'may take for a batch; by default 600, or 20 times its slowest batch so far.',
    least=1,
    repeated=False,
    in_python=False,
  )


def read_class_map(class_map: str) -> LabelMap:
  """Reads a file with an id or name for each output.

  Raises:
    UserError: there is no such file, or it is not as it should be.
  """
  path = paths.path(class_map)
  if not path.is_file():
    raise errors.unknown(
      'class map',
      class_map,
      CLASS_MAPS,
      'or the path of a file with an id or name for each output',
    )
  return class_lists.read_class_map(path)


def check_class_map(class_map: str | None) -> None:
  """Checks a class map, see `read_class_map`, before TensorFlow is imported."""
  if class_map is None or class_map in CLASS_MAPS or paths.is_url(class_map):
    return
  read_class_map(class_map)


def leave_out(name: str, whose: str) -> UserError:
  """Returns the error for an option that an application is given.

  Args:
    name: of the option.
    whose: the application, or `applications`.
  """
  if name in ('import_module', 'signature', 'tags'):
    return UserError(f'`{name}` is of model files, {whose} need none: leave it out')
  return UserError(f'`{name}` is known for {whose}: leave it out')


def not_of_applications() -> list[str]:
  """Returns the options that applications need not be told: all is known of them."""
  return [
    field.name for field in fields(ModelOptions) if not field.option.of_applications
  ]
