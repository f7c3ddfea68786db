"""LiteRT (TensorFlow Lite) files, by ai-edge-litert."""

import numpy as np
from tfeval_worker import common


def load(message):
  litert = common.library('ai_edge_litert.interpreter', 'litert')
  common.only(message)
  path = message['target']
  try:
    interpreter = litert.Interpreter(path, num_threads=message.get('threads'))
    interpreter.allocate_tensors()
  except Exception as error:
    text = ' '.join(str(error).split())
    raise common.Refused(f'it cannot be loaded: {text[:300]}') from error
  return LiteRT(litert, interpreter)


class LiteRT:
  """An interpreter; quantised values are converted by the numbers of the file."""

  def __init__(self, litert, interpreter):
    self._litert, self._interpreter = litert, interpreter
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
      names = ', '.join(one['name'] for one in inputs)
      raise common.Refused(f'it has the inputs {names}: expected one, of images')
    (self._input,) = inputs
    signature = [int(one) for one in self._input['shape_signature']]
    if len(signature) != 4:
      raise common.Refused(f'its input has the shape {signature}: expected 4 numbers')
    self._channels_first = signature[1] == 3 and signature[3] != 3
    self._batch = signature[0] if signature[0] > 0 else None
    self._fixed = [int(one) for one in self._input['shape']]

  def describe(self):
    _, *rest = [n if n > 0 else None for n in self._input['shape_signature'].tolist()]
    if self._channels_first:
      rest = [*rest[1:], rest[0]]
    outputs = [
      [one['name'], [None, *(int(n) for n in one['shape'][1:])]]
      for one in self._interpreter.get_output_details()
    ]
    import ai_edge_litert

    return {
      'versions': common.versions(ai_edge_litert=ai_edge_litert),
      'devices': ['CPU'],
      'parameters': None,
      'input': [None, *rest],
      'batch': self._batch,
      'dtype': np.dtype(self._input['dtype']).name,
      'quantised': _numbers(self._input),
      'outputs': outputs,
    }

  def run(self, images):
    images = _quantised(images, self._input)
    if self._channels_first:
      images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    size = self._batch or len(images)
    found = []
    for start in range(0, len(images), size):
      part = images[start : start + size]
      if len(part) < size:
        rows = np.zeros((size - len(part), *part.shape[1:]), part.dtype)
        part = np.concatenate([part, rows])
      found.append(self._invoke(part))
    outputs = [np.concatenate(one)[: len(images)] for one in zip(*found, strict=False)]
    names = [one['name'] for one in self._interpreter.get_output_details()]
    return [
      (name, common.flat(one, len(images)))
      for name, one in zip(names, outputs, strict=False)
    ]

  def _invoke(self, part):
    interpreter, index = self._interpreter, self._input['index']
    if list(part.shape) != self._fixed:
      interpreter.resize_tensor_input(index, part.shape)
      interpreter.allocate_tensors()
      self._fixed = list(part.shape)
    interpreter.set_tensor(index, part)
    interpreter.invoke()
    return [
      _restored(interpreter.get_tensor(one['index']), one)
      for one in interpreter.get_output_details()
    ]


def _numbers(detail):
  """Returns scale and zero point of a quantised tensor, None of another."""
  scale, zero = detail['quantization']
  return [float(scale), int(zero)] if scale else None


def _quantised(images, detail):
  """Returns images in the dtype of an input.

  Quantised are round(x / scale) + zero point in float32, halves away from zero, cut off
  at the limits (AffineQuantize, tensorflow/lite/kernels/internal/reference/quantize.h).
  Integers without a scale are rounded alone.
  """
  dtype = np.dtype(detail['dtype'])
  if dtype.kind == 'f':
    return np.asarray(images, dtype)
  scale, zero = _numbers(detail) or (1.0, 0)
  scaled = np.asarray(images, np.float32) / np.float32(scale)
  whole = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled)
  limits = np.iinfo(dtype)
  return np.clip(whole + np.float32(zero), limits.min, limits.max).astype(dtype)


def _restored(values, detail):
  """Returns real numbers of an output: (q - zero point) * scale."""
  if values.dtype.kind == 'f':
    return values.astype(np.float32, copy=False)
  scale, zero = _numbers(detail) or (1.0, 0)
  return (values.astype(np.float32) - np.float32(zero)) * np.float32(scale)
