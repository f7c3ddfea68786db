"""Files of PyTorch's older format, and files that only pretend to be."""

import collections
import hashlib
import io
import os
import pickle
import random
import struct
import sys
import types

import numpy as np
import pytest

from tfeval.models.efficientnet_lite.torch_pickle import read_state_dict
from tfeval.utils.errors import UserError

MAGIC = 0x1950A86A20F9469CFC6C


class Storage:
  """What `Tensor` views; pickled as a persistent id, as torch does."""

  def __init__(self, kind: str, key: str, values: np.ndarray):
    self.kind, self.key, self.values = kind, key, values


class Tensor:
  def __init__(self, storage, offset, size, strides):
    self.args = (storage, offset, size, strides, False, collections.OrderedDict())


@pytest.fixture(name='torch')
def fake_torch(monkeypatch):
  """Modules of torch's names, so that the real pickler can name their members."""

  def _rebuild_tensor_v2():
    raise AssertionError('the reader must not call it')

  torch, utils = types.ModuleType('torch'), types.ModuleType('torch._utils')
  _rebuild_tensor_v2.__module__ = 'torch._utils'
  _rebuild_tensor_v2.__qualname__ = '_rebuild_tensor_v2'
  utils._rebuild_tensor_v2 = _rebuild_tensor_v2
  torch._utils = utils
  for kind in ['Float', 'Half', 'Long', 'BFloat16']:
    name = f'{kind}Storage'
    setattr(torch, name, type(name, (), {'__module__': 'torch'}))
  monkeypatch.setitem(sys.modules, 'torch', torch)
  monkeypatch.setitem(sys.modules, 'torch._utils', utils)
  return torch


def pickled(torch, value) -> bytes:
  """Returns the pickle that torch's own pickler would write."""

  class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
      if isinstance(obj, Storage):
        kind = getattr(torch, obj.kind + 'Storage')
        return ('storage', kind, obj.key, 'cpu', obj.values.size, None)
      return None

    def reducer_override(self, obj):
      if isinstance(obj, Tensor):
        return torch._utils._rebuild_tensor_v2, obj.args
      return NotImplemented

  stream = io.BytesIO()
  Pickler(stream, protocol=2).dump(value)
  return stream.getvalue()


HEADER = b''.join(
  pickle.dumps(part, protocol=2)
  for part in [MAGIC, 1001, {'little_endian': True, 'type_sizes': {'int': 4}}]
)


def legacy_file(path, body: bytes, storages=(), header=HEADER):
  """Writes the five pickles and the storages."""
  keys = pickle.dumps([s.key for s in storages], protocol=2)
  raw = b''.join(
    struct.pack('<q', s.values.size) + s.values.tobytes() for s in storages
  )
  path.write_bytes(header + body + keys + raw)
  return path


@pytest.fixture(name='sample')
def sample_file(tmp_path, torch):
  """Two floats, a transposed half, a scalar int64, an empty tensor; `_metadata`."""
  floats = Storage('Float', '11', np.arange(10, dtype='<f4') / 4)
  halves = Storage('Half', '22', np.arange(6, dtype='<f2'))
  steps = Storage('Long', '33', np.array([-(2**40)], '<i8'))
  tensors = collections.OrderedDict(
    [
      ('weight', Tensor(floats, 0, (2, 3), (3, 1))),
      ('bias', Tensor(floats, 7, (3,), (1,))),
      ('transposed', Tensor(halves, 0, (3, 2), (1, 3))),
      ('steps', Tensor(steps, 0, (), ())),
      ('empty', Tensor(floats, 10, (0, 4), (4, 1))),
    ]
  )
  tensors._metadata = collections.OrderedDict([('', {'version': 1})])
  body = pickled(torch, tensors)
  return legacy_file(tmp_path / 'a.pth', body, [floats, halves, steps])


def test_reads_what_the_real_pickler_wrote(sample):
  state = read_state_dict(sample)
  assert list(state) == ['weight', 'bias', 'transposed', 'steps', 'empty']
  assert state['weight'].tolist() == [[0, 0.25, 0.5], [0.75, 1, 1.25]]
  assert state['weight'].dtype == np.float32
  assert state['bias'].tolist() == [1.75, 2, 2.25]
  assert state['transposed'].tolist() == [[0, 3], [1, 4], [2, 5]]
  assert state['transposed'].dtype == np.float16
  assert state['steps'].shape == ()
  assert state['steps'] == -(2**40)
  assert state['steps'].dtype == np.int64
  assert state['empty'].shape == (0, 4)


def test_tensors_are_read_only(sample):
  for array in read_state_dict(sample).values():
    assert not array.flags.writeable


