"""Model files of strangers: what would run their code is refused, all else loads."""

import json
import os
import pathlib
import shutil
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2
from tensorflow.core.protobuf import config_pb2, saved_model_pb2

import tfeval
from tfeval.models import loading
from tfeval.models.keras import graph_trust, trust
from tfeval.utils.errors import UserError

SIZE = 32
TRUST = 'can run code of its author: give `trust_model'


@keras.saving.register_keras_serializable(package='stranger')
class Registered(keras.layers.Layer):
  """Python code that a file refers to by a name somebody registered."""

  def call(self, x):
    return x + 1


@keras.saving.register_keras_serializable(package='stranger')
def activation(x):
  return x


def model_with(*layers):
  inputs = keras.Input((SIZE, SIZE, 3))
  x = inputs
  for layer in layers:
    x = layer(x)
  x = keras.layers.GlobalAveragePooling2D()(x)
  return keras.Model(inputs, keras.layers.Dense(1000)(x))


def with_lambda():
  return model_with(keras.layers.Lambda(lambda x: x * 2))


def with_nested_lambda():
  inner = keras.Sequential(
    [keras.Input((SIZE, SIZE, 3)), keras.layers.Lambda(lambda x: x * 2)]
  )
  outer = keras.Sequential([keras.Input((SIZE, SIZE, 3)), inner])
  return model_with(outer)


def with_wrapped_lambda():
  return model_with(keras.layers.TimeDistributed(keras.layers.Lambda(lambda x: x)))


def with_registered_layer():
  return model_with(Registered())


def with_registered_activation():
  return model_with(keras.layers.Activation(activation))


def load(path, trusted=False):
  return loading.load_model(
    path, preprocess='identity', output='logits', trust_model=trusted
  )


def refuse(check, path, words):
  with pytest.raises(UserError, match=words) as caught:
    check(path)
  assert '\n' not in str(caught.value)
  assert str(path) in str(caught.value)


@pytest.mark.parametrize('suffix', ['keras', 'h5'])
@pytest.mark.parametrize(
  'build, what',
  [
    (with_lambda, 'a Lambda layer'),
    (with_nested_lambda, 'a Lambda layer'),
    (with_wrapped_lambda, 'a Lambda layer'),
    (with_registered_layer, 'the custom object .*Registered'),
    (with_registered_activation, 'the custom object .*activation'),
  ],
)
def test_code_in_keras_files(tmp_path, build, what, suffix):
  path = tmp_path / f'model.{suffix}'
  model = build()
  model.save(path)
  refuse(load, path, f'{what}, which {TRUST}')
  images = np.ones((1, SIZE, SIZE, 3), 'float32')
  np.testing.assert_allclose(
    load(path, trusted=True).function(images), model(images), rtol=1e-5, atol=1e-5
  )


def test_plain_keras_files(tmp_path):
  plain = keras.Sequential(
    [
      keras.Input((SIZE, SIZE, 3)),
      keras.layers.Rescaling(1 / 255),
      keras.layers.RandomFlip(),
      keras.layers.Normalization(mean=[0.0, 0, 0], variance=[1.0, 1, 1]),
      keras.layers.Conv2D(
        4,
        3,
        activation='swish',
        kernel_regularizer=keras.regularizers.L2(1e-4),
        kernel_constraint=keras.constraints.MaxNorm(1),
      ),
      keras.layers.Activation(keras.activations.relu),
      keras.layers.Dropout(0.1),
      keras.layers.GlobalMaxPooling2D(),
      keras.layers.Dense(1000),
    ]
  )
  plain.compile('adam', keras.losses.SparseCategoricalCrossentropy(), ['accuracy'])
  operations = model_with(keras.layers.Conv2D(3, 1))
  operations = keras.Model(operations.input, keras.ops.tanh(operations.output) * 2)
  for number, model in enumerate([plain, operations]):
    for suffix in ('keras', 'h5'):
      path = tmp_path / f'{number}.{suffix}'
      model.save(path)
      if not (model is operations and suffix == 'h5'):  # Keras itself cannot read it.
        load(path)


