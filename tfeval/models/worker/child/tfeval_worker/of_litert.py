"""LiteRT (TensorFlow Lite) files, by ai-edge-litert."""

import re

import numpy as np
from tfeval_worker import common, tensors

# Operators that change no order of scores: what stands before them counts.
_PASSED = ('RESHAPE', 'SQUEEZE', 'EXPAND_DIMS', 'CAST', 'QUANTIZE', 'DEQUANTIZE')
_ACTIVATIONS = {'SOFTMAX': 'softmax', 'LOGISTIC': 'sigmoid'}
# In errors: an operator of TensorFlow, or of whoever made the file.
_LACKING = re.compile(r'\((Flex\w+)\)|custom op: (\w+)')


def load(message):
  litert = common.library('ai_edge_litert.interpreter', 'litert')
  options = common.only(message, ('layout', 'threads'))
  threads = common.threads(options)
  try:
    interpreter = litert.Interpreter(message['target'], num_threads=threads)
    shapes = [one['shape_signature'] for one in interpreter.get_input_details()]
    # Of free sides it would be made for 1 x 1, where layers may not fit.
    if all(n > 0 for shape in shapes for n in shape[1:]):
      interpreter.allocate_tensors()
  except Exception as error:
    raise common.Refused(_unloadable(' '.join(str(error).split()))) from error
  return LiteRT(interpreter, _activations(message['target']), options.get('layout'))


def _unloadable(text):
  """Returns what to say of an error of the interpreter."""
  if lacking := _LACKING.search(text):
    name = lacking[1] or lacking[2]
    return (
      f'it cannot be loaded: this LiteRT lacks its operator {name}: convert the model '
      'with TFLITE_BUILTINS alone, or give what it was made of, such as a SavedModel'
    )
  return f'it cannot be loaded: {text[:300]}'


class LiteRT:
  """An interpreter; quantised values are converted by the numbers of the file."""

  def __init__(self, interpreter, activations, layout):
    self._interpreter = interpreter
    inputs = interpreter.get_input_details()
    if len(inputs) != 1:
      names = common.listed(one['name'] for one in inputs)
      raise common.Refused(f'it has the inputs {names}: expected one, of images')
    (self._input,) = inputs
    self._dtype = np.dtype(self._input['dtype'])
    if self._dtype.kind not in 'fui':
      raise common.Refused(
        f'its input is {self._dtype.name}, expected numbers: convert it without what '
        'decodes images'
      )
    shape = [int(n) if n > 0 else None for n in self._input['shape_signature']]
    self._channels_first = tensors.channels_first(shape, layout)
    if self._channels_first:
      shape = [shape[0], shape[2], shape[3], shape[1]]
    self._shape = shape
    self._fixed = None if None in shape[1:] else self._input['shape'].tolist()
    self._outputs = interpreter.get_output_details()
    self._names = [one['name'] for one in self._outputs]
    self._activations = {
      name: one for name, one in zip(self._names, activations, strict=False) if one
    }

  def describe(self):
    import ai_edge_litert

    is_plain = self._dtype.kind in 'ui' and _numbers(self._input) is None
    return {
      'versions': common.versions(ai_edge_litert=ai_edge_litert),
      'devices': ['CPU'],
      'parameters': None,
      'input': [None, *self._shape[1:]],
      'dtype': self._dtype.name,
      'whole_numbers': is_plain,
      'activations': self._activations,
    }

  def run(self, images):
    count = len(images)
    images = _quantised(images, self._input)
    if self._channels_first:
      images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    found = [self._invoke(part) for part in tensors.batches(images, self._shape[0])]
    return tensors.outputs(self._names, found, count)

  def _invoke(self, part):
    interpreter, index = self._interpreter, self._input['index']
    if list(part.shape) != self._fixed:
      interpreter.resize_tensor_input(index, part.shape)
      interpreter.allocate_tensors()
      self._fixed = list(part.shape)
    interpreter.set_tensor(index, part)
    interpreter.invoke()
    return [
      _restored(interpreter.get_tensor(one['index']), one) for one in self._outputs
    ]


def _activations(path):
  """Returns `softmax`, `sigmoid` or None of each output: the operator it ends in."""
  from ai_edge_litert import schema_py_generated as schema

  names = {
    value: name
    for name, value in vars(schema.BuiltinOperator).items()
    if name.isupper()
  }
  with open(path, 'rb') as file:
    model = schema.Model.GetRootAs(file.read(), 0)
  graph, made = model.Subgraphs(0), {}
  for i in range(graph.OperatorsLength()):
    operator = graph.Operators(i)
    code = model.OperatorCodes(operator.OpcodeIndex())
    # The second is of files from before 2020, and of operators that are as old.
    name = names.get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))
    given = operator.Inputs(0) if operator.InputsLength() else -1
    made.update(
      {operator.Outputs(k): (name, given) for k in range(operator.OutputsLength())}
    )
  return [
    common.activation(made, graph.Outputs(i), _PASSED, _ACTIVATIONS)
    for i in range(graph.OutputsLength())
  ]


def _numbers(detail):
  """Returns scale and zero point of a quantised tensor, None of another."""
  scale, zero = detail['quantization']
  return (float(scale), int(zero)) if scale else None


def _quantised(images, detail):
  """Returns images in the dtype of an input.

  Quantised are round(x / scale) + zero point in float32, halves away from zero, cut off
  at the limits (AffineQuantize, tensorflow/lite/kernels/internal/reference/quantize.h).
  Integers without a scale are rounded alone.
  """
  dtype = np.dtype(detail['dtype'])
  if dtype.kind == 'f':
    return np.asarray(images, dtype)
  return tensors.integers(images, dtype, *(_numbers(detail) or ()))


def _restored(values, detail):
  """Returns real numbers of an output: (q - zero point) * scale."""
  if values.dtype.kind == 'f':
    return values.astype(np.float32, copy=False)
  scale, zero = _numbers(detail) or (1.0, 0)
  return (values.astype(np.float32) - np.float32(zero)) * np.float32(scale)