def test_a_plain_dict_is_read_too(tmp_path, torch):
  storage = Storage('Float', '1', np.float32([5]))
  body = pickled(torch, {'x': Tensor(storage, 0, (1,), (1,))})
  state = read_state_dict(legacy_file(tmp_path / 'a.pth', body, [storage]))
  assert {k: v.tolist() for k, v in state.items()} == {'x': [5.0]}


def test_every_truncation_is_refused(sample):
  data = sample.read_bytes()
  for length in range(len(data)):
    sample.write_bytes(data[:length])
    refused(sample, '')


def test_a_changed_byte_never_does_anything_else_than_refuse(sample):
  data = sample.read_bytes()
  rng = random.Random(0)
  outcomes = collections.Counter()
  for position in range(len(data)):
    for value in rng.sample(range(256), 8):
      sample.write_bytes(data[:position] + bytes([value]) + data[position + 1 :])
      try:
        read_state_dict(sample)
        outcomes['read'] += 1
      except UserError:
        outcomes['refused'] += 1
  # Both occur: a value of a tensor may change, the structure may not.
  assert outcomes['read'] > 100
  assert outcomes['refused'] > 1000


def test_trailing_bytes(sample):
  sample.write_bytes(sample.read_bytes() + b'\0')
  refused(sample, '1 bytes follow the last storage')


def test_hash(sample):
  right = hashlib.sha256(sample.read_bytes()).hexdigest()
  assert read_state_dict(sample, right.upper())['bias'].size == 3
  message = refused(sample, 'SHA-256', sha256='0' * 64)
  assert right in message
  assert '0' * 64 in message


def test_hash_is_checked_before_parsing(tmp_path):
  path = tmp_path / 'a.pth'
  path.write_bytes(b'not a pickle')
  refused(path, 'SHA-256', sha256='0' * 64)


def test_missing_file_and_directory(tmp_path):
  refused(tmp_path / 'none.pth', 'no such file')
  refused(tmp_path, 'no such file')


def test_zip_format(tmp_path):
  path = tmp_path / 'a.pth'
  path.write_bytes(b'PK\x03\x04' + bytes(100))
  assert '_use_new_zipfile_serialization=False' in refused(path, 'zip format')


@pytest.mark.parametrize(
  'data', [b'', b'\0', b'\x89HDF\r\n\x1a\n', pickle.dumps(7, 2), b'\x80\x02\x88.']
)
def test_wrong_magic(tmp_path, data):
  path = tmp_path / 'a.pth'
  path.write_bytes(data)
  refused(path, 'not a PyTorch file')


def test_wrong_version_and_system_information(tmp_path):
  parts = [pickle.dumps(p, 2) for p in (MAGIC, 1002, {}, 1001, [])]
  path = tmp_path / 'a.pth'
  path.write_bytes(parts[0] + parts[1] + parts[2])
  refused(path, 'protocol version')
  path.write_bytes(parts[0] + parts[3] + parts[4])
  refused(path, 'system information')


class Exploit:
  """Leaves a trace when it is unpickled the ordinary way."""

  def __reduce__(self):
    return os.system, ('exit 7',)


@pytest.mark.parametrize('position', range(5))
def test_system_call_in_any_of_the_five_pickles(tmp_path, position):
  parts = [pickle.dumps(p, protocol=2) for p in (MAGIC, 1001, {}, {}, [])]
  parts[position] = pickle.dumps(Exploit(), protocol=2)
  path = tmp_path / 'a.pth'
  path.write_bytes(b''.join(parts))
  refused(path, "system', which is not allowed")


# Hand-assembled pickles of the object. `G` is a GLOBAL, `K` an int, `S` a string.
def G(name: str) -> bytes:
  module, _, member = name.rpartition('.')
  return f'c{module}\n{member}\n'.encode()


def K(value: int) -> bytes:
  return b'J' + struct.pack('<i', value)


def S(text: str) -> bytes:
  return b'X' + struct.pack('<I', len(text)) + text.encode()


REBUILD = G('torch._utils._rebuild_tensor_v2')


def storage_id(kind=None, count=None, key=None, view=b'N', tag=None) -> bytes:
  kind = G('torch.FloatStorage') if kind is None else kind
  count = K(4) if count is None else count
  key = S('1') if key is None else key
  tag = S('storage') if tag is None else tag
  return b'(' + tag + kind + key + S('cpu') + count + view + b'tQ'


def tensor(storage=None, offset=0, size=(4,), strides=(1,)) -> bytes:
  def numbers(values):
    return b'(' + b''.join(map(K, values)) + b't'

  storage = storage_id() if storage is None else storage
  arguments = storage + K(offset) + numbers(size) + numbers(strides)
  return REBUILD + b'(' + arguments + b'\x89' + b'}' + b'tR'