@pytest.mark.parametrize(
  'name',
  [
    'MobileNet',
    'MobileNetV3Small',
    *[
      pytest.param(name, marks=pytest.mark.slow)
      for name in (
        'EfficientNetB0',
        'ConvNeXtTiny',
        'DenseNet121',
        'EfficientNetV2B0',
        'InceptionResNetV2',
        'NASNetMobile',
        'ResNet50V2',
        'Xception',
      )
    ],
  ],
)
def test_applications_are_plain(tmp_path, name):
  model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
  # Weights themselves take time to write.
  path = write_zip(tmp_path / 'm.keras', model.to_json())
  h5py.File(tmp_path / 'empty.h5', 'w').close()
  with zipfile.ZipFile(path, 'a') as archive:
    archive.write(tmp_path / 'empty.h5', 'model.weights.h5')
  assert trust.check_keras_file(path) == 0


@pytest.mark.slow
@pytest.mark.parametrize('name', ['MobileNetV3Small', 'EfficientNetB0', 'ConvNeXtTiny'])
def test_exported_applications_are_plain(tmp_path, name):
  model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))
  model.export(tmp_path / 'm', verbose=False)
  trust.check_saved_model(tmp_path / 'm')


def write_zip(path, config, name='config.json'):
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr(name, config)
  return path


@pytest.mark.parametrize(
  'config',
  [
    {'class_name': 'Lambda', 'config': {}, 'module': 'keras.layers'},
    {'class_name': 'Lambda', 'config': {}},
    {'class_name': '__lambda__', 'config': {'value': ''}},
    {'class_name': 'keras>Lambda', 'config': {}},
    {'class_name': 'TFSMLayer', 'config': {'filepath': 'x'}, 'module': 'keras.layers'},
    {'class_name': 'system', 'config': 'ls', 'module': 'os'},
    {'class_name': 'function', 'config': 'system', 'module': 'os'},
    {'class_name': 'X', 'config': {}, 'module': 'keras.layers_of_mine'},
    {'class_name': 'X', 'config': {}, 'module': 'keras.src.utils'},
    {'class_name': 'X', 'config': {}, 'module': ['keras.layers']},
    {'class_name': 'X', 'config': {}, 'module': None, 'registered_name': 'p>X'},
  ],
)
def test_code_anywhere_in_a_config(tmp_path, config):
  path = write_zip(
    tmp_path / 'm.keras',
    json.dumps(
      {
        'class_name': 'Functional',
        'module': 'keras',
        'config': {'layers': [[{'build_config': {'deep': config}}]]},
      }
    ),
  )
  refuse(trust.check_keras_file, path, TRUST)


