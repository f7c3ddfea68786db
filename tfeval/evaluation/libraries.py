"""TensorFlow and Keras, imported alike whatever the environment was made for.

KERAS_BACKEND, keras.json and the like may be another project's, and homes may be
read-only. This process computes with TensorFlow, in float32 and channels last.
"""

import contextlib
import logging
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

from absl import logging as absl_logging

from tfeval.utils import environment, errors
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
# Of keras.json; what published weights and protocols are for.
_SETTINGS = {
  'floatx': 'float32',
  'image_data_format': 'channels_last',
  'epsilon': 1e-7,
}


def prepare_environment() -> None:
  """Sets what TensorFlow and Keras read when they are imported."""
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '1')
  environment.set_here('KERAS_BACKEND', 'tensorflow')
  # Of JAX; it asks for Flax.
  environment.set_here('KERAS_NNX_ENABLED', 'false')
  _find_keras_home()
  # Ten of them, each after twice the wait: three minutes to say "no network".
  os.environ.setdefault('GCS_RETRY_CONFIG_MAX_RETRIES', '4')
  # TFDS warns of the folder that it is about to fill; TensorFlow of several models.
  absl_logging.get_absl_logger().addFilter(_without('has no dataset_info.json'))
  absl_logging.get_absl_logger().addFilter(_without('`TensorInfo.dtype`'))
  # What cannot be downloaded is told once, by the error.
  logging.getLogger('urllib3.connectionpool').addFilter(_without('Retrying ('))
  tensorflow = logging.getLogger('tensorflow')
  tensorflow.addFilter(_without('tf.function retracing'))
  # What --jit on several devices needs.
  tensorflow.addFilter(_without('eagerly has significant'))


def _without(noise: str) -> Callable[[logging.LogRecord], bool]:
  return lambda record: noise not in record.getMessage()


def _find_keras_home() -> None:
  """Lets Keras find the weights of a home that it cannot write to."""
  if os.environ.get('KERAS_HOME'):
    return
  home = pathlib.Path(os.path.expanduser('~'))
  # Keras would look in /tmp alone; of an empty KERAS_HOME in the working directory.
  if 'KERAS_HOME' in os.environ or (
    (home / '.keras').is_dir() and not os.access(home, os.W_OK)
  ):
    environment.set_here('KERAS_HOME', str(home / '.keras'))


def prepare() -> None:
  """Imports TensorFlow and Keras in a process that others have started.

  Raises:
    UserError: what is set there lets nobody import Keras.
  """
  prepare_environment()
  import_tensorflow()


def import_tensorflow() -> None:
  """Imports TensorFlow and Keras; what keras.json sets does not count.

  Raises:
    UserError: what is set lets nobody import Keras.
  """
  if 'keras' in sys.modules:
    import tensorflow  # noqa: F401

    return  # Whoever imported Keras may have set it up.
  home = os.environ.get('KERAS_HOME', '~/.keras')
  config = pathlib.Path(os.path.expanduser(home)) / 'keras.json'
  try:
    with _hidden('matplotlib'):
      import keras
      import tensorflow  # noqa: F401, F811
  except ImportError:
    raise
  except Exception as error:  # Whatever its settings make it raise.
    raise UserError(
      f'Keras cannot start with {config} and the variables KERAS_*: '
      f'{errors.one_line(error)}: mend them, or move the file away'
    ) from error
  changed = []
  for name, value in _SETTINGS.items():
    if (given := getattr(keras.config, name)()) != value:
      changed.append(f'{name} {given}')
      getattr(keras.config, f'set_{name}')(value)
  if changed:
    _LOG.info(
      '%s of %s does not count: tfeval computes in float32, channels last',
      ', '.join(changed),
      config,
    )


@contextlib.contextmanager
def _hidden(name: str) -> Iterator[None]:
  """Where a package seems not to be installed, unless it is imported already.

  Keras would import matplotlib for pictures that nobody asks for here: half a second,
  lines on stderr where there is no home, and more seconds to look for fonts.
  """
  if name in sys.modules:
    yield
    return
  sys.modules[name] = None  # type: ignore[assignment]
  try:
    yield
  finally:
    del sys.modules[name]
