"""Runs in a real store of MLflow and in offline files of W&B."""

import pathlib
import socket
import sys
import time

import fits
import frameworks
import pytest
import wandb_files
from fits import fit, small

import tfeval as tfeval_lib
from tfeval.keras import EvaluateCallback
from tfeval.runs.run import load_run

HOW = ('--preprocess=tf', '--protocol=squash', '--preflight=off', '--output=logits')


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
  """Trackers write into a folder of the test's own."""
  monkeypatch.chdir(tmp_path)
  for name in ('WANDB_DIR', 'WANDB_DATA_DIR', 'WANDB_CACHE_DIR', 'WANDB_CONFIG_DIR'):
    monkeypatch.setenv(name, str(tmp_path))
  for name in ('WANDB_MODE', 'WANDB_PROJECT', 'MLFLOW_EXPERIMENT_NAME'):
    monkeypatch.delenv(name, raising=False)
  yield
  if 'wandb' in sys.modules:
    sys.modules['wandb'].teardown()  # Else it stays with this folder.


@pytest.fixture
def evaluate(tfeval, noise, tmp_path):
  """Evaluates a small model; returns exit code, stderr and the run."""

  def run(*flags):
    fits.small().save(tmp_path / 'small.keras')
    code, _, err = tfeval(
      'evaluate',
      f'--model={tmp_path}/small.keras',
      f'--dataset=folder:{noise}',
      f'--output_dir={tmp_path}/runs',
      *HOW,
      *flags,
    )
    (path,) = (tmp_path / 'runs').iterdir()
    return code, err, load_run(path)

  return run


def store(tmp_path):
  """A store, its client, and the runs that tfeval has logged, the last first."""
  from mlflow import MlflowClient

  client = MlflowClient(f'sqlite:///{tmp_path}/mlflow.db')
  experiment = client.get_experiment_by_name('tfeval')
  return client, client.search_runs([experiment.experiment_id])


@frameworks.marked('mlflow', 'sqlalchemy')
def test_a_store_of_mlflow_has_metrics_config_and_files(evaluate, tmp_path):
  from mlflow.artifacts import download_artifacts

  code, err, run = evaluate(f'--log_to=mlflow:sqlite:///{tmp_path}/mlflow.db')
  assert code == 0
  lines = [line for line in err.splitlines() if 'images/s' not in line]
  assert lines[-1] == (
    f'tfeval: {run.path.name} is logged to mlflow:sqlite:///{tmp_path}/mlflow.db'
  )
  assert all(line.startswith('tfeval: ') for line in lines)
  client, (logged,) = store(tmp_path)
  assert logged.info.status == 'FINISHED' and logged.info.run_name == run.path.name
  for metric in run.metrics:
    if run.classes.is_partner(metric.rule):
      continue
    name = f'{metric.labels}/{metric.key}'
    assert logged.data.metrics[name] == metric.value
    assert logged.data.metrics[f'{name}_correct'] == metric.correct
    assert logged.data.metrics[f'{name}_count'] == metric.count
  assert logged.data.params['protocol.spec'] == 'squash'
  assert logged.data.params['model.name'] == run.result.model.name
  names = {one.path for one in client.list_artifacts(logged.info.run_id)}
  assert {'result.json', 'manifest.json', 'flags.txt', 'predictions'} <= names
  folder = pathlib.Path(
    download_artifacts(
      run_id=logged.info.run_id,
      dst_path=str(tmp_path / 'back'),
      tracking_uri=f'sqlite:///{tmp_path}/mlflow.db',
    )
  )
  # What is stored is a run that tfeval reads.
  assert load_run(folder).score() == run.score()


@frameworks.marked('mlflow', 'sqlalchemy')
def test_watch_logs_each_checkpoint_by_its_step(tfeval, noise, tmp_path):
  (tmp_path / 'training').mkdir()
  for step in (20, 5):
    small().save(tmp_path / 'training' / f'model-{step:03d}.keras')
  code, _, err = tfeval(
    'watch',
    tmp_path / 'training',
    f'--dataset=folder:{noise}',
    *HOW[:2],
    '--output=logits',
    '--order=newest',
    '--timeout=0',
    '--poll_seconds=.05',
    f'--output_dir={tmp_path}/runs',
    f'--log_to=mlflow:sqlite:///{tmp_path}/mlflow.db',
  )
  assert code == 0, err
  client, (logged,) = store(tmp_path)
  assert logged.info.run_name == 'training' and logged.info.status == 'FINISHED'
  history = client.get_metric_history(logged.info.run_id, 'val_top1_count')
  assert sorted((one.step, one.value) for one in history) == [(5, 10), (20, 10)]
  runs = {one.path for one in client.list_artifacts(logged.info.run_id) if one.is_dir}
  assert runs == {one.name for one in (tmp_path / 'runs').iterdir()} - {
    'tensorboard',
    'watched.json',
  }


