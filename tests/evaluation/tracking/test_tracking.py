"""log_to: what trackers are given, and what becomes of an evaluation without them."""

import json
import subprocess
import sys
import time

import pytest
import tensorflow as tf
from fits import fit, small

import tfeval as tfeval_lib
from tfeval.evaluation import trusted_values
from tfeval.evaluation.tracking import artifacts, config_values, tracked, trackers
from tfeval.keras import EvaluateCallback
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError


@pytest.fixture
def fake(monkeypatch):
  """A tracker that keeps what it is given; `fails` names calls that raise."""

  class Fake:
    calls: list = []
    wheres: list = []
    fails: dict = {}

    def __init__(self, where):
      self.where = where

    def _take(self, *call):
      type(self).calls.append(call)
      type(self).wheres.append(self.where)
      if call[0] in self.fails:
        raise self.fails[call[0]]

    @classmethod
    def calls_of(cls, where):
      both = zip(cls.calls, cls.wheres, strict=True)
      return [call for call, of in both if of == where]

    def begin(self, name, config):
      self._take('begin', name, config)

    def log(self, values, step):
      self._take('log', values, step)

    def store(self, files, folder):
      self._take(
        'store', {name: path.read_bytes() for name, path in files.items()}, folder
      )

    def end(self, succeeded):
      self._take('end', succeeded)

  monkeypatch.setitem(trackers.TRACKERS.entries, 'fake', Fake)
  return Fake


@pytest.fixture
def run(store_run):
  return store_run('net', [[1], [2], [3]], [1, 2, 9])


def warnings(caplog):
  return [one.getMessage() for one in caplog.records if one.levelname == 'WARNING']


def test_a_run_is_logged_with_counts_config_and_files(fake, run):
  tracked.log_runs(trackers.targets('fake:here'), [run])
  begun, logged, stored, ended = fake.calls
  assert begun[:2] == ('begin', run.path.name)
  config = begun[2]
  assert config['model.name'] == 'net' and config['protocol.spec'] == 'opencv'
  assert all(isinstance(value, str | int | float) for value in config.values())
  metric = run.metrics[0]
  assert logged[1]['original/top1'] == 2 / 3
  assert logged[1]['original/top1_correct'] == 2
  assert logged[1]['original/top1_count'] == 3
  assert logged[1]['original/top1_low'] == metric.interval.low
  assert logged[2] == 0 and ended == ('end', True)
  files = {
    str(path.relative_to(run.path)): path.read_bytes()
    for path in run.path.rglob('*')
    if path.is_file()
  }
  page = stored[1].pop('report.html')
  assert f'>{metric.correct}</td>'.encode() in page
  assert stored[1] == files and 'result.json' in files


def test_without_what_makes_pages_the_rest_is_stored(fake, run, monkeypatch, caplog):
  def page(document):
    raise UserError("`report` needs Jinja2: pip install 'tfeval[report]'")

  monkeypatch.setattr(artifacts.render, 'page', page)
  caplog.set_level('INFO', 'tfeval')
  tracked.log_runs(trackers.targets('fake:here'), [run])
  assert 'report.html' not in fake.calls[2][1]
  assert 'result.json' in fake.calls[2][1]
  assert 'no report' in caplog.text and 'tfeval[report]' in caplog.text


def test_long_lists_of_a_manifest_are_cut(run):
  long = run.result.replaced(model=run.result.model.replaced(name='x' * 10_000))
  assert len(config_values.config_of(long)['model.name']) == 503


@pytest.mark.parametrize('call', ['begin', 'log', 'store', 'end'])
def test_a_tracker_that_fails_is_told_in_a_line(fake, run, caplog, call):
  fake.fails[call] = RuntimeError('no\nroom at http://me:secret@host/x')
  try:
    tracked.log_runs(trackers.targets(['fake:one', 'fake:two']), [run, run])
  finally:
    fake.fails.clear()
  first, second = warnings(caplog)
  assert (
    first.startswith('fake:one: not logged: ') and 'room at http://***@host' in first
  )
  assert second.startswith('fake:two: not logged: ') and 'nor 1 more runs' in second
  assert '\n' not in first and 'secret' not in first + second


