"""ONNX files of every kind, against onnxruntime in a plain loop."""

import dataclasses
import shutil
import subprocess

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


def write(
  path,
  layout='nchw',
  dtype='FLOAT',
  batch='n',
  inputs=1,
  wide=False,
  channels=3,
  last=(),
  out='FLOAT',
):
  """Writes a network: a cast, a product with fixed weights, and `last`, nodes."""
  import onnx
  from onnx import TensorProto, helper, numpy_helper

  shape = [batch, channels, SIDE, SIDE]
  if layout == 'nhwc':
    shape = [batch, SIDE, SIDE, channels]
  weights = np.random.default_rng(1).normal(size=(channels * SIDE * SIDE, CLASSES))
  weights = weights.astype(np.float32)
  given = [
    helper.make_tensor_value_info(f'images{i}', getattr(TensorProto, dtype), shape)
    for i in range(inputs)
  ]
  nodes = [
    helper.make_node('Cast', ['images0'], ['real'], to=TensorProto.FLOAT),
    helper.make_node('Flatten', ['real'], ['flat'], axis=1),
    helper.make_node('MatMul', ['flat', 'weights'], ['product']),
    helper.make_node('Reshape', ['product', 'shape'], ['scores' if not last else 'y0']),
  ]
  for i, (operator, domain, keywords) in enumerate(last):
    made = 'scores' if i + 1 == len(last) else f'y{i + 1}'
    nodes.append(
      helper.make_node(operator, [f'y{i}'], [made], domain=domain, **keywords)
    )
  target = [-1, 1, 1, CLASSES] if wide else [-1, CLASSES]
  graph = helper.make_graph(
    nodes,
    'network',
    given,
    [helper.make_tensor_value_info('scores', getattr(TensorProto, out), None)],
    [
      numpy_helper.from_array(weights, 'weights'),
      numpy_helper.from_array(np.array(target, np.int64), 'shape'),
    ],
  )
  operators = [('', 17), *{(one[1], 1) for one in last if one[1]}]
  model = helper.make_model(
    graph, opset_imports=[helper.make_opsetid(*one) for one in operators]
  )
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
    {'dtype': 'INT32'},
    {'dtype': 'UINT16'},
    {'dtype': 'INT64'},
    {'dtype': 'FLOAT16'},
    {'dtype': 'DOUBLE'},
    {'wide': True},
  ],
  ids=str,
)
def test_scores_are_those_of_a_plain_loop(how, pixels, tmp_path):
  import onnxruntime

  path = tmp_path / 'model.onnx'
  write(path, **how)
  preprocess = 'identity' if 'INT' in how.get('dtype', '') else 'unit'
  model = loading.load_model(path, preprocess=preprocess, output='logits')
  assert model.input_size == SIDE and model.backend.input_spec.channels == 3
  session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
  expected = []
  for image in pixels:
    image = image if preprocess == 'identity' else image / np.float32(255)
    if how.get('layout') != 'nhwc':
      image = image.transpose(2, 0, 1)
    dtype = how.get('dtype', 'FLOAT').replace('FLOAT', 'float').replace('INT', 'int')
    dtype = {'float': 'float32', 'DOUBLE': 'float64'}.get(dtype, dtype.lower())
    size = how.get('batch', 1)
    batch = np.repeat(image[None].astype(dtype), size if size != 'n' else 1, 0)
    (found,) = session.run(None, {'images0': batch})
    expected.append(found[0].ravel())
  np.testing.assert_allclose(model(pixels), expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
  ('content', 'words'),
  [
    (b'', 'is no .onnx file'),
    (b'not a model', 'Protobuf parsing failed: it is no file of ONNX, or not whole'),
  ],
)
def test_files_that_are_none(content, words, tmp_path):
  (tmp_path / 'a.onnx').write_bytes(content)
  with pytest.raises(UserError, match=words) as caught:
    loading.load_model(tmp_path / 'a.onnx', preprocess='unit', output='logits')
  assert '\n' not in str(caught.value)


