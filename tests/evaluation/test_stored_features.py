"""Runs that store features: their rows, and that nothing mixes them with others."""

import json
import signal
import subprocess
import sys

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from evaluations import content, make_inputs, without_compute
from in_memory import SIZE, evaluate, noise_pixels, small

import tfeval
from tfeval import cli
from tfeval.runs.verification import verify
from tfeval.utils import files
from tfeval.utils.errors import UserError


@pytest.fixture(scope='module')
def model():
  return small()


@pytest.fixture(scope='module')
def expected(model, noise):
  """What a model of Keras returns that ends where the features are."""
  pooled = keras.Model(model.inputs, model.layers[-2].output)
  return pooled.predict(noise_pixels(noise) / 127.5 - 1, verbose=0)


@pytest.mark.parametrize(
  'how',
  [{}, pytest.param({'jit': True}, marks=pytest.mark.slow), {'batch_size': 7}],
)
def test_features_are_those_of_keras(model, noise, expected, how):
  run = evaluate(model, noise, store_features=True, **how)
  assert run.features.dtype == np.float16 and run.features_layer == 'penultimate'
  # A unit in the last place of float16, where float32 lies between two of them.
  np.testing.assert_allclose(run.features, expected, rtol=2**-10, atol=1e-7)
  assert [row['id'] for row in run.to_arrow(['id']).to_pylist()] == sorted(
    one.name for one in noise.iterdir()
  )


def test_other_columns_are_those_of_a_run_without(model, noise):
  plain, layer = evaluate(model, noise, store_logits=True), model.layers[1].name
  run = evaluate(model, noise, store_logits=True, store_features=layer)
  assert plain.features is None and plain.features_layer is None
  assert 'features' not in plain.result['store']
  assert run.result['store']['features'] == {'layer': layer, 'dimension': 4}
  assert run.to_arrow().drop_columns('features').equals(plain.to_arrow())


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  directory = tmp_path_factory.mktemp('inputs')
  return [*make_inputs(directory, 18), '--batch_size=4', '--rows_per_part=8']


def command(inputs, output, *more):
  return cli.main([*inputs, f'--output_dir={output}', *more])


def interrupted(inputs, output, monkeypatch, *more):
  """Evaluates until the second part is to be written."""
  write, calls = files.write_atomically, []

  def interrupt(path, data, *flag):
    calls.append(path)
    if path.name == 'part-00001.parquet':
      signal.raise_signal(signal.SIGINT)
    write(path, data, *flag)

  with monkeypatch.context() as patched:
    patched.setattr(files, 'write_atomically', interrupt)
    assert command(inputs, output, *more) == 130


def test_resumed_and_on_hosts_the_same_bytes(inputs, tmp_path, monkeypatch, capsys):
  whole, resumed, hosts = (tmp_path / name for name in ('whole', 'resumed', 'hosts'))
  assert command(inputs, whole, '--store_features') == 0
  interrupted(inputs, resumed, monkeypatch, '--store_features')
  capsys.readouterr()
  assert command(inputs, resumed, '--store_features=penultimate') == 0
  assert 'goes on after' in capsys.readouterr().err
  assert content(resumed) == content(whole)
  for index in (1, 0):
    flags = f'--num_hosts=2 --host_index={index} --store_features --rank_on=device'
    assert command(inputs, hosts, *flags.split()) == 0
  found = without_compute(content(hosts))
  there = without_compute(content(whole))
  parts = [name for name in there if name.startswith('predictions/')]
  assert len(parts) == 4 and all(found[one] == there[one] for one in parts)