def test_a_tracker_that_hangs_is_left(fake, run, caplog, monkeypatch):
  monkeypatch.setattr(tracked, 'SECONDS', 0.1)
  monkeypatch.setattr(fake, 'log', lambda *_: time.sleep(30))
  began = time.monotonic()
  tracked.log_runs(trackers.targets('fake:here'), [run, run])
  assert time.monotonic() - began < 5
  assert 'no answer within 0.1 s' in warnings(caplog)[0]


def test_a_series_sends_later_what_it_could_not_send(fake, run, caplog):
  series = tracked.Series(trackers.targets('fake:here'), 'training')
  fake.fails['log'] = OSError(111, 'Connection refused')
  series.log({'val_top1': 0.1}, 10, run)
  fake.fails.clear()
  series.log({'val_top1': 0.2}, 20, run)
  series.close()
  assert warnings(caplog) == [
    'fake:here: not logged: the metrics of step 10: ConnectionRefusedError: '
    'Connection refused'
  ]
  sent = [call[1:] for call in fake.calls if call[0] == 'log'][1:]
  assert sent == [({'val_top1': 0.1}, 10), ({'val_top1': 0.2}, 20)]
  assert fake.calls[0][1] == 'training' and fake.calls[-1] == ('end', True)


def test_a_series_gives_up_after_three_failures(fake, run, caplog):
  series = tracked.Series(trackers.targets('fake:here'), 'training')
  fake.fails['begin'] = ValueError('no')
  try:
    for step in range(5):
      series.log({'val_top1': 0.1}, step, run)
    series.store(run)
    series.close()
  finally:
    fake.fails.clear()
  assert len(warnings(caplog)) == 3
  assert warnings(caplog)[2] == (
    'fake:here: not logged: the metrics of step 2, nor anything behind it: no'
  )


@pytest.mark.parametrize(
  ('text', 'said'),
  [
    ('mlflow', 'expected NAME:WHERE'),
    ('mlflow:', 'expected NAME:WHERE'),
    ('http://me:secret@x', "unknown tracker 'http'"),
    ('mlfow:x', "unknown tracker 'mlfow'"),
    ('tensorboard:/proc/none/x', 'cannot write'),
  ],
)
def test_mistakes_are_refused_before_anything_is_evaluated(
  tfeval, noise, tmp_path, text, said
):
  began = time.monotonic()
  code, _, err = tfeval(
    'evaluate',
    '--model=MobileNet',
    f'--dataset=folder:{noise}',
    f'--output_dir={tmp_path}/runs',
    f'--log_to={text}',
  )
  assert code == 2 and said in err and err.count('\n') == 1 and 'secret' not in err
  assert not (tmp_path / 'runs').exists() and time.monotonic() - began < 5


@pytest.mark.parametrize('kind', ['mlflow', 'wandb'])
def test_a_tracker_that_is_not_installed_names_its_extra(kind, monkeypatch):
  monkeypatch.setattr(
    'importlib.util.find_spec', lambda name, *_: None if name == kind else object()
  )
  where = 'sqlite:///x.db' if kind == 'mlflow' else 'offline'
  with pytest.raises(UserError, match=rf"pip install 'tfeval\[{kind}\]'"):
    trackers.targets(f'{kind}:{where}')


def test_trackers_are_imported_late():
  code = (
    'import sys, tfeval.cli.evaluate, tfeval.cli.export\n'
    'from tfeval.evaluation.tracking import tracked, trackers\n'
    'trackers.targets("tensorboard:x")\n'
    'print(*sys.modules)'
  )
  loaded = subprocess.run(
    [sys.executable, '-c', code], check=True, capture_output=True, text=True
  ).stdout.split()
  assert 'tfeval.evaluation.tracking.to_tensorboard' in loaded
  assert not {'mlflow', 'wandb', 'yaml', 'tensorflow'} & set(loaded)