def test_files_of_a_later_onnx(tmp_path):
  import onnx

  write(tmp_path / 'a.onnx')
  model = onnx.load(tmp_path / 'a.onnx')
  model.opset_import[0].version = 99
  onnx.save(model, tmp_path / 'opset.onnx')
  model = onnx.load(tmp_path / 'a.onnx')
  model.ir_version = 99
  onnx.save(model, tmp_path / 'ir.onnx')
  for name in ('opset', 'ir'):
    told = outcome(tmp_path / f'{name}.onnx')
    assert '99' in told and 'onnxruntime_src' not in told
    assert told.endswith('export it for an older version of ONNX')


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


def outcome(path, **known):
  """Returns what loading a file says: the line of a refusal, or what it returns."""
  known = {'preprocess': 'unit', 'output': 'logits', **known}
  try:
    return loading.load_model(path, **known).output
  except UserError as error:
    assert '\n' not in str(error)
    return str(error)


@pytest.mark.parametrize(
  ('dtype', 'preprocess', 'limits'),
  [
    ('UINT8', 'unit', 'uint8, 0 to 255'),
    ('UINT8', 'imagenet', 'uint8, 0 to 255'),
    ('UINT8', 'caffe', 'uint8, 0 to 255'),
    ('INT8', 'identity', 'int8, -128 to 127'),
    ('INT32', 'unit', 'int32, '),
  ],
)
def test_whole_numbers_are_not_made_of_fractions(dtype, preprocess, limits, tmp_path):
  write(tmp_path / 'a.onnx', dtype=dtype)
  told = outcome(tmp_path / 'a.onnx', preprocess=preprocess)
  assert f'takes whole numbers ({limits}' in told
  way = 'scale=1:offset=-128' if dtype == 'INT8' else 'identity'
  assert f'`preprocess={preprocess}` makes' in told and f'`preprocess={way}`' in told
  assert ('not whole' in told) == (preprocess != 'identity')
  assert outcome(tmp_path / 'a.onnx', preprocess=way) == 'logits'
  told = outcome(tmp_path / 'a.onnx', preprocess=lambda x: x / 2)
  assert '<lambda>` makes' in told and 'not whole' in told


def test_bfloat16_is_rounded_to_even(pixels, tmp_path):
  import ml_dtypes

  weights = write(tmp_path / 'a.onnx', dtype='BFLOAT16')
  model = loading.load_model(tmp_path / 'a.onnx', preprocess='clip', output='logits')
  fed = model.preprocess(pixels.astype(np.float32)).numpy()
  fed = fed.transpose(0, 3, 1, 2).astype(ml_dtypes.bfloat16).astype(np.float32)
  expected = fed.reshape(len(pixels), -1) @ weights
  np.testing.assert_allclose(model(pixels), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
  ('how', 'words'),
  [
    ({'dtype': 'STRING'}, 'tensor(string), expected numbers: export it without what'),
    ({'channels': 4}, 'does not tell where the channels are'),
    (
      {'last': [('SequenceConstruct', '', {})]},
      'its outputs are scores seq(tensor(float)): expected',
    ),
    (
      {'last': [('Cast', '', {'to': 2})], 'out': 'UINT8'},
      'its outputs are scores tensor(uint8): expected scores in float',
    ),
    (
      {'last': [('Cast', '', {'to': 16})], 'out': 'BFLOAT16'},
      'its outputs are scores tensor(bfloat16): expected scores in float',
    ),
  ],
  ids=str,
)
def test_inputs_and_outputs_that_are_no_images_and_scores(how, words, tmp_path):
  import onnx

  path = tmp_path / 'a.onnx'
  write(path, **how)
  model = onnx.load(path)
  if how.get('last', [('',)])[0][0] == 'SequenceConstruct':
    kind = onnx.helper.make_tensor_sequence_value_info('scores', 1, None)
    model.graph.output[0].CopyFrom(kind)
  if how.get('dtype') == 'STRING':
    model.graph.node[0].CopyFrom(
      onnx.helper.make_node('StringSplit', ['images0'], ['ignored', 'counts'])
    )
    model.graph.node.insert(
      1, onnx.helper.make_node('Cast', ['counts'], ['real'], to=1)
    )
    model.opset_import[0].version = 20
  onnx.save(model, path)
  assert words in outcome(path)


