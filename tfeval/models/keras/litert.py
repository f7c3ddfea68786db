"""LiteRT (TensorFlow Lite) files of Keras models, by TensorFlow's own converter."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfeval.models.conversion import FLOAT, FLOAT16, INT8, ConversionOptions
from tfeval.models.keras.backend import KerasBackend
from tfeval.models.keras.versions import is_legacy
from tfeval.models.model import Model
from tfeval.utils import errors
from tfeval.utils.errors import UserError, listed

# How the converter lists what the runtime lacks, at the end of a page.
_LACKING = re.compile(r'^(?:Custom|Flex|TF Select) ops: (.+)$', re.MULTILINE)


def convertible(model: Model) -> keras.Model:
  """Returns the Keras model that is converted: of fixed size, with one output.

  Raises:
    UserError: it is no model of Keras 3, or cannot be built for this size.
  """
  backend = model.backend
  if not isinstance(backend, KerasBackend) or is_legacy(backend.model):
    raise UserError(f'{model.name} is no model of Keras 3: convert takes no other')
  found, sides = backend.model, backend.input_spec.sides
  if None not in sides and model.output_name is None:
    return found
  try:
    if model.output_name is not None:
      found = keras.Model(found.inputs, backend.outputs()[model.output_name])
    if None in sides:
      images = keras.Input((model.input_size, model.input_size, model.channels))
      found = keras.Model(images, found(images, training=False))
  except Exception as error:  # Of layers of others.
    raise UserError(
      f'{model.name} cannot be built for images of {model.input_size} pixels: '
      f'{errors.one_line(error)}'
    ) from error
  return found


def convert(
  model: keras.Model,
  name: str,
  options: ConversionOptions,
  images: Callable[[], Iterator[np.ndarray]] | None = None,
) -> bytes:
  """Converts a model.

  Args:
    model: of Keras 3, with one input of known size.
    name: what messages call it.
    options: what it becomes.
    images: yields float32 [1, height, width, channels], preprocessed; the ranges of
      int8 are found on them. None of other kinds.

  Returns:
    The content of a .tflite file.

  Raises:
    UserError: the converter cannot do it.
  """
  converter = tf.lite.TFLiteConverter.from_keras_model(model)
  if options.kind != FLOAT:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if options.kind == FLOAT16:
    converter.target_spec.supported_types = [tf.float16]
  if options.kind == INT8:
    assert images is not None
    make = images
    converter.representative_dataset = lambda: ([one] for one in make())
    # Nothing falls back to floats: what has no kernel of 8 bits is refused.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.as_dtype(options.io_dtype)
    converter.inference_output_type = tf.as_dtype(options.io_dtype)
  try:
    return converter.convert()
  except Exception as error:  # The converter has many, of C++ too.
    lacking = _LACKING.findall(str(error))
    why = errors.one_line(error)
    if lacking:
      why = f'LiteRT has no kernel for {listed(lacking)}'
    raise UserError(
      f"TensorFlow's converter cannot convert {name} to {options.kind}: {why}"
    ) from error


def describe_tensors(content: bytes) -> dict[str, Any]:
  """Returns what input and output of a .tflite file are, for JSON.

  Of each name, shape (-1: free), dtype and, of integers, the scale and the zero point:
  a real value is `scale * (integer - zero_point)`.

  Args:
    content: of the file, with one input and one output.
  """
  interpreter = tf.lite.Interpreter(model_content=content)
  (given,), (returned,) = (
    interpreter.get_input_details(),
    interpreter.get_output_details(),
  )
  return {'input': _describe(given), 'output': _describe(returned)}


def _describe(tensor: dict[str, Any]) -> dict[str, Any]:
  scale, zero_point = tensor['quantization']
  is_integer = np.issubdtype(tensor['dtype'], np.integer)
  return {
    'name': tensor['name'],
    'shape': tensor['shape_signature'].tolist(),
    'dtype': np.dtype(tensor['dtype']).name,
    # The float32 that the file has, so that JSON gives back the very same.
    'scale': float(scale) if is_integer else None,
    'zero_point': int(zero_point) if is_integer else None,
  }
