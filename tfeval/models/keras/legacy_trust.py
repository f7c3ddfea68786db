"""What may stand in the configuration of a file that Keras 2 has written.

`tf_keras` imports whatever module a file names, and makes a layer of whatever function
of TensorFlow. So more is looked at than for Keras 3, where both do not exist: see
`trust`, whose rules hold as well.
"""

from collections.abc import Collection, Mapping
from typing import Any

# Of Keras 2 alone; they compute.
_CLASSES = frozenset(
  'Functional Policy LocallyConnected1D LocallyConnected2D SyncBatchNormalization '
  'ThresholdedReLU TensorShape'.split()
)
# Of Keras 2 alone; they run any operation, or method, or what others have written.
_ACTS = frozenset(
  'ClassMethod DenseFeatures InstanceMethod InstanceProperty TensorFlowOpLayer '
  '__typespec__'.split()
)
# Layers made of a function of TensorFlow.
_OF_FUNCTIONS = frozenset({'TFOpLambda', 'SlicingOpLambda'})
# Values, not objects; `__lambda__` and `__typespec__` are refused.
_VALUES = frozenset(
  '__bytes__ __keras_tensor__ __numpy__ __slice__ __tensor__ __tuple__'.split()
)
# Functions of TensorFlow that only compute: all of some modules, and these.
_MODULES = ('math.', 'nn.', 'linalg.', 'image.', 'bitwise.', '__operators__.')
_FUNCTIONS = frozenset(
  'argsort boolean_mask broadcast_to cast clip_by_norm clip_by_value concat '
  'convert_to_tensor einsum ensure_shape expand_dims gather gather_nd identity '
  'matmul meshgrid norm one_hot ones_like pad rank repeat reshape reverse roll shape '
  'size slice sort space_to_batch split squeeze stack stop_gradient strided_slice '
  'tensordot tile transpose unstack where zeros_like'.split()
)


def found(
  node: Mapping[str, Any], known: Collection[str], modules: tuple[str, ...], custom: str
) -> str | None:
  """Returns what in an object of a configuration does more than compute, or None.

  Args:
    node: the object: `class_name`, `config`, perhaps `module`.
    known: classes of Keras 3 that compute.
    modules: of Keras 3 that may be named.
    custom: what the name of an object that is not Keras' begins with.
  """
  name, module, config = node['class_name'], node.get('module'), node['config']
  if name in _OF_FUNCTIONS:
    function = config.get('function') if isinstance(config, dict) else None
    return None if _only_computes(function) else f'a layer that calls tf.{function}'
  if name in _ACTS:
    return f'a {name} layer'
  registered = node.get('registered_name')
  if '>' in name or registered not in (None, name):
    return f'{custom}{registered or name}'
  if name == 'function':
    is_plain = isinstance(config, str) and config.isidentifier()
    return None if module in (None, 'builtins') and is_plain else f'{custom}{config}'
  if name in _VALUES:
    return None
  if not (module is None or _is_known(module, modules)):
    return f'{custom}{module}.{name}'
  if name in _CLASSES or name in known:
    return None
  # Any attribute of a module could be named else.
  return f'{custom}{name}' if module is None else f'the unknown class {name}'


def _is_known(module: Any, modules: tuple[str, ...]) -> bool:
  if not isinstance(module, str):
    return False
  if module in ('builtins', 'keras', 'tf_keras') or module.startswith('tf_keras.'):
    return True
  return any(module == one or module.startswith(f'{one}.') for one in modules)


def _only_computes(function: Any) -> bool:
  if not isinstance(function, str):
    return False
  short = function.removeprefix('compat.v1.')
  return short in _FUNCTIONS or short.startswith(_MODULES)