def dictionary(value: bytes) -> bytes:
  return b'\x80\x02}' + S('x') + value + b's.'


VALUES = Storage('Float', '1', np.float32([1, 2, 3, 4]))


def test_hand_assembled_tensor_is_read(tmp_path):
  # The refusals below differ from this file in one place each.
  path = legacy_file(tmp_path / 'a.pth', dictionary(tensor()), [VALUES])
  assert read_state_dict(path)['x'].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
  ('change', 'reason'),
  [
    ({'offset': 1}, 'inside its storage'),
    ({'offset': -1}, 'unknown way'),
    ({'size': (5,)}, 'inside its storage'),
    ({'size': (-4,)}, 'unknown way'),
    ({'strides': (2,)}, 'inside its storage'),
    ({'strides': (-1,)}, 'unknown way'),
    ({'strides': (1, 1)}, 'number of dimensions'),
    ({'size': (1,) * 65, 'strides': (1,) * 65}, 'number of dimensions'),
    # Expanded: 2**31 - 1 elements out of one.
    ({'size': (2**31 - 1,), 'strides': (0,)}, 'inside its storage'),
    ({'size': (0, 2**31 - 1, 9), 'strides': (1, 1, 1)}, 'inside its storage'),
    ({'offset': 5, 'size': (0,)}, 'inside its storage'),
    ({'storage': K(1)}, 'unknown way'),
    ({'storage': storage_id(count=K(-4))}, 'storage of an unknown kind'),
    ({'storage': storage_id(count=b'\x88')}, 'storage of an unknown kind'),
    ({'storage': storage_id(kind=K(1))}, 'storage of an unknown kind'),
    ({'storage': storage_id(kind=REBUILD)}, 'storage of an unknown kind'),
    ({'storage': storage_id(key=K(1))}, 'storage of an unknown kind'),
    ({'storage': storage_id(tag=S('module'))}, 'storage of an unknown kind'),
    ({'storage': storage_id(view=b')')}, 'storage of an unknown kind'),
    ({'storage': storage_id(kind=G('torch.BFloat16Storage'))}, 'BFloat16Storage'),
    ({'storage': storage_id(count=K(3))}, 'inside its storage'),
    ({'storage': storage_id(count=K(5))}, 'another length'),
    ({'storage': storage_id(key=S('2'))}, 'not those that the tensors use'),
  ],
)
def test_tensor_that_does_not_fit(tmp_path, change, reason):
  path = legacy_file(tmp_path / 'a.pth', dictionary(tensor(**change)), [VALUES])
  refused(path, reason)


def test_stride_of_a_single_element_is_free(tmp_path):
  body = dictionary(tensor(size=(1, 4), strides=(2**31 - 1, 1)))
  path = legacy_file(tmp_path / 'a.pth', body, [VALUES])
  assert read_state_dict(path)['x'].tolist() == [[1, 2, 3, 4]]


def test_claimed_storage_larger_than_the_file(tmp_path):
  count = 2**62
  claim = b'\x8a\x08' + struct.pack('<q', count)
  body = dictionary(tensor(storage_id(count=claim)))
  keys = pickle.dumps(['1'], 2)
  path = tmp_path / 'a.pth'
  path.write_bytes(HEADER + body + keys + struct.pack('<q', count) + bytes(64))
  refused(path, 'truncated')


def test_empty_storage(tmp_path):
  empty = Storage('Float', '1', np.float32([]))
  body = dictionary(tensor(storage_id(count=K(0)), size=(0, 3), strides=(3, 1)))
  path = legacy_file(tmp_path / 'a.pth', body, [empty])
  assert read_state_dict(path)['x'].shape == (0, 3)


def test_one_storage_in_two_types(tmp_path):
  halves = storage_id(kind=G('torch.HalfStorage'))
  items = S('x') + tensor() + S('y') + tensor(halves)
  path = legacy_file(tmp_path / 'a.pth', b'\x80\x02}(' + items + b'u.', [VALUES])
  refused(path, 'declared in two ways')


def test_storages_and_tensors_belong_together(tmp_path):
  other = Storage('Float', '2', np.float32([1]))
  for storages in [[], [VALUES, other], [VALUES, VALUES]]:
    path = legacy_file(tmp_path / 'a.pth', dictionary(tensor()), storages)
    refused(path, 'not those that the tensors use')


ORDERED = G('collections.OrderedDict')


