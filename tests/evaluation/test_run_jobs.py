"""The loop: a run or a failure for each request, whoever it was read with."""

import json
import threading

import pytest
import tensorflow as tf
from fake_runtime import FakeRuntime, make_model, make_request, make_settings

from tfeval.engine import placement
from tfeval.engine.cluster import Cluster
from tfeval.evaluation import loop, resolve, shared_job
from tfeval.evaluation.plans import Plan
from tfeval.utils import errors
from tfeval.utils.errors import DataError, UserError


@pytest.fixture
def models(monkeypatch):
  """Names models that can be loaded: `right`, `next`; all others cannot."""
  known = {'right': make_model(), 'next': make_model('next', shift=1)}

  def load_model(request, settings):
    if request.spec.text not in known:
      raise UserError(f'there is no {request.spec.text}')
    return known[request.spec.text]

  monkeypatch.setattr(resolve, 'load_model', load_model)
  return known


def make_job(model, runtime, settings):
  request = make_request(model.name)
  protocol = resolve.resolve_protocol(request, settings, model)
  return shared_job.make_job(request, model, protocol, settings, runtime)


def run_jobs(names, settings, runtime=None):
  plan = Plan(settings, tuple(make_request(name) for name in names))
  return loop.run_jobs([plan], [runtime or FakeRuntime()])


def top1(run):
  return run.metrics[0]['correct'], run.metrics[0]['count']


def test_results_stand_in_the_order_of_the_requests(models, tmp_path):
  runtime = FakeRuntime()
  missing, after, right = run_jobs(
    ['missing', 'next', 'right'], make_settings(tmp_path), runtime
  )
  assert (missing.name, missing.reason) == ('missing', 'there is no missing')
  assert (top1(after), top1(right)) == ((0, 10), (10, 10))
  assert runtime.reads == [range(10)]
  # The speed of two is that of neither.
  assert 'images_per_second' not in right.result['timing']


def test_what_is_there_is_not_read_again(models, tmp_path):
  settings = make_settings(tmp_path)
  (before,) = run_jobs(['right'], settings)
  written = (before.path / 'result.json').stat().st_mtime_ns
  runtime = FakeRuntime()
  again, after = run_jobs(['right', 'next'], settings, runtime)
  assert (again.path / 'result.json').stat().st_mtime_ns == written
  assert runtime.reads == [range(10)]
  assert 'images_per_second' in after.result['timing']


def test_the_only_model_raises(models, tmp_path):
  with pytest.raises(UserError, match='there is no missing'):
    run_jobs(['missing'], make_settings(tmp_path))


def test_data_at_fault_stop_all(models, tmp_path, monkeypatch):
  def read(*_):
    raise DataError('the disk is gone')
    yield

  runtime = FakeRuntime()
  monkeypatch.setattr(runtime, 'read', read)
  with pytest.raises(DataError, match='the disk is gone'):
    run_jobs(['right', 'next'], make_settings(tmp_path), runtime)


def test_one_that_fails_on_the_way_leaves_the_others(models, tmp_path):
  def function(images):
    infinite = tf.where(images[:, :1, 0, 0] == 5, float('inf'), 0.0)
    return tf.tile(infinite, [1, 1000])

  models['broken'] = make_model('broken')
  object.__setattr__(models['broken'], 'function', function)
  broken, right = run_jobs(['broken', 'right'], make_settings(tmp_path))
  assert 'NaN or infinity for example 5.JPEG' in broken.reason
  assert top1(right) == (10, 10)


def interrupted_at(position):
  """Returns a runtime that is interrupted before a batch."""
  runtime = FakeRuntime()
  read = runtime.read

  def until(*what):
    for batch in read(*what):
      if batch.positions[0] == position:
        raise KeyboardInterrupt
      yield batch

  runtime.read = until
  return runtime