def damaged(path, kind):
  """Writes a file that is no whole .keras file."""
  if kind == 'without config.json':
    write_zip(path, '{}', name='model.json')
  elif kind == 'config.json is not JSON':
    write_zip(path, '{"class_name": ')
  elif kind == 'config.json is not text':
    write_zip(path, b'\xff\xfe\xff')
  elif kind == 'nested too deep':
    write_zip(path, '[' * 200_000)
  elif kind == 'truncated':
    content = write_zip(path, json.dumps(list(range(1000)))).read_bytes()
    path.write_bytes(content[: len(content) // 2])
  elif kind == 'changed':
    content = bytearray(write_zip(path, json.dumps(list(range(1000)))).read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)
  elif kind == 'unknown compression':
    content = write_zip(path, '{}').read_bytes()
    path.write_bytes(
      content.replace(b'PK\1\2\x14\3\x14\0\0\0\x08\0', b'PK\1\2\x14\3\x14\0\0\0\x63\0')
    )
  elif kind == 'encrypted':
    content = write_zip(path, '{}').read_bytes()
    content = content.replace(b'PK\1\2\x14\3\x14\0\0\0', b'PK\1\2\x14\3\x14\0\1\0')
    path.write_bytes(content.replace(b'PK\3\4\x14\0\0\0', b'PK\3\4\x14\0\1\0'))
  else:
    path.write_text(kind)


@pytest.mark.parametrize(
  'kind',
  [
    '',
    'not a zip',
    'without config.json',
    'config.json is not JSON',
    'config.json is not text',
    'nested too deep',
    'truncated',
    'changed',
    'unknown compression',
    'encrypted',
  ],
)
def test_damaged_keras_files(tmp_path, kind):
  path = tmp_path / 'm.keras'
  damaged(path, kind)
  refuse(trust.check_keras_file, path, 'not a whole Keras model file')


def test_zip_bomb(tmp_path):
  """100 MB of spaces in 100 kB."""
  path = write_zip(tmp_path / 'm.keras', ' ' * (100 << 20))
  assert path.stat().st_size < 1 << 20
  refuse(trust.check_keras_file, path, 'config.json has 104857600 bytes')


def test_zip_bomb_that_lies_about_its_size(tmp_path):
  path = write_zip(tmp_path / 'm.keras', ' ' * (100 << 20))
  size = (100 << 20).to_bytes(4, 'little')
  path.write_bytes(path.read_bytes().replace(size, (1000).to_bytes(4, 'little')))
  refuse(trust.check_keras_file, path, 'not a whole Keras model file')


def test_a_file_that_is_both_is_checked_as_what_keras_reads(tmp_path):
  """An innocent HDF5 file with a zip at its end is a zip for Keras."""
  model_with().save(tmp_path / 'innocent.h5')
  with_lambda().save(tmp_path / 'm.keras')
  both = tmp_path / 'both.keras'
  shutil.copy(tmp_path / 'innocent.h5', both)
  with (
    zipfile.ZipFile(tmp_path / 'm.keras') as source,
    zipfile.ZipFile(both, 'a') as target,
  ):
    for info in source.infolist():
      target.writestr(info, source.read(info))
  refuse(trust.check_keras_file, both, 'a Lambda layer')


class Module(tf.Module):
  """A SavedModel whose signature does something on the side."""

  def __init__(self, effect):
    super().__init__()
    self.variable = tf.Variable(tf.zeros((3, 1000)))
    self._effect = effect

  @tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3))])
  def __call__(self, images):
    with tf.control_dependencies([self._effect() or tf.no_op()]):
      return tf.reduce_mean(images, (1, 2)) @ self.variable


def in_a_branch(effect):
  return lambda: tf.cond(tf.random.uniform(()) > 2, effect, lambda: tf.zeros(()))


def write_file():
  return tf.io.write_file('/nowhere', 'x')


@pytest.mark.parametrize(
  'effect, operation',
  [
    (write_file, 'WriteFile'),
    (lambda: tf.io.read_file('/nowhere'), 'ReadFile'),
    (lambda: tf.io.matching_files('/*'), 'MatchingFiles'),
    (lambda: tf.py_function(lambda: 1.0, [], tf.float32), 'EagerPyFunc'),
    (lambda: tf.numpy_function(lambda: 1.0, [], tf.float64), 'PyFunc'),
    (
      lambda: tf.numpy_function(lambda: 1.0, [], tf.float64, stateful=False),
      'PyFuncStateless',
    ),
    (lambda: tf.print('x'), 'PrintV2'),
    (
      lambda: tf.raw_ops.SaveV2(
        prefix='/nowhere', tensor_names=['x'], shape_and_slices=[''], tensors=[1.0]
      ),
      'SaveV2',
    ),
    (
      lambda: tf.raw_ops.RestoreV2(
        prefix='/nowhere', tensor_names=['x'], shape_and_slices=[''], dtypes=['float']
      )[0],
      'RestoreV2',
    ),
    (
      lambda: tf.raw_ops.DebugIdentity(input=1.0, debug_urls=['file:///nowhere']),
      'DebugIdentity',
    ),
    (
      in_a_branch(lambda: tf.strings.to_number(tf.io.read_file('/nowhere'))),
      'ReadFile',
    ),
  ],
)
def test_code_in_saved_models(tmp_path, effect, operation):
  module = Module(effect)
  tf.saved_model.save(module, tmp_path / 'm', signatures=module.__call__)
  refuse(load, tmp_path / 'm', f'uses the operation {operation}, which {TRUST}')


def test_plain_saved_models(tmp_path):
  module = Module(lambda: tf.random.uniform(()))
  tf.saved_model.save(module, tmp_path / 'module', signatures=module.__call__)
  model_with(keras.layers.Conv2D(3, 3), keras.layers.BatchNormalization()).export(
    tmp_path / 'keras', verbose=False
  )
  for name in ('module', 'keras'):
    assert load(tmp_path / name).input_size == SIZE


