"""ONNX files of every kind, against onnxruntime in a plain loop."""

import frameworks
import numpy as np
import pytest

from tfeval.models import loading
from tfeval.utils.errors import UserError

pytestmark = frameworks.needs('onnx', 'onnxruntime')
SIDE, CLASSES = 8, 5


@pytest.fixture(scope='module')
def pixels():
  random = np.random.default_rng(0)
  return random.integers(0, 256, (7, SIDE, SIDE, 3)).astype(np.uint8)


def write(path, layout='nchw', dtype='FLOAT', batch='n', inputs=1, wide=False):
  """Writes a network: a cast, and a product with fixed weights; returns these."""
  import onnx
  from onnx import TensorProto, helper, numpy_helper

  shape = [batch, 3, SIDE, SIDE] if layout == 'nchw' else [batch, SIDE, SIDE, 3]
  weights = np.random.default_rng(1).normal(size=(3 * SIDE * SIDE, CLASSES))
  weights = weights.astype(np.float32)
  given = [
    helper.make_tensor_value_info(f'images{i}', getattr(TensorProto, dtype), shape)
    for i in range(inputs)
  ]
  nodes = [
    helper.make_node('Cast', ['images0'], ['real'], to=TensorProto.FLOAT),
    helper.make_node('Flatten', ['real'], ['flat'], axis=1),
    helper.make_node('MatMul', ['flat', 'weights'], ['product']),
    helper.make_node('Reshape', ['product', 'shape'], ['scores']),
  ]
  target = [-1, 1, 1, CLASSES] if wide else [-1, CLASSES]
  graph = helper.make_graph(
    nodes,
    'network',
    given,
    [helper.make_tensor_value_info('scores', TensorProto.FLOAT, None)],
    [
      numpy_helper.from_array(weights, 'weights'),
      numpy_helper.from_array(np.array(target, np.int64), 'shape'),
    ],
  )
  model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)])
  model.ir_version = 9
  onnx.save(model, path)
  return weights


@pytest.mark.parametrize(
  'how',
  [
    {},
    {'layout': 'nhwc'},
    {'batch': 4},
    {'batch': 1},
    {'dtype': 'UINT8'},
    {'dtype': 'FLOAT16'},
    {'wide': True},
  ],
  ids=str,
)
def test_scores_are_those_of_a_plain_loop(how, pixels, tmp_path):
  import onnxruntime

  path = tmp_path / 'model.onnx'
  write(path, **how)
  preprocess = 'identity' if how.get('dtype') == 'UINT8' else 'unit'
  model = loading.load_model(path, preprocess=preprocess, output='logits')
  assert model.input_size == SIDE and model.backend.input_spec.channels == 3
  session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
  expected = []
  for image in pixels:
    image = image if preprocess == 'identity' else image / np.float32(255)
    if how.get('layout') != 'nhwc':
      image = image.transpose(2, 0, 1)
    dtype = {'UINT8': np.uint8, 'FLOAT16': np.float16}.get(how.get('dtype'), np.float32)
    size = how.get('batch', 1)
    batch = np.repeat(image[None].astype(dtype), size if size != 'n' else 1, 0)
    (found,) = session.run(None, {'images0': batch})
    expected.append(found[0].ravel())
  np.testing.assert_allclose(model(pixels), expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
  ('content', 'words'),
  [
    (b'', 'is no .onnx file'),
    (b'not a model', 'cannot be loaded: .*(?i:protobuf)'),
  ],
)
def test_files_that_are_none(content, words, tmp_path):
  (tmp_path / 'a.onnx').write_bytes(content)
  with pytest.raises(UserError, match=words) as caught:
    loading.load_model(tmp_path / 'a.onnx', preprocess='unit', output='logits')
  assert '\n' not in str(caught.value)


def test_what_a_file_does_not_tell_is_asked_for(tmp_path):
  path = tmp_path / 'a.onnx'
  write(path, inputs=2)
  with pytest.raises(UserError, match='it has the inputs images0, images1: expected'):
    loading.load_model(path, preprocess='unit', output='logits')
  write(path)
  with pytest.raises(UserError, match='how images are preprocessed'):
    loading.load_model(path, output='logits')
  with pytest.raises(UserError, match='returns logits or probabilities cannot be'):
    loading.load_model(path, preprocess='unit')


@pytest.mark.parametrize('where', ['missing.bin', '../outside.bin', '/etc/hostname'])
def test_weights_beside_a_file(where, tmp_path):
  """Those that are missing, or outside of its folder, are not read."""
  import onnx
  from onnx import external_data_helper

  folder = tmp_path / 'in'
  folder.mkdir()
  write(folder / 'a.onnx')
  (tmp_path / 'outside.bin').write_bytes(bytes(1 << 14))
  model = onnx.load(folder / 'a.onnx')
  tensor = model.graph.initializer[0]
  external_data_helper.set_external_data(tensor, where, 0, len(tensor.raw_data))
  tensor.ClearField('raw_data')
  (folder / 'a.onnx').write_bytes(model.SerializeToString())
  with pytest.raises(UserError, match='cannot be loaded: ') as caught:
    loading.load_model(folder / 'a.onnx', preprocess='unit', output='logits')
  assert '\n' not in str(caught.value)


def test_weights_beside_a_file_are_part_of_what_it_is(tmp_path):
  import onnx

  write(tmp_path / 'plain.onnx')
  model = onnx.load(tmp_path / 'plain.onnx')
  path = tmp_path / 'a.onnx'
  onnx.save(
    model, path, save_as_external_data=True, location='a.bin', size_threshold=1024
  )
  known = {'preprocess': 'unit', 'output': 'logits'}
  first = loading.load_model(path, **known).weights_sha256
  assert loading.load_model(path, **known).weights_sha256 == first
  values = bytearray((tmp_path / 'a.bin').read_bytes())
  values[2] ^= 1
  (tmp_path / 'a.bin').write_bytes(values)
  assert loading.load_model(path, **known).weights_sha256 != first


def test_options_are_read_or_refused(pixels, tmp_path):
  write(tmp_path / 'a.onnx')
  known = {'preprocess': 'unit', 'output': 'logits'}
  plain = loading.load_model(tmp_path / 'a.onnx', **known)(pixels)
  same = loading.load_model(f'{tmp_path}/a.onnx:layout=nchw', **known)(pixels)
  np.testing.assert_array_equal(plain, same)
  for text, words in (('layout=hwc', 'expected nchw'), ('size=3', 'no option size')):
    with pytest.raises(UserError, match=words):
      loading.load_model(f'{tmp_path}/a.onnx:{text}', **known)
