"""What outputs of an ONNX file end in, which onnxruntime does not tell.

Read from the file itself, https://protobuf.dev/programming-guides/encoding and
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3: a model's field 7 is its graph;
a graph's 1 are nodes, 12 outputs; a node's 1 are inputs, 2 outputs, 4 is the operator,
7 its domain; an output's 1 is the name. Weights are passed over. Nodes inside of
functions and branches are not looked at.
"""

import mmap

from tfeval_worker import common

# Operators that change no order of scores: what stands before them counts.
_PASSED = frozenset(
  'Identity Cast Reshape Flatten Squeeze Unsqueeze Dropout QuantizeLinear '
  'DequantizeLinear'.split()
)
ACTIVATIONS = {'Softmax': 'softmax', 'Sigmoid': 'sigmoid'}


def activations(path):
  """Returns `softmax` or `sigmoid` by the names of outputs that end in one."""
  with (
    open(path, 'rb') as file,
    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
  ):
    if data[4:8] == b'ORTM':  # A format of onnxruntime's own.
      return {}
    made, names = {}, []
    for graph in _fields(data, (0, len(data)), 7):
      for node in _fields(data, graph, 1):
        found = _texts(data, node)
        if found.get(7, [''])[0] in ('', 'ai.onnx'):
          for name in found.get(2, [])[:1]:
            made[name] = found.get(4, [''])[0], found.get(1, [None])[0]
      names += [_texts(data, one).get(1, [''])[0] for one in _fields(data, graph, 12)]
  ends = {name: common.activation(made, name, _PASSED, ACTIVATIONS) for name in names}
  return {name: one for name, one in ends.items() if one is not None}


def _texts(data, message):
  """Returns the fields of a message that have a length, by number, in order."""
  found = {}
  for number, (start, end) in _all(data, message):
    if number in (1, 2, 4, 7):
      found.setdefault(number, []).append(data[start:end].decode(errors='replace'))
  return found


def _fields(data, message, number):
  """Returns where the fields of a number start and end."""
  return [place for found, place in _all(data, message) if found == number]


def _all(data, message):
  """Yields number and place of all fields of a message that have a length."""
  at, end = message
  while at < end:
    key, at = _number(data, at)
    kind = key & 7
    if kind == 2:
      length, at = _number(data, at)
      yield key >> 3, (at, at + length)
      at += length
    elif kind == 0:
      _, at = _number(data, at)
    elif kind in (1, 5):
      at += 8 if kind == 1 else 4
    else:
      return


def _number(data, at):
  """Returns a number of seven bits in each byte, and where it ends."""
  value = shift = 0
  while True:
    byte = data[at]
    value |= (byte & 127) << shift
    at, shift = at + 1, shift + 7
    if byte < 128:
      return value, at