def test_trusted_saved_model_loads(tmp_path):
  target = tmp_path / 'written'
  module = Module(lambda: tf.io.write_file(str(target), 'x'))
  tf.saved_model.save(module, tmp_path / 'm', signatures=module.__call__)
  refuse(load, tmp_path / 'm', 'WriteFile')
  assert not target.exists()
  load(tmp_path / 'm', trusted=True).function(tf.zeros((1, SIZE, SIZE, 3)))
  assert target.exists()


@pytest.fixture
def saved(tmp_path):
  """A plain SavedModel as a protocol buffer, and a function that writes it."""
  module = Module(tf.no_op)
  tf.saved_model.save(module, tmp_path / 'm', signatures=module.__call__)
  path = tmp_path / 'm/saved_model.pb'
  proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())

  def write():
    path.write_bytes(proto.SerializeToString())
    return tmp_path / 'm'

  return proto, write


def test_saved_model_of_tensorflow_1(saved):
  proto, write = saved
  proto.meta_graphs[0].ClearField('object_graph_def')
  refuse(load, write(), f'is in the format of TensorFlow 1, which {TRUST}')
  del proto.meta_graphs[:]
  refuse(load, write(), 'TensorFlow 1')


def test_operations_of_nobody_knows_whom(saved):
  proto, write = saved
  proto.meta_graphs[0].graph_def.node.add(name='x', op='CustomLaunchMissiles')
  refuse(load, write(), 'uses the unknown operation CustomLaunchMissiles')


def test_operations_of_later_versions_are_unknown(saved, monkeypatch):
  """Even where TensorFlow itself knows them."""
  proto, write = saved
  classes = dict(graph_trust.operation_classes())
  del classes['MatMul']
  monkeypatch.setattr(graph_trust, 'operation_classes', lambda: classes)
  refuse(load, write(), 'uses the unknown operation MatMul')


@pytest.mark.slow
def test_every_operation_of_the_registry_is_classed():
  from tensorflow.python.framework import op_def_registry

  registry = {
    name
    for name in tf.raw_ops.__dict__
    if not name.startswith('__') and op_def_registry.get(name)
  }
  assert len(registry) > 1300
  assert sorted(registry - graph_trust.operation_classes().keys()) == []


HOSTILE = pathlib.Path(__file__).parents[4] / 'shared/cases/hostile'


@pytest.mark.skipif(not HOSTILE.is_dir(), reason='needs the cases of hostile files')
@pytest.mark.parametrize(
  'name, what',
  [
    ('savedmodel_writes', 'uses the operation SaveV2'),
    ('savedmodel_exits', 'uses the operation Abort'),
    ('savedmodel_reads', 'uses the operation DecodeProtoV2'),
  ],
)
def test_hostile_saved_models(name, what):
  refuse(trust.check_saved_model, HOSTILE / name, what)


def function_of(proto, words):
  (found,) = [
    function
    for function in proto.meta_graphs[0].graph_def.library.function
    if words in function.signature.name
  ]
  return found


@pytest.mark.parametrize(
  'name', ['api_implements', 'api_preferred_device', '_tpu_replicate', '_anything']
)
def test_functions_that_are_swapped_or_compiled(saved, name):
  proto, write = saved
  function_of(proto, 'traced_save').attr[name].s = b'x'
  refuse(load, write(), f'has a function with the attribute {name}')


@pytest.mark.parametrize(
  'change, what',
  [
    (lambda node: setattr(node, 'device', '/job:worker/task:3'), 'on /job:worker'),
    (lambda node: setattr(node.attr['_XlaCompile'], 'b', True), '_XlaCompile'),
    (lambda node: setattr(node.attr['executor_type'], 's', b'X'), 'the executor'),
    (
      lambda node: setattr(
        node.attr['config_proto'],
        's',
        config_pb2.ConfigProto(
          rpc_options={'compression_algorithm': 'x'}
        ).SerializeToString(),
      ),
      'configures how',
    ),
    (lambda node: setattr(node.attr['config_proto'], 's', b'\xff'), 'configures how'),
    (
      lambda node: setattr(
        node.attr['config_proto'],
        's',
        config_pb2.ConfigProto(experimental={'executor_type': 'X'}).SerializeToString(),
      ),
      'configures how',
    ),
    (
      lambda node: (
        node.attr['f']
        .func.attr['_tpu_replicate']
        .CopyFrom(attr_value_pb2.AttrValue(s=b'x'))
      ),
      '_tpu_replicate',
    ),
  ],
)
def test_calls_that_run_elsewhere_or_otherwise(saved, change, what):
  proto, write = saved
  nodes = [
    node
    for node in proto.meta_graphs[0].graph_def.node
    if node.op == 'StatefulPartitionedCall'
  ]
  change(nodes[0])
  refuse(load, write(), what)


