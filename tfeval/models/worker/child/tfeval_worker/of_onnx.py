"""ONNX files, by onnxruntime."""

import os
import re

import numpy as np
from tfeval_worker import common, onnx_graph, tensors

# Of ONNX' tensors: what NumPy makes of it.
_REAL = {
  'tensor(float)': 'float32',
  'tensor(float16)': 'float16',
  'tensor(double)': 'float64',
}
_DTYPES = {
  **_REAL,
  **{
    f'tensor({kind}{bits})': f'{kind}{bits}'
    for kind in ('int', 'uint')
    for bits in (8, 16, 32, 64)
  },
}
_BFLOAT16 = 'tensor(bfloat16)'
_BFLOAT16_OF_ONNX = 16  # TensorProto.DataType.
_CPU, _CUDA = 'CPUExecutionProvider', 'CUDAExecutionProvider'
# Operators for what surrounds networks; its library is asked for by this name.
EXTENSIONS = 'onnxruntime_extensions'
_OF_EXTENSIONS = ('ai.onnx.contrib', 'com.microsoft.extensions')

# What onnxruntime says before what was wrong, and how much of that is told.
_BEFORE = re.compile(
  r'^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed:)?'
  r'(/onnxruntime_src/.*?\) (?=[A-Z]))?'
)
_LONGEST = 300


def load(message):
  runtime = common.library('onnxruntime', 'onnx')
  given = common.only(message, ('layout', 'ops', 'provider', 'threads'))
  options = runtime.SessionOptions()
  options.log_severity_level = 4
  options.intra_op_num_threads = common.threads(given) or 0
  _register(options, given.get('ops'), message['trust'])
  provider = _provider(runtime, given.get('provider'))
  try:
    session = runtime.InferenceSession(message['target'], options, provider)
  except Exception as error:
    raise common.Refused(f'it cannot be loaded: {_told(str(error))}') from error
  if given.get('provider') not in (None, *session.get_providers()):
    raise common.Refused(
      f'provider={given["provider"]} does not start here: leave it out, or look at its '
      'libraries and its device'
    )
  return Onnx(runtime, session, message['target'], given.get('layout'))


def _register(options, ops, trusted):
  """Has a session take operators of libraries, which is code of whoever made them.

  Raises:
    Refused: that is not trusted, or they cannot be loaded.
  """
  if ops is None:
    return
  for library in ops if isinstance(ops, list) else [str(ops)]:
    if not trusted:
      raise common.Refused(
        f'ops={library} is a library of native code: give `trust_model` if you trust it'
      )
    path = library
    if library == EXTENSIONS:
      path = common.library(EXTENSIONS, 'onnx').get_library_path()
    elif not os.path.isfile(path):
      raise common.Refused(
        f'ops={library}: there is no such file: give a library of custom operators, or '
        f'{EXTENSIONS}'
      )
    try:
      options.register_custom_ops_library(os.path.abspath(path))
    except Exception as error:
      text = ' '.join(str(error).split())[:300]
      raise common.Refused(
        f'ops={library} is no library of custom operators for this onnxruntime: {text}'
      ) from error


def _provider(runtime, given):
  """Returns what computes: what is asked for, or the GPU where onnxruntime is for one.

  The CPU takes the operators that it lacks. TF32 is off, as in PyTorch and TensorFlow.

  Raises:
    Refused: onnxruntime does not have it.
  """
  there = runtime.get_available_providers()
  if given not in (None, *there):
    raise common.Refused(
      f'provider={given} is not of this onnxruntime, which has {", ".join(there)}'
    )
  chosen = given or (_CUDA if _CUDA in there else _CPU)
  if chosen == _CPU:
    return [_CPU]
  return [(chosen, {'use_tf32': '0'} if chosen == _CUDA else {}), _CPU]


def _told(text):
  """Returns an error of onnxruntime in a line, and what to do about it."""
  text = _BEFORE.sub('', ' '.join(text.split()))
  words = text[:_LONGEST].rstrip('. ')
  low = text.lower()
  if any(domain in text for domain in _OF_EXTENSIONS):
    way = (
      f'its operators are of {EXTENSIONS}: pip install it, and give :ops={EXTENSIONS} '
      'behind the file and `trust_model`'
    )
  elif 'not a registered function' in text or 'is not implemented' in low:
    way = (
      'this onnxruntime lacks an operator: install a newer one, or give the library '
      'that has it, :ops=LIBRARY.so behind the file, and `trust_model`'
    )
  elif 'opset' in low or 'ir version' in low:
    way = 'install a newer onnxruntime, or export it for an older version of ONNX'
  elif 'external' in low or 'No such file' in text:
    way = 'the files of its weights belong beside it'
  elif 'protobuf' in low:
    way = 'it is no file of ONNX, or not whole: copy or export it again'
  else:
    return words
  return f'{words}: {way}'


class Onnx:
  """A session; its layout, sizes and dtypes are those of the file."""

  def __init__(self, runtime, session, path, layout):
    self._runtime, self._session = runtime, session
    self._activations = onnx_graph.activations(path)
    inputs = session.get_inputs()
    if len(inputs) != 1:
      names = common.listed(one.name for one in inputs)
      raise common.Refused(f'it has the inputs {names}: expected one, of images')
    (self._input,) = inputs
    self._is_bfloat16 = self._input.type == _BFLOAT16
    if self._input.type not in (*_DTYPES, _BFLOAT16):
      raise common.Refused(
        f'its input is {self._input.type}, expected numbers: export it without what '
        'decodes images, or call it in a function of yours, function:MODULE:FUNCTION'
      )
    self._dtype = np.dtype(_DTYPES.get(self._input.type, 'float32'))
    shape = [one if isinstance(one, int) else None for one in self._input.shape]
    self._channels_first = tensors.channels_first(shape, layout)
    if self._channels_first:
      shape = [shape[0], shape[2], shape[3], shape[1]]
    self._shape = shape
    outputs = session.get_outputs()
    self._names = [one.name for one in outputs if one.type in _REAL]
    if not self._names:
      there = common.listed(f'{one.name} {one.type}' for one in outputs)
      raise common.Refused(
        f'its outputs are {there}: expected scores in float, float16 or double: have '
        'it end in a Cast, or in DequantizeLinear'
      )

  def describe(self):
    return {
      'versions': common.versions(onnxruntime=self._runtime),
      'devices': self._session.get_providers(),
      'parameters': None,
      'input': [None, *self._shape[1:]],
      'dtype': 'bfloat16' if self._is_bfloat16 else self._dtype.name,
      'whole_numbers': self._dtype.kind in 'ui',
      'activations': self._activations,
    }

  def run(self, images):
    count = len(images)
    if self._dtype.kind in 'ui':
      images = tensors.integers(images, self._dtype)
    images = images.astype(self._dtype, copy=False)
    if self._channels_first:
      images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    found = [self._computed(part) for part in tensors.batches(images, self._shape[0])]
    return tensors.outputs(self._names, found, count)

  def _computed(self, part):
    """Returns all outputs of a batch."""
    if not self._is_bfloat16:
      return self._session.run(self._names, {self._input.name: part})
    value = self._runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(
      tensors.bfloat16(part), _BFLOAT16_OF_ONNX
    )
    made = self._session.run_with_ort_values(self._names, {self._input.name: value})
    return [one.numpy() for one in made]