def test_one_channel_is_for_arrays_of_one(tmp_path, tfeval, shared_data):
  import tfeval as api

  weights = write(tmp_path / 'grey.onnx', channels=1)
  model = loading.load_model(tmp_path / 'grey.onnx', preprocess='unit', output='logits')
  assert model.channels == 1
  images = np.random.default_rng(2).integers(0, 256, (20, SIDE, SIDE, 1), np.uint8)
  scores = (images / np.float32(255)).reshape(20, -1) @ weights
  np.testing.assert_allclose(model(images), scores, rtol=1e-5, atol=1e-5)
  labels = np.arange(20) % CLASSES
  run = api.evaluate(model, (images, labels), classes=CLASSES, preflight='off')
  assert run.metrics[0].correct == (scores.argmax(1) == labels).sum()
  code, _, err = tfeval(
    'evaluate',
    f'--model={tmp_path}/grey.onnx',
    '--preprocess=unit',
    '--output=logits',
    f'--dataset=folder:{shared_data}/images',
    f'--output_dir={tmp_path}',
  )
  assert code == 2 and 'takes images of 1 channel, the protocol makes those of 3' in err


@pytest.mark.parametrize(
  ('last', 'output'),
  [
    ([('Softmax', '', {})], 'probabilities'),
    (
      [('Softmax', '', {}), ('Identity', '', {}), ('Cast', '', {'to': 1})],
      'probabilities',
    ),
    ([('Sigmoid', '', {})], 'sigmoid'),
    ([('Softmax', '', {}), ('Log', '', {})], None),
    ([('LogSoftmax', '', {})], None),
  ],
  ids=lambda one: '-'.join(x[0] for x in one) if isinstance(one, list) else str(one),
)
def test_what_a_graph_ends_in(last, output, tmp_path):
  path = tmp_path / 'a.onnx'
  write(path, last=last)
  if output is None:
    assert outcome(path) == 'logits'
    assert 'logits or probabilities cannot be known' in outcome(path, output=None)
    return
  assert outcome(path, output=None) == output
  activation = output if output == 'sigmoid' else 'softmax'
  assert f'ends in a {activation}, so it returns probabilities: leave' in outcome(path)


CUSTOM = [('Twice', 'mine', {})]
SOURCE = """
#include <stdio.h>
__attribute__((constructor)) static void loaded(void) {
  FILE* file = fopen("%s", "w");
  if (file) fclose(file);
}
void* RegisterCustomOps(void* options, const void* api) { return NULL; }
"""


def test_operators_that_are_lacking(tmp_path):
  path = tmp_path / 'a.onnx'
  write(path, last=CUSTOM)
  told = outcome(path, trust_model=True)
  assert 'this onnxruntime lacks an operator' in told and ':ops=LIBRARY.so' in told
  write(path, last=[('Inverse', 'ai.onnx.contrib', {})])
  assert ':ops=onnxruntime_extensions behind the file and `trust_model`' in outcome(
    path
  )
  told = outcome(f'{path}:ops={tmp_path}/no.so', trust_model=True)
  assert 'there is no such file' in told
  (tmp_path / 'text.so').write_text('no library')
  told = outcome(f'{path}:ops={tmp_path}/text.so', trust_model=True)
  assert 'is no library of custom operators' in told


@pytest.mark.skipif(shutil.which('gcc') is None, reason='needs gcc')
def test_a_library_of_operators_runs_only_where_it_is_trusted(tmp_path, tfeval):
  ran = tmp_path / 'ran'
  (tmp_path / 'mine.c').write_text(SOURCE % ran)
  command = ['gcc', '-shared', '-fPIC', '-o', 'mine.so', 'mine.c']
  subprocess.run(command, cwd=tmp_path, check=True)
  write(tmp_path / 'a.onnx')
  target = f'{tmp_path}/a.onnx:ops={tmp_path}/mine.so'
  assert 'is a library of native code: give `trust_model`' in outcome(target)
  (tmp_path / 'flags').write_text(f'--model={target}\n--trust_model\n')
  code, _, err = tfeval('evaluate', f'--flagfile={tmp_path}/flags')
  assert code == 2 and 'can run code' in err, err
  assert not ran.exists()
  assert outcome(target, trust_model=True) == 'logits' and ran.exists()
  known = {'preprocess': 'unit', 'output': 'logits', 'trust_model': True}
  first = loading.load_model(target, **known).weights_sha256
  (tmp_path / 'mine.c').write_text(SOURCE % ran + 'int more = 1;')
  subprocess.run(command, cwd=tmp_path, check=True)
  assert loading.load_model(target, **known).weights_sha256 != first