def test_an_interruption_resumes_where_each_was(models, tmp_path):
  settings = make_settings(tmp_path)
  with pytest.raises(errors.Interrupted, match='6 of 10 images are kept in .*goes on'):
    run_jobs(['right'], settings, interrupted_at(6))
  runtime = FakeRuntime()
  after, right = run_jobs(['next', 'right'], settings, runtime)
  assert runtime.reads == [range(10)]
  assert (top1(after), top1(right)) == ((0, 10), (10, 10))
  whole = run_jobs(['right'], make_settings(tmp_path / 'whole'))[0]
  for file in ('part-00000.parquet', 'part-00001.parquet', 'index.json'):
    assert (right.path / 'predictions' / file).read_bytes() == (
      whole.path / 'predictions' / file
    ).read_bytes()


def test_skipped_images_are_missing_and_nothing_else(models, tmp_path, monkeypatch):
  monkeypatch.setattr(
    'tfeval.engine.pipeline.failures', lambda *_: {'3.JPEG': 'it is empty'}
  )
  settings = make_settings(tmp_path, on_error='skip')
  (run,) = run_jobs(['right'], settings, FakeRuntime(broken=frozenset({3})))
  assert top1(run) == (9, 9)
  assert [one['id'] for one in run.result['dataset']['failed']] == ['3.JPEG']


def test_one_job_is_found_or_evaluated(tmp_path):
  runtime, settings = FakeRuntime(), make_settings(tmp_path)
  run = loop.run_one(make_job(make_model(), runtime, settings))
  assert top1(run) == (10, 10)
  assert loop.run_one(make_job(make_model(), runtime, settings)).result == run.result
  assert runtime.reads == [range(10)]


def test_hosts_share_the_images_and_both_return_the_run(tmp_path):
  settings, runs = make_settings(tmp_path, host_timeout=60), {}

  def evaluate(index):
    runtime = FakeRuntime(Cluster(2, index))
    runs[index] = loop.run_one(make_job(make_model(), runtime, settings))
    assert runtime.reads == [Cluster(2, index).shard(10, 2)]

  other = threading.Thread(target=evaluate, args=(1,))
  other.start()
  evaluate(0)
  other.join()
  assert runs[0].result == runs[1].result and top1(runs[0]) == (10, 10)
  assert not (tmp_path / 'right/hosts').exists()


def test_a_host_that_does_not_join_has_no_run(models, tmp_path):
  settings = make_settings(tmp_path, host_timeout=1)
  missing, *rest = run_jobs(['missing', 'right'], settings, FakeRuntime(Cluster(2, 1)))
  assert missing.name == 'missing' and not rest
  right, after = run_jobs(['right', 'next'], settings, FakeRuntime(Cluster(2, 0)))
  assert top1(right) == (10, 10)
  # Its other host never came.
  assert 'not finished, and nothing new for 1 s' in after.reason


def test_hosts_could_not_tell_functions_apart(tmp_path):
  unknown = make_model(weights_sha256=None)
  with pytest.raises(UserError, match='several hosts could not tell'):
    make_job(unknown, FakeRuntime(Cluster(2, 0)), make_settings(tmp_path))


@pytest.mark.parametrize('jit', [False, True])
def test_ranking_on_the_device_stores_the_same_classes(models, tmp_path, jit):
  (host,) = run_jobs(['right'], make_settings(tmp_path / 'host', jit=jit))
  settings = make_settings(tmp_path / 'device', jit=jit, rank_on='device')
  (device,) = run_jobs(['right'], settings)
  assert device.result['compute']['rank_on'] == 'device'
  assert top1(device) == top1(host) == (10, 10)
  columns = ['id', 'label', 'classes', 'image_sha256']
  assert device.to_arrow(columns).equals(host.to_arrow(columns))
  close = [run.to_arrow(['label_log_prob'])['label_log_prob'] for run in (device, host)]
  assert close[0].to_pylist() == pytest.approx(close[1].to_pylist(), rel=1e-5)


def narrow_model():
  """Returns the right model on a device that has memory for three images."""
  model = make_model('narrow')
  function = model.function

  def narrow(images):
    if images.shape[0] > 3:
      raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')
    return function(images)

  object.__setattr__(model, 'function', narrow)
  return model


