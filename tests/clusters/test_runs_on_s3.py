"""Whole evaluations at s3://: the same bytes as on a disk, and one line where not."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest
from evaluations import content, make_inputs, without_compute

from tfeval import datasets
from tfeval.datasets.labels import imagenet
from tfeval.models import class_maps, loading
from tfeval.utils import files, paths, s3_files
from tfeval.utils.errors import UserError

pytestmark = pytest.mark.clusters


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  directory = tmp_path_factory.mktemp('inputs')
  return [*make_inputs(directory, 20), '--batch_size=4', '--rows_per_part=8']


@pytest.fixture(scope='module')
def whole(inputs, tmp_path_factory):
  from tfeval import cli

  output = tmp_path_factory.mktemp('whole')
  assert cli.main([*inputs, f'--output_dir={output}']) == 0
  return output


def remote_content(output):
  """Returns the files of a run at a URL, timing aside."""
  with paths.local_copy(paths.path(output)) as copy:
    return content(copy)


def last_line(text):
  return text.splitlines()[-1]


def put_run(whole, place):
  run = whole / 'small.keras'
  for path in run.rglob('*'):
    if path.is_file():
      there = paths.path(f'{place}/{path.relative_to(run)}')
      there.write_bytes(path.read_bytes())


@pytest.mark.parametrize(
  'faults',
  [{}, {'forbids_listing': True}, {'busy_every': 7}],
  ids=['well', 'unlisted', 'busy'],
)
def test_an_evaluation_has_the_bytes_of_one_on_a_disk(
  s3, inputs, whole, tfeval, faults
):
  s3.faults(**faults)
  output = f'{s3.url}/runs'
  assert tfeval(*inputs, f'--output_dir={output}')[0] == 0
  asked = s3.counts()
  code, _, err = tfeval(*inputs, f'--output_dir={output}')
  assert code == 0 and f'{output}/small.keras is complete' in err
  code, out, _ = tfeval('verify', f'{output}/small.keras')
  assert code == 0
  s3.faults()
  assert remote_content(output) == content(whole)
  if not faults:
    # Each of nine files once, and lists of parts and temporary names are few.
    assert asked['PUT'] < 20 and 'DELETES' not in asked


@pytest.mark.parametrize('step', [5, 8])
def test_an_interrupted_evaluation_goes_on(
  s3, inputs, whole, tfeval, monkeypatch, step
):
  write, calls = files.write_atomically, []

  def interrupt(path, data, *flag):
    calls.append(path)
    if len(calls) == step:
      raise KeyboardInterrupt
    write(path, data, *flag)

  with monkeypatch.context() as patched:
    patched.setattr(files, 'write_atomically', interrupt)
    assert tfeval(*inputs, f'--output_dir={s3.url}/runs')[0] == 130
  code, _, err = tfeval(*inputs, f'--output_dir={s3.url}/runs')
  assert code == 0 and 'goes on after' in err
  assert remote_content(f'{s3.url}/runs') == content(whole)


@pytest.mark.parametrize('unlisted', [False, True])
def test_shares_of_hosts(s3, inputs, whole, tfeval, unlisted):
  s3.faults(forbids_listing=unlisted)
  output = f'{s3.url}/runs'
  hosts = [*inputs, f'--output_dir={output}', '--num_hosts=2', '--host_timeout=1']
  assert tfeval(*hosts, '--host_index=0')[0] == 2
  assert tfeval(*hosts, '--host_index=1')[0] == 0
  assert tfeval(*hosts, '--host_index=0')[0] == 0
  s3.faults()
  found = remote_content(output)
  if unlisted:  # Who may not list cannot remove either.
    found = {name: one for name, one in found.items() if name in content(whole)}
  assert without_compute(found) == without_compute(content(whole))


def test_commands_that_read_runs(s3, whole, tfeval):
  run, root = whole / 'small.keras', f'{s3.url}/runs'
  put_run(whole, f'{root}/a')
  put_run(whole, f'{root}/b')
  for command in ('score', 'verify'):
    _, here, _ = tfeval(command, run)
    code, there, _ = tfeval(command, f'{root}/a')
    assert code == 0 and there.replace(f'{root}/a', str(run)) == here
  code, out, _ = tfeval('compare', f'{root}/a', f'{root}/b')
  assert code == 0 and f'small.keras ({root}/a)' in ' '.join(out.split())
  assert tfeval('leaderboard', root)[0] == 0
  for command in ('score', 'verify'):  # A folder of runs: each of them.
    code, out, _ = tfeval(command, root)
    assert code == 0 and out.count('small.keras' if command == 'score' else root) >= 2
  assert 'is not a run directory' in last_line(tfeval('score', f'{root}/none')[2])


def test_reading_runs_needs_no_tensorflow(s3, whole):
  put_run(whole, f'{s3.url}/a')
  code = 'import sys; from tfeval import cli\n'
  code += "sys.exit(cli.main(['score', sys.argv[1]]) or 'tensorflow' in sys.modules)"
  ran = subprocess.run(
    [sys.executable, '-c', code, f'{s3.url}/a'], text=True, capture_output=True
  )
  assert (ran.returncode, ran.stderr) == (0, '') and 'small.keras' in ran.stdout


def test_tensorboard_writes_nothing_at_s3(s3, inputs, tmp_path, tfeval):
  code, _, err = tfeval(
    *inputs, f'--output_dir={tmp_path}', f'--log_to=tensorboard:{s3.url}/logs'
  )
  (told,) = [line for line in err.splitlines() if f'{s3.url}/logs' in line]
  print(told)
  assert code == 0 and "scheme 's3' not implemented" in told


def test_a_store_that_may_not_be_read(s3, whole, tfeval):
  s3_files._tell_unlisted.cache_clear()
  put_run(whole, f'{s3.url}/a')
  s3.faults(forbids_all=True)
  code, _, err = tfeval('score', f'{s3.url}/a')
  # AWS does not say whether what may not be read is there.
  assert (code, err) == (
    2,
    f'tfeval: warning: {s3.url} may not be listed (s3:ListBucket): what may not be '
    f'read there counts as missing\n'
    f'tfeval: {s3.url}/a is not a run directory: it has no result.json\n',
  )


def test_a_model_at_s3(s3, inputs, whole, tfeval):
  model = next(f for f in inputs if f.startswith('--model=')).removeprefix('--model=')
  put(s3, 'small.keras', pathlib.Path(model).read_bytes())
  there = [f'--model={s3.url}/small.keras' if '--model=' in f else f for f in inputs]
  assert tfeval(*there, f'--output_dir={s3.url}/out')[0] == 0
  found, wanted = remote_content(f'{s3.url}/out'), content(whole)
  for name in wanted.keys() - {'manifest.json', 'result.json', 'flags.txt'}:
    assert found[name] == wanted[name]


def test_weights_a_saved_model_and_a_class_map_at_s3(s3, tmp_path):
  model = keras.applications.MobileNet(alpha=0.25, weights=None)
  model.save_weights(here := tmp_path / 'w.weights.h5')
  there = put(s3, here.name, here.read_bytes())
  assert hashes('MobileNet:alpha=0.25', [here, there]) == 1
  small = keras.Sequential(
    [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1000)]
  )
  small.export(tmp_path / 'model', verbose=False)
  for path in (tmp_path / 'model').rglob('*'):
    if path.is_file():
      put(s3, str(path.relative_to(tmp_path)), path.read_bytes())
  known = dict(preprocess='identity', output='logits')
  places = (tmp_path / 'model', f'{s3.url}/model')
  found = [loading.load_model(str(one), **known).weights_sha256 for one in places]
  assert found[0] == found[1]
  wnids = imagenet.label_space().class_ids
  there = put(s3, 'map.txt', '\n'.join(wnids[::-1]).encode())
  assert class_maps.label_map(there).indices.tolist() == [*range(999, -1, -1)]


def hashes(name, weights):
  """Returns how many hashes a model has with different weights."""
  return len({loading.load_model(name, str(one)).weights_sha256 for one in weights})


def put(s3, name, content):
  (paths.path(s3.url) / name).write_bytes(content)
  return f'{s3.url}/{name}'


@pytest.mark.parametrize('faults', [{'full': True}, {'forbids_all': True}])
def test_what_stops_an_evaluation_is_one_line(s3, inputs, tfeval, faults, monkeypatch):
  s3_files._tell_unlisted.cache_clear()
  s3.faults(**faults)
  code, _, err = tfeval(*inputs, f'--output_dir={s3.url}/runs')
  said = last_line(err)
  assert code == 2 and 'Traceback' not in err
  assert said.startswith(f'tfeval: cannot write {s3.url}/runs')
  assert ('the store is full: it answers 507' in said) == ('full' in faults)
  assert ('it answers 403 AccessDenied' in said) == ('forbids_all' in faults)


@pytest.mark.parametrize('flag', ['data_dir', 'manual_dir'])
def test_tfds_reads_nothing_at_s3(s3, flag):
  with pytest.raises(UserError, match=f'^`{flag}=s3://x`: TensorFlow.*no file sys'):
    datasets.open_dataset('imagenet2012', **{flag: 's3://x'})


@pytest.mark.parametrize('dataset', ['folder:s3://x/val', 'parquet:s3://x/a', 's3://x'])
def test_images_at_s3_are_refused_in_a_line(s3, inputs, tfeval, dataset):
  there = [f'--dataset={dataset}' if '--dataset=' in f else f for f in inputs]
  code, _, err = tfeval(*there, f'--output_dir={s3.url}/runs')
  assert code == 2 and 's3://x' in last_line(err) and 'Traceback' not in err


def test_without_s3fs_a_line_names_the_extra():
  code = "import sys; sys.modules['s3fs'] = None\n"
  code += 'from tfeval import cli; sys.exit(cli.main(sys.argv[1:]))'
  ran = subprocess.run(
    [sys.executable, '-c', code, 'score', 's3://bucket/run'],
    text=True,
    capture_output=True,
    env={**os.environ},
  )
  assert ran.returncode == 2
  assert ran.stderr == (
    "tfeval: s3://bucket/run needs s3fs: pip install 'tfeval[s3]'\n"
  )