@frameworks.marked('onnxruntime_extensions')
def test_operators_of_a_library(pixels, tmp_path):
  path = tmp_path / 'a.onnx'
  write(path)
  known = {'preprocess': 'unit', 'output': 'logits', 'trust_model': True}
  plain = loading.load_model(path, **known)(pixels).numpy()
  # Its outputs are the negative numbers and the positive ones.
  write(path, last=[('NegPos', 'ai.onnx.contrib', {})])
  import onnx

  model = onnx.load(path)
  model.graph.node[-1].output.append('positive')
  model.graph.output.append(onnx.helper.make_tensor_value_info('positive', 1, None))
  onnx.save(model, path)
  target = f'{path}:ops=onnxruntime_extensions'
  found = loading.load_model(target, output_name='positive', **known)(pixels)
  np.testing.assert_array_equal(found, np.maximum(plain, 0))
  assert (plain < 0).any()


def test_threads_and_providers(pixels, tmp_path):
  path = tmp_path / 'a.onnx'
  write(path)
  known = {'preprocess': 'unit', 'output': 'logits'}
  plain = loading.load_model(path, **known)
  assert plain.backend.describe()['devices'] == ['CPUExecutionProvider']
  for option in ('threads=1', 'provider=CPUExecutionProvider', 'threads=2'):
    found = loading.load_model(f'{path}:{option}', **known)
    np.testing.assert_allclose(found(pixels), plain(pixels), rtol=1e-5)
  for option, words in (
    ('threads=0', 'expected a number from 1 on'),
    ('threads=many', 'expected a number from 1 on'),
    ('provider=GPU', 'is not of this onnxruntime, which has'),
    ('size=3', 'no option size: known: layout, ops, provider, threads'),
  ):
    assert words in outcome(f'{path}:{option}')


@dataclasses.dataclass
class Runtime:
  """What an onnxruntime says that it has."""

  providers: list[str]

  def get_available_providers(self):
    return self.providers


def test_a_gpu_is_taken_where_onnxruntime_is_for_one(child):
  of_onnx = child('of_onnx')
  there = Runtime(['TensorrtExecutionProvider', of_onnx._CUDA, of_onnx._CPU])
  exact = (of_onnx._CUDA, {'use_tf32': '0'})
  assert of_onnx._provider(there, None) == [exact, of_onnx._CPU]
  assert of_onnx._provider(there, of_onnx._CPU) == [of_onnx._CPU]
  assert of_onnx._provider(Runtime([of_onnx._CPU]), None) == [of_onnx._CPU]
  with pytest.raises(Exception, match='provider=ROCm is not of this onnxruntime'):
    of_onnx._provider(there, 'ROCm')


def test_the_graph_is_read_as_onnx_reads_it(child, tmp_path):
  """Also where weights are long, and of nodes without inputs."""
  import onnx

  graph = child('onnx_graph')
  write(tmp_path / 'a.onnx', last=[('Softmax', '', {'name': 'x' * 300})])
  model = onnx.load(tmp_path / 'a.onnx')
  big = np.random.default_rng(3).normal(size=(1000, 1000)).astype(np.float32)
  model.graph.initializer.append(onnx.numpy_helper.from_array(big, 'big'))
  node = onnx.helper.make_node('Constant', [], ['one'], value_float=1.0)
  model.graph.node.insert(0, node)
  model.graph.output.append(onnx.helper.make_tensor_value_info('product', 1, None))
  onnx.save(model, tmp_path / 'a.onnx')
  assert graph.activations(tmp_path / 'a.onnx') == {'scores': 'softmax'}


def test_what_a_graph_ends_in_has_an_end(child):
  """However it is made: a node that makes what it takes is passed once."""
  activation = child('common').activation
  made = {'a': ('Cast', 'b'), 'b': ('Cast', 'a'), 'c': ('Softmax', 'a')}
  known = frozenset({'Cast'}), {'Softmax': 'softmax'}
  assert activation(made, 'a', *known) is None
  assert activation(made, 'c', *known) == 'softmax'
  assert activation({}, 'c', *known) is None
