"""Keras models, SavedModels and functions, computed inside of tf.distribute."""

import hashlib
import pathlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.models.backend import FEATURES, STATISTICS, VALUES, Backend, InputSpec
from tfeval.models.keras import architecture, input_forms, tracing
from tfeval.utils import files


def takes_texts(model: Any) -> bool:
  """Returns whether the only input of a Keras model is a string for each image."""
  dtypes = [getattr(one, 'dtype', None) for one in symbolic_inputs(model) or []]
  return len(dtypes) == 1 and dtypes[0] in ('string', tf.string)


def symbolic_inputs(model: Any) -> list[Any] | None:
  """Returns the inputs of a Keras model; None of a subclass, or if it is not built."""
  try:
    return getattr(model, 'inputs', None)
  except (AttributeError, ValueError):
    return None


class FunctionBackend(Backend):
  """A function of TensorFlow, such as the signature of a SavedModel."""

  def __init__(
    self,
    function: Callable[[tf.Tensor], Any],
    parameters: int | None = None,
    dtype: str = 'unknown',
    input_shape: tuple[int | None, ...] | None = None,
    outputs: Mapping[str, Any] | None = None,
    encoded: bool = False,
    input_dtype: str = 'float32',
  ):
    self._function, self._outputs = function, outputs or {}
    self.parameters, self.dtype = parameters, dtype
    self.input_spec = input_forms.spec_of(input_shape, input_dtype, encoded)

  def __call__(self, images: tf.Tensor) -> Any:
    spec = self.input_spec
    return self._function(images if spec.encoded else input_forms.fed(images, spec))

  def describe(self) -> dict[str, Any]:
    return {
      'versions': {'tensorflow': tf.__version__, 'keras': keras.__version__},
      'devices': [
        f'{d.device_type}:{d.name.rsplit(":", 1)[-1]}'
        for d in tf.config.list_logical_devices()
      ],
    }

  def outputs(self) -> Mapping[str, Any]:
    return dict(self._outputs)


class KerasBackend(FunctionBackend):
  """A `keras.Model`, called with `training=False`."""

  capabilities = frozenset({STATISTICS, VALUES, FEATURES})

  def __init__(self, model: keras.Model, output_space: LabelSpace | None = None):
    self.model, self.output_space = model, output_space

  def __call__(self, images: tf.Tensor) -> Any:
    spec = self.input_spec
    if not spec.encoded:
      images = input_forms.fed(images, spec)
    return self.model(images, training=False)

  @property
  def input_spec(self) -> InputSpec:
    shape = getattr(self.model, 'input_shape', None)
    inputs = symbolic_inputs(self.model) or []
    dtype = inputs[0].dtype if len(inputs) == 1 else 'float32'
    return input_forms.spec_of(shape, dtype, takes_texts(self.model))

  @property
  def parameters(self) -> int:
    return self.model.count_params()

  @property
  def dtype(self) -> str:
    """What the layers compute in, such as `'float32'`."""
    layers = self.model._flatten_layers(include_self=False)
    return '+'.join(sorted({layer.compute_dtype for layer in layers})) or 'float32'

  def outputs(self) -> Mapping[str, Any]:
    """Returns symbolic tensors; none of a subclass, or before its first image."""
    # A Sequential has no names.
    model = getattr(self.model, '_functional', None) or self.model
    outputs = getattr(model, 'outputs', None) or []
    # The keys of what it returns, where `output_names` are those of its layers.
    structure = getattr(model, '_outputs_struct', None)
    if isinstance(structure, Mapping) and len(structure) == len(outputs):
      return dict(structure)
    return dict(zip(model.output_names, outputs, strict=True)) if outputs else {}

  def fingerprint(self, sources: Sequence[pathlib.Path] = ()) -> str | None:
    if tracing.config(self.model) is None and not sources:
      return None
    sha256 = hashlib.sha256(self.architecture_sha256().encode())
    for path in sources:
      sha256.update(bytes.fromhex(files.sha256_of(path)))
    for values in self.model.get_weights():
      sha256.update(np.ascontiguousarray(values).tobytes())
    return sha256.hexdigest()

  def architecture_sha256(self) -> str:
    return architecture.architecture_sha256(self.model)

  def own_code(self) -> Hashable:
    return architecture.own_code(self.model)

  def layers_sha256(self) -> str | None:
    return architecture.layers_sha256(self.model)

  def trace_key(self) -> Hashable:
    return tracing.trace_key(self.model)