def test_the_saver_may_name_no_function_that_something_else_calls(saved):
  proto, write = saved
  graph = proto.meta_graphs[0].graph_def
  trust.check_saved_model(write())
  name = function_of(proto, 'traced_save').signature.name
  node = graph.node.add(name='x', op='StatefulPartitionedCall')
  node.attr['f'].func.name = name
  refuse(load, write(), 'uses the operation (SaveV2|MergeV2Checkpoints)')


def test_checkpoints_are_written_by_the_saver_alone(saved):
  proto, write = saved
  proto.meta_graphs[0].saver_def.save_tensor_name = 'another:0'
  refuse(load, write(), 'uses the operation (SaveV2|MergeV2Checkpoints)')
  proto.meta_graphs[0].ClearField('saver_def')
  refuse(load, write(), 'uses the operation ')


def test_a_constant_of_one_value_and_a_large_shape(saved):
  proto, write = saved
  node = proto.meta_graphs[0].graph_def.node.add(name='x', op='Const')
  node.attr['dtype'].type = 1
  tensor = node.attr['value'].tensor
  tensor.dtype = 1
  tensor.float_val.append(0)
  for _ in range(2):
    tensor.tensor_shape.dim.add(size=1 << 16)
  with pytest.raises(UserError, match='constants unpack to 17,'):
    load(write())


def test_pipes_in_the_folder_are_not_waited_for(saved):
  _, write = saved
  os.mkfifo(write() / 'variables/variables.data-00001-of-00002')
  with pytest.raises(UserError, match='is a named pipe'):
    load(write())


def test_a_function_named_like_an_operation_does_not_hide_it(saved):
  proto, write = saved
  graph = proto.meta_graphs[0].graph_def
  graph.library.function.add().signature.name = 'WriteFile'
  graph.node.add(name='x', op='WriteFile')
  refuse(load, write(), 'uses the operation WriteFile')


def test_files_beside_the_graph_that_are_damaged(saved):
  folder = saved[1]()
  fingerprint = folder / 'fingerprint.pb'
  content = fingerprint.read_bytes()
  fingerprint.write_bytes(b'\xff' * 20)
  refuse(trust.check_saved_model, folder, 'fingerprint.pb is damaged')
  fingerprint.write_bytes(content)
  index = folder / 'variables/variables.index'
  content = index.read_bytes()
  # Where the index of the blocks begins, and how long it is.
  index.write_bytes(content[:-48] + b'\0\0' + b'\xff' * 8 + b'\x7f' + content[-37:])
  refuse(trust.check_saved_model, folder, 'names blocks beyond its')
  index.write_bytes(content)
  trust.check_saved_model(folder)


def test_values_that_are_declared_and_not_stored(tmp_path):
  module = tf.Module()
  module.values = tf.Variable(tf.zeros([1000]))
  tf.saved_model.save(module, tmp_path / 'm')
  data = tmp_path / 'm/variables/variables.data-00000-of-00001'
  data.write_bytes(data.read_bytes()[:2000])
  refuse(trust.check_saved_model, tmp_path / 'm', 'its arrays take 4,0')


def test_damaged_saved_models(saved):
  _, write = saved
  path = write() / 'saved_model.pb'
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])
  refuse(load, path.parent, 'not a readable SavedModel|TensorFlow 1')
  path.write_bytes(zlib.compress(content))
  refuse(load, path.parent, 'not a readable SavedModel|TensorFlow 1')
  path.write_bytes(content)
  for file in (path.parent / 'variables').iterdir():
    file.unlink()
  refuse(load, path.parent, 'cannot load the SavedModel')