@frameworks.marked('wandb')
def test_offline_files_of_wandb_have_metrics_config_and_files(evaluate, tmp_path):
  code, err, run = evaluate('--log_to=wandb:offline')
  assert code == 0 and err.endswith(f'{run.path.name} is logged to wandb:offline\n')
  (records,) = wandb_files.runs(tmp_path)
  (row,) = wandb_files.rows(records)
  metric = run.metrics[0]
  assert row['original/top1'] == metric.value and row['step'] == 0
  assert row['original/top1_correct'] == metric.correct
  begun = wandb_files.begun(records)
  assert (begun.project, begun.display_name) == ('tfeval', run.path.name)
  config = {one.key: one.value_json for one in begun.config.update}
  assert config['protocol.spec'] == '"squash"'
  (stored,) = wandb_files.artifacts(records)
  for path in run.path.rglob('*'):
    if path.is_file():
      assert stored[str(path.relative_to(run.path))].read_bytes() == path.read_bytes()


@frameworks.marked('mlflow', 'wandb', 'sqlalchemy')
def test_a_callback_logs_beside_the_run_of_the_training(noise, tmp_path):
  import wandb

  settings = wandb.Settings(silent=True, console='off')
  with wandb.init(project='mine', mode='offline', settings=settings) as own:
    callback = EvaluateCallback(
      f'folder:{noise}',
      preprocess='tf',
      protocol='squash',
      log_to=[f'mlflow:sqlite:///{tmp_path}/mlflow.db', 'wandb:offline'],
    )
    fit(small(), callback, epochs=2)
    assert wandb.run is own
  client, (logged,) = store(tmp_path)
  history = client.get_metric_history(logged.info.run_id, 'val_top1')
  assert [(one.step, one.value) for one in history] == [
    (entry['step'], entry['metrics']['val_top1']) for entry in callback.history
  ]
  assert 'result.json' in {
    one.path for one in client.list_artifacts(logged.info.run_id)
  }
  projects = {}
  for records in wandb_files.runs(tmp_path):
    rows = wandb_files.rows(records)
    project = wandb_files.begun(records).project
    projects[project] = [(row['step'], row['val_top1']) for row in rows]
  assert projects == {
    'mine': [],
    'tfeval': [
      (entry['step'], entry['metrics']['val_top1']) for entry in callback.history
    ],
  }


@frameworks.marked('mlflow')
@pytest.mark.parametrize('listens', [False, True])
def test_a_server_that_does_not_answer_changes_nothing(evaluate, monkeypatch, listens):
  monkeypatch.setenv('MLFLOW_HTTP_REQUEST_TIMEOUT', '1')
  with socket.socket() as server:
    server.bind(('127.0.0.1', 0))
    port = server.getsockname()[1]
    if listens:
      server.listen(1)  # And nobody accepts.
    began = time.monotonic()
    code, err, run = evaluate(f'--log_to=mlflow:http://me:secret@127.0.0.1:{port}')
  assert code == 0 and time.monotonic() - began < 60
  (line,) = [one for one in err.splitlines() if 'mlflow' in one]
  assert f'mlflow:http://***@127.0.0.1:{port}: not logged: the metrics' in line
  assert 'secret' not in err and run.metrics[0].count == 10
  assert listens or 'Connection refused' in line


@frameworks.marked('mlflow')
@pytest.mark.parametrize('where', ['runs', 'ftp://host/x', 'sqlite:////no/such/x.db'])
def test_a_store_that_mlflow_has_not_is_refused(tfeval, where):
  code, _, err = tfeval('evaluate', '--model=MobileNet', f'--log_to=mlflow:{where}')
  assert code == 2 and f'--log_to=mlflow:{where}' in err and err.count('\n') == 1


@frameworks.marked('wandb')
def test_a_project_of_wandb_needs_a_key_and_a_name(tfeval, tmp_path, monkeypatch):
  monkeypatch.delenv('WANDB_API_KEY', raising=False)
  monkeypatch.setenv('NETRC', str(tmp_path / 'none'))
  for where, said in (('mine', 'no key of W&B'), ('a/b', 'the name of a project')):
    code, _, err = tfeval('evaluate', '--model=MobileNet', f'--log_to=wandb:{where}')
    assert code == 2 and said in err and err.count('\n') == 1


@frameworks.marked('wandb')
def test_a_server_of_wandb_that_is_not_there(noise, monkeypatch, caplog):
  from tfeval.evaluation.tracking import to_wandb

  monkeypatch.setenv('WANDB_BASE_URL', 'http://127.0.0.1:9')
  monkeypatch.setenv('WANDB_API_KEY', 40 * 'a')
  monkeypatch.setitem(to_wandb._SETTINGS, 'init_timeout', 3)
  run = tfeval_lib.evaluate(
    small(),
    f'folder:{noise}',
    preprocess='tf',
    protocol='squash',
    preflight='off',
    log_to='wandb:mine',
  )
  assert run.metrics[0].count == 10
  (line,) = [one.getMessage() for one in caplog.records if one.name == 'tfeval']
  assert line.startswith('wandb:mine: not logged: the metrics')