def scalars(directory):
  event_accumulator = pytest.importorskip(
    'tensorboard.backend.event_processing.event_accumulator',
    reason='needs tensorboard: tfeval[tensorboard]',
  )
  found = event_accumulator.EventAccumulator(str(directory)).Reload()
  tensors = {
    tag: [
      (one.step, tf.make_ndarray(one.tensor_proto).item()) for one in found.Tensors(tag)
    ]
    for tag in found.Tags()['tensors']
    if tag != 'config'
  }
  (config,) = found.Tensors('config')
  return tensors, config.tensor_proto.string_val[0].decode()


def test_evaluate_writes_scalars_and_changes_nothing_else(noise, tmp_path):
  def evaluate(name, **more):
    return tfeval_lib.evaluate(
      small(),
      f'folder:{noise}',
      preprocess='tf',
      protocol='squash',
      preflight='off',
      output_dir=tmp_path / name,
      **more,
    )

  plain = evaluate('plain')
  run = evaluate('logged', log_to=f'tensorboard:{tmp_path}/board')
  for name in ('manifest.json', 'flags.txt'):
    assert (run.path / name).read_bytes() == (plain.path / name).read_bytes()
  assert run.metrics == plain.metrics
  assert sorted(path.name for path in run.path.iterdir()) == sorted(
    path.name for path in plain.path.iterdir()
  )
  found, config = scalars(tmp_path / 'board' / run.path.name)
  assert found['original/top1_count'] == [(0, 10.0)]
  assert found['original/top1'] == [(0, pytest.approx(run.metrics[0].value))]
  assert '| protocol.spec | squash |' in config


@pytest.mark.slow
def test_a_callback_logs_steps_config_and_its_best_run(fake, noise, caplog):
  callback = EvaluateCallback(
    f'folder:{noise}',
    preprocess='tf',
    protocol='squash',
    log_to=['fake:here', 'fake:there'],
  )
  fake.fails['store'] = OSError(28, 'No space left on device')
  try:
    fit(small(), callback, epochs=2)
  finally:
    fake.fails.clear()
  calls = fake.calls_of('here')
  assert [call[0] for call in calls] == ['begin', 'log', 'log', 'store', 'end']
  assert calls[0][1] == 'small' and calls[0][2]['dataset.name'] == f'folder:{noise}'
  assert 'model.values_sha256' not in calls[0][2]
  for call, entry in zip(calls[1:3], callback.history, strict=True):
    assert call[2] == entry['step']
    for name, value in entry['metrics'].items():
      assert call[1][name] == value
      assert [call[1][f'{name}_correct'], call[1][f'{name}_count']] == entry['counts'][
        name
      ]
  result = json.loads(calls[3][1]['result.json'])
  assert result['metrics'][0]['correct'] == callback.best.metrics[0].correct
  assert [one for one in warnings(caplog) if 'fake' in one] == [
    f'fake:{where}: not logged: the files of {callback.best.path.name}: OSError: No '
    'space left on device'
    for where in ('here', 'there')
  ]


def test_a_run_is_logged_again_by_the_command_that_finds_it(fake, run):
  for _ in range(2):
    tracked.log_runs(trackers.targets('fake:here'), [load_run(run.path)])
  assert [call[0] for call in fake.calls].count('begin') == 2


def test_the_same_place_is_logged_to_once(fake, run):
  tracked.log_runs(trackers.targets(['fake:here', 'fake:here']), [run])
  assert len(fake.calls) == 4


@pytest.mark.parametrize(
  ('value', 'starts'),
  [
    ('mlflow:sqlite:///x.db', False),
    ('wandb:offline', False),
    ('tensorboard:board', False),
    ('mlflow:http://host:5000', True),
    ('mlflow:postgresql://host/x', True),
    ('wandb:project', True),
    ('of_another_package:x', True),
  ],
)
def test_a_flagfile_reaches_no_server_without_trust(value, starts):
  assert trusted_values.starts('log_to', value) == starts


def test_a_flagfile_that_names_a_server_is_refused(tfeval, tmp_path):
  flags = tmp_path / 'flags.txt'
  flags.write_text('--model=MobileNet\n--log_to=mlflow:http://127.0.0.1:9\n')
  code, _, err = tfeval('evaluate', f'--flagfile={flags}')
  assert code == 2 and '--trust_model' in err