@pytest.mark.parametrize('rank_on', ['host', 'device'])
def test_less_memory_takes_smaller_steps_and_gives_the_same_integers(
  models, tmp_path, caplog, rank_on
):
  models['narrow'] = narrow_model()
  sized = {'batch_size': 8, 'rows_per_part': 8, 'rank_on': rank_on}
  (run,) = run_jobs(['narrow'], make_settings(tmp_path, **sized))
  assert top1(run) == (10, 10)
  assert run.result['compute']['batch_size'] == 8
  assert [text for text in caplog.messages if 'memory' in text] == [
    'narrow does not fit into memory with steps of 8 images: it goes on with 4',
    'narrow does not fit into memory with steps of 4 images: it goes on with 2',
  ]
  index = json.loads((run.path / 'predictions/index.json').read_text())
  assert [part['step_sizes'] for part in index['parts']] == [[2], [2]]
  columns = ['id', 'classes', 'log_probs', 'label_log_prob']
  whole = make_settings(tmp_path / 'whole', **sized)
  (right,) = run_jobs(['right'], whole)
  assert right.to_arrow(columns).equals(run.to_arrow(columns))


def test_batches_that_have_no_room_on_a_device_are_left_where_they_are(
  models, tmp_path, monkeypatch
):
  def full(*_):
    raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')

  models['right'] = make_model()
  monkeypatch.setattr(placement, 'place', full)
  (run,) = run_jobs(['right'], make_settings(tmp_path))
  assert top1(run) == (10, 10)


def test_one_image_that_does_not_fit_is_said(models, tmp_path):
  def nothing(images):
    raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')

  models['right'] = make_model()
  object.__setattr__(models['right'], 'function', nothing)
  with pytest.raises(UserError, match='not even with one image at a time'):
    run_jobs(['right'], make_settings(tmp_path))


def test_the_largest_power_of_two_that_fits_is_found_and_kept(models, tmp_path, caplog):
  models['narrow'] = narrow_model()
  settings = make_settings(tmp_path, batch_size='auto')
  (run,) = run_jobs(['narrow'], settings)
  assert (run.result['compute']['batch_size'], top1(run)) == (2, (10, 10))
  assert not any('does not fit' in text for text in caplog.messages)
  (tmp_path / 'narrow/result.json').unlink()
  # Half of it is there: it goes on with the batches that it began with, though by now
  # there is more memory.
  models['narrow'] = make_model('narrow')
  (again,) = run_jobs(['narrow'], settings)
  assert again.result['compute']['batch_size'] == 2
  assert 'strategy' in again.result['compute'] and top1(again) == (10, 10)


def test_models_of_other_batch_sizes_read_on_their_own(models, tmp_path):
  models['narrow'] = narrow_model()
  runtime = FakeRuntime()
  settings = make_settings(tmp_path, batch_size='auto')
  runs = run_jobs(['narrow', 'right'], settings, runtime)
  assert [run.result['compute']['batch_size'] for run in runs] == [2, 64]
  assert runtime.reads == [range(10), range(10)]
  assert [top1(run) for run in runs] == [(10, 10), (10, 10)]


def test_a_step_that_fails_names_its_batch_and_what_was_before_is_kept(
  models, tmp_path
):
  right = models['right'].function

  def failing(images):
    with tf.control_dependencies([tf.debugging.assert_less(images, 6.0, 'too much')]):
      return right(images)

  models['right'] = make_model()
  object.__setattr__(models['right'], 'function', failing)
  named = r'cannot run on images of \(2, 4, 4, 3\) \(6.JPEG to 7.JPEG\): [^\n]*too much'
  with pytest.raises(UserError, match=named):
    run_jobs(['right'], make_settings(tmp_path))
  index = json.loads((tmp_path / 'right/predictions/index.json').read_text())
  assert [part['positions'] for part in index['parts']] == [[[0, 4]], [[4, 6]]]
