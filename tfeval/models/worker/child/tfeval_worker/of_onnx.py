"""ONNX files, by onnxruntime."""

import numpy as np
from tfeval_worker import common

# Of ONNX' tensors: what NumPy makes of it.
_DTYPES = {
  'tensor(float)': 'float32',
  'tensor(float16)': 'float16',
  'tensor(double)': 'float64',
  'tensor(uint8)': 'uint8',
  'tensor(int8)': 'int8',
}


def load(message):
  runtime = common.library('onnxruntime', 'onnx')
  path = message['target']
  options = runtime.SessionOptions()
  options.log_severity_level = 4
  try:
    session = runtime.InferenceSession(
      path, options, message.get('providers') or ['CPUExecutionProvider']
    )
  except Exception as error:
    text = ' '.join(str(error).split())
    hint = ''
    if 'external' in text.lower() or 'No such file' in text:
      hint = ': the files of its weights belong beside it'
    elif 'not a registered function' in text or 'is not implemented' in text.lower():
      hint = ': this onnxruntime lacks an operator'
    raise common.Refused(f'it cannot be loaded: {text[:300]}{hint}') from error
  return Onnx(runtime, session, message)


class Onnx:
  """A session; its layout, sizes and dtypes are those of the file."""

  def __init__(self, runtime, session, message):
    self._runtime, self._session = runtime, session
    options = common.only(message, ('layout',))
    inputs = session.get_inputs()
    if len(inputs) != 1:
      names = ', '.join(one.name for one in inputs)
      raise common.Refused(f'it has the inputs {names}: expected one, of images')
    (self._input,) = inputs
    if self._input.type not in _DTYPES:
      raise common.Refused(f'its input is {self._input.type}: expected images')
    self._dtype = np.dtype(_DTYPES[self._input.type])
    shape = [one if isinstance(one, int) else None for one in self._input.shape]
    if len(shape) != 4:
      raise common.Refused(f'its input has the shape {self._input.shape}: expected 4')
    self._channels_first = _is_channels_first(shape, options.get('layout'))
    if self._channels_first:
      shape = [shape[0], shape[2], shape[3], shape[1]]
    self._shape = shape

  def describe(self):
    outputs = [
      [one.name, [d if isinstance(d, int) else None for d in one.shape or []]]
      for one in self._session.get_outputs()
    ]
    return {
      'versions': common.versions(onnxruntime=self._runtime),
      'devices': self._session.get_providers(),
      'parameters': None,
      'input': [None, *self._shape[1:]],
      'batch': self._shape[0],
      'dtype': self._dtype.name,
      'outputs': outputs,
    }

  def run(self, images):
    if self._dtype.kind in 'ui':
      images = np.clip(np.rint(images), *_limits(self._dtype))
    images = images.astype(self._dtype, copy=False)
    if self._channels_first:
      images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    names = [one.name for one in self._session.get_outputs()]
    found = [
      self._session.run(names, {self._input.name: part})
      for part in _batches(images, self._shape[0])
    ]
    parts = [np.concatenate(one)[: len(images)] for one in zip(*found, strict=False)]
    return [
      (name, common.flat(one, len(images)))
      for name, one in zip(names, parts, strict=False)
    ]


def _limits(dtype):
  return np.iinfo(dtype).min, np.iinfo(dtype).max


def _batches(images, size):
  """Yields batches of a fixed size, the last one padded; of a free one all images."""
  if size is None:
    yield images
    return
  for start in range(0, len(images), size):
    part = images[start : start + size]
    missing = size - len(part)
    if missing:
      part = np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)])
    yield part


def _is_channels_first(shape, layout):
  """Returns whether images are [channels, height, width], as the file tells.

  Raises:
    Refused: it does not.
  """
  if layout not in (None, 'nchw', 'nhwc'):
    raise common.Refused(f'layout={layout}: expected nchw or nhwc')
  if layout is not None:
    return layout == 'nchw'
  if (shape[1] == 3) != (shape[3] == 3):
    return shape[1] == 3
  raise common.Refused(
    f'its input of the shape {shape} does not tell where the channels are: give '
    ':layout=nchw or :layout=nhwc behind the file'
  )