def test_a_run_without_is_none_with_them(inputs, tmp_path, monkeypatch, capsys):
  for first, second in (([], ['--store_features']), (['--store_features'], [])):
    output = tmp_path / f'runs{len(first)}'
    interrupted(inputs, output, monkeypatch, *first)
    capsys.readouterr()
    assert command(inputs, output, *second) == 2
    said = capsys.readouterr().err.splitlines()
    assert 'store.features is' in said[-1] and '--overwrite' in said[-1]
  assert command(inputs, output, *first) == 0
  (file,) = (one.partition('=')[2] for one in inputs if one.startswith('--model='))
  for layer in (None, keras.saving.load_model(file).layers[-1].name):
    capsys.readouterr()
    assert command(inputs, output, *([f'--store_features={layer}'] * bool(layer))) == 2
    assert "{'layer': 'penultimate', 'dimension': 8}" in capsys.readouterr().err


def store_again(run, change):
  """Writes the only part of a run with another column, as whoever knows how would."""
  part = run.path / 'predictions/part-00000.parquet'
  table = pq.read_table(part)
  column = change(np.stack(table['features'].to_numpy(zero_copy_only=False)))
  flat = pa.array(column.astype(np.float16).ravel())
  lists = pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
  field = table.schema.field('features').with_type(lists.type)
  table = table.set_column(table.column_names.index('features'), field, lists)
  pq.write_table(table, part, compression='zstd', use_dictionary=False)
  index = json.loads((part.parent / 'index.json').read_text())
  index['parts'][0]['sha256'] = files.sha256_of(part)
  (part.parent / 'index.json').write_text(json.dumps(index))


def test_verify_checks_them(model, noise, tmp_path):
  pytest.importorskip('jsonschema')
  run = evaluate(model, noise, store_features=True, output_dir=tmp_path)
  assert {one.state for one in verify.verify(run.path)} == {'ok'}
  for change, words in (
    (lambda x: np.where(x == x.max(), np.nan, x), 'no finite numbers'),
    (lambda x: x[:, :-1], '3 features are stored, result.json says 4'),
  ):
    run = evaluate(
      model, noise, store_features=True, output_dir=tmp_path, overwrite=True
    )
    store_again(run, change)
    failed = [one for one in verify.verify(run.path) if one.state == 'FAILED']
    assert [one.name for one in failed] == ['rows'] and words in failed[0].seen
    with pytest.raises(UserError, match='features'):
      _ = tfeval.load_run(run.path).features


def test_refusals(model, noise, capsys):
  with pytest.raises(UserError, match='expected a text'):
    evaluate(model, noise, store_features=3)
  assert evaluate(model, noise, store_features=False).features is None
  with pytest.raises(UserError, match='layers of Keras models'):
    evaluate(
      lambda x: tf.reduce_mean(x, (1, 2)) @ tf.ones((3, 1000)),
      noise,
      input_size=SIZE,
      output='logits',
      store_features=True,
    )
  large = keras.Sequential([*model.layers[:-1], keras.layers.Rescaling(1e9)])
  large.add(keras.layers.Dense(1000))
  with pytest.raises(UserError, match='ILSVRC2012_val_00000001.JPEG reach .*65504'):
    evaluate(large, noise, store_features=True)


REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
cpu, = tf.config.list_physical_devices('CPU')
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
import keras
import tfeval
found = []
for count in (1, 2, 3):
  with tf.distribute.MirroredStrategy([f'CPU:{i}' for i in range(count)]).scope():
    model = keras.saving.load_model(sys.argv[2])
  run = tfeval.evaluate(model, 'folder:' + sys.argv[1], preprocess='tf', batch_size=6,
                        preflight='off', store_features=True)
  assert run.result.compute.replicas == count
  found.append(run.features)
for one in found[1:]:
  np.testing.assert_allclose(one, found[0], rtol=2**-10, atol=1e-7)
print(*found[0].shape)
"""


@pytest.mark.slow
def test_replicas_change_nothing(model, noise, tmp_path):
  model.save(tmp_path / 'small.keras')
  done = subprocess.run(
    [sys.executable, '-c', REPLICAS, noise, tmp_path / 'small.keras'],
    capture_output=True,
    text=True,
  )
  assert done.stdout == '10 4\n', done.stderr[-2000:]