@pytest.mark.parametrize(
  ('body', 'reason'),
  [
    (G('posix.system') + S('id') + b'\x85R.', 'posix system'),
    (G('builtins.eval') + b'.', 'builtins eval'),
    (G('collections.Counter') + b')R.', 'collections Counter'),
    (G('torch.nn.Linear') + b'.', 'torch.nn Linear'),
    # STACK_GLOBAL, INST, OBJ, NEWOBJ, EXT1, POP, DUP, text ints, frames.
    (S('os') + S('system') + b'\x93.', 'STACK_GLOBAL'),
    (b'(' + S('id') + b'iposix\nsystem\n.', 'INST'),
    (b'(' + ORDERED + b'o.', 'OBJ'),
    (ORDERED + b')\x81.', 'NEWOBJ'),
    (b'\x82\x01.', 'EXT1'),
    (b'}}0.', 'POP'),
    (b'}2.', 'DUP'),
    (b'I1\n.', 'INT'),
    (b'\x95' + bytes(8) + b'}.', 'FRAME'),
    # Calls of anything but the two known names, or in another way.
    (ORDERED + b'}R.', 'calls something'),
    (ORDERED + b']\x85R.', 'unknown way'),
    (b'})R.', 'calls something'),
    (REBUILD + b')R.', 'unknown way'),
    (G('torch.FloatStorage') + b')R.', 'calls something'),
    # BUILD on a name would set attributes of the reader's own objects.
    (REBUILD + b'}' + S('__call__') + K(1) + b'sb.', 'not a dict'),
    (b'N}b.', 'not a dict'),
    # Structure.
    (b'N.', 'not a dictionary'),
    (b'].', 'not a dictionary'),
    (b'}' + S('x') + K(1) + b's.', 'is not a tensor'),
    (b'}' + S('x' * 99) + b'}s.', 'is not a tensor'),
    (b'}' + S('a\nb') + b'}s.', 'is not a tensor'),
    (b'}' + K(1) + K(1) + b's.', 'not a string'),
    (b'}(' + S('x') + b'u.', 'not a string'),
    (b']' + S('x') + K(1) + b's.', 'not a dict'),
    (b'}N' + b'a.', 'not a list'),
    (b'}N' + b'.', 'middle of an object'),
    (b'(.', 'empty stack'),
    (b'.', 'middle of an object'),
    (b'(\x85.', 'empty stack'),
    (b't.', 'empty stack'),
    (b'h\x05.', 'refers to nothing'),
    (b'\xff.', 'truncated or damaged'),
    (b"S'\\o'\n.", 'STRING'),
    (b'X\xff\xff\xff\xffa', 'truncated or damaged'),
    (b'\x8e' + struct.pack('<Q', 2**60) + b'a', 'truncated or damaged'),
    # Lists that are appended to after a check.
    (
      dictionary(tensor().replace(b'(' + K(4) + b't', b']' + K(4) + b'a'))[2:],
      'unknown way',
    ),
  ],
)
def test_refused_pickles(tmp_path, body, reason):
  path = legacy_file(tmp_path / 'a.pth', b'\x80\x02' + body, [VALUES])
  refused(path, reason)


def test_attributes_are_ignored(tmp_path):
  # BUILD with `_metadata`, with the names of methods, and with slots.
  state = b'}' + S('__class__') + K(1) + b's' + b'}' + S('keys') + K(2) + b's\x86'
  body = b'\x80\x02' + ORDERED + b')R' + S('x') + tensor() + b's' + state + b'b.'
  path = legacy_file(tmp_path / 'a.pth', body, [VALUES])
  assert read_state_dict(path)['x'].tolist() == [1, 2, 3, 4]


def test_large_memo_index_costs_nothing(tmp_path):
  # `pickle.Unpickler` allocates 16 bytes for each index up to this one.
  body = b'\x80\x02}r\xff\xff\xff\x7f' + S('x') + tensor() + b's.'
  path = legacy_file(tmp_path / 'a.pth', body, [VALUES])
  assert read_state_dict(path)['x'].tolist() == [1, 2, 3, 4]


def test_deep_and_doubled_tuples(tmp_path):
  # As keys: hashing the first overflows the C stack, the second takes 2**200 steps.
  deep = b')' + b'\x85' * 500_000
  double = b')' + b''.join(b'q%ch%c\x86' % (i, i) for i in range(200))
  for key in [deep, double]:
    path = legacy_file(tmp_path / 'a.pth', b'\x80\x02}' + key + K(1) + b's.')
    refused(path, 'not a string')


def test_number_of_opcodes_is_limited(tmp_path):
  path = legacy_file(tmp_path / 'a.pth', b'\x80\x02' + b'}' * 1_000_001 + b'.')
  refused(path, 'opcodes')


def refused(path, reason: str, sha256: str | None = None) -> str:
  """Asserts that the file is refused in one line with the reason; returns it."""
  with pytest.raises(UserError) as error:
    read_state_dict(path, sha256)
  message = str(error.value)
  assert message.startswith(f'{path}: ')
  assert reason in message
  assert '\n' not in message
  return message