def many_texts(graph):
  node = graph.node.add(name='x', op='Const')
  tensor = node.attr['value'].tensor
  tensor.dtype = 7
  tensor.string_val.append(b'x' * (1 << 20))
  tensor.tensor_shape.dim.add(size=6000)


def constant_of_another_operation(graph):
  node = graph.node.add(name='x', op='NoOp')
  tensor = node.attr['value'].tensor
  tensor.dtype = 1
  tensor.float_val.append(0)
  tensor.tensor_shape.dim.add(size=5 << 28)


@pytest.mark.parametrize('add', [many_texts, constant_of_another_operation])
def test_every_value_that_can_be_unpacked_counts(saved, add):
  proto, write = saved
  add(proto.meta_graphs[0].graph_def)
  with pytest.raises(UserError, match='constants unpack to [56],'):
    load(write())


def test_attributes_that_are_filled_in_later(saved):
  proto, write = saved
  node = proto.meta_graphs[0].graph_def.node.add(name='x', op='NoOp')
  node.attr['dtype'].placeholder = 'T'
  refuse(load, write(), 'leaves an attribute of the operation NoOp open')


def test_classes_of_later_versions_are_unknown(tmp_path):
  path = write_zip(
    tmp_path / 'm.keras',
    json.dumps({'class_name': 'TFSMLayerV2', 'config': {}, 'module': 'keras.layers'}),
  )
  refuse(trust.check_keras_file, path, f'the unknown class TFSMLayerV2, which {TRUST}')


@pytest.mark.slow
def test_every_public_class_of_keras_is_classed():
  found = set()
  for name in ('layers', 'initializers', 'regularizers', 'constraints', 'losses'):
    module = getattr(keras, name)
    found |= {one for one in dir(module) if isinstance(getattr(module, one), type)}
  assert len(found) > 200
  aliases = {
    one
    for one in found
    for name in ('layers', 'initializers', 'regularizers', 'constraints', 'losses')
    if getattr(getattr(keras, name), one, None) is not None
    and getattr(getattr(keras, name), one).__name__ in trust.class_kinds()
  }
  # No part of a config.
  assert sorted(found - aliases) == ['InputSpec']


@keras.saving.register_keras_serializable(package='stranger')
def loss(y_true, y_pred):
  return keras.ops.sum(y_pred - y_true)


def compiled(model):
  model.compile('sgd', loss, metrics=[tfeval.keras.TopK(2), tfeval.keras.RealTop1()])
  return model


@pytest.mark.parametrize('suffix', ['.keras', '.h5'])
def test_what_a_model_was_compiled_with_does_not_matter(tmp_path, suffix):
  inner = compiled(model_with())  # Of the one that is a part too.
  model = compiled(keras.Sequential([keras.Input((SIZE, SIZE, 3)), inner]))
  path = tmp_path / f'compiled{suffix}'
  model.save(path)
  images = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
  expected = model.predict(images.astype(np.float32), verbose=0)
  for trusted in (False, True):
    loaded = load(path, trusted)
    np.testing.assert_allclose(loaded(images), expected, rtol=1e-4)
    assert not loaded.backend.model.compiled
  # Nobody else's models are touched.
  model.save(tmp_path / 'again.keras')
  assert keras.saving.load_model(tmp_path / 'again.keras').layers[0].compiled


def test_code_in_what_is_called_as_that_is_refused(tmp_path):
  """Keras loads the arguments of calls, whatever their names."""
  path = tmp_path / 'model.keras'
  model_with(keras.layers.Rescaling(2.0)).save(path)
  evil = {'class_name': '__lambda__', 'config': {'code': '', 'defaults': None}}

  def edit(config):
    node = config['config']['layers'][1]['inbound_nodes'][0]
    node['kwargs']['scale'] = {'compile_config': evil}

  rewrite(path, edit)
  with pytest.raises(UserError, match=TRUST):
    load(path)


def rewrite(path, edit):
  with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  config = json.loads(members['config.json'])
  edit(config)
  members['config.json'] = json.dumps(config).encode()
  with zipfile.ZipFile(path, 'w') as archive:
    for name, content in members.items():
      archive.writestr(name, content)
