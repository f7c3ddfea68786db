"""A job, step by step, with a forward pass of NumPy."""

import fake_runtime
import numpy as np
import pytest
from fake_runtime import (
  FakeRuntime,
  make_batch,
  make_model,
  make_request,
  make_settings,
)

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.engine.forward import Answers
from tfeval.evaluation import job, resolve
from tfeval.utils.errors import DataError, UserError


class Step:
  """Scores of a model that always predicts one class."""

  def __init__(self, model, value=5.0):
    self.model, self._value = model, value

  batch_size, tap = 2, None

  def place(self, batch):
    return len(batch.ids)

  def submit(self, count):
    return count

  def result(self, count):
    scores = np.zeros((count, 1000), np.float32)
    scores[:, 7] = self._value
    return Answers({'scores': scores}, 2)


@pytest.fixture
def make_job(tmp_path):
  def make(value=5.0, runtime=None, **settings):
    model, request = make_model(), make_request()
    settings = make_settings(tmp_path, **settings)
    protocol = resolve.resolve_protocol(request, settings, model)
    step = Step(model, value)
    return job.Job(request, model, protocol, settings, runtime or FakeRuntime(), step)

  return make


def record(one, batch):
  answers = one.answers(one.submit(one.place(batch)))
  one.recorder.append(batch, one.rows(batch, answers), answers.step_size)


def predict_all(one):
  for batch in one.runtime.read(
    one.protocol, one.batch_size, False, one.recorder.remaining
  ):
    record(one, batch)


def test_a_run_from_beginning_to_end(make_job, tmp_path):
  one = make_job()
  assert one.find_run() is None and one.run is None
  one.start(None)
  predict_all(one)
  one.finalize()
  one.close()
  assert one.result() is one.run
  # Label 7 is the one that it predicts.
  assert (one.run.metrics[0]['correct'], one.run.metrics[0]['count']) == (1, 10)
  assert one.run.path == tmp_path / 'right'
  assert '--strategy=default' in (tmp_path / 'right/flags.txt').read_text()


def test_flush_says_what_is_kept(make_job, tmp_path):
  one = make_job()
  one.start(None)
  batch = make_batch([0, 1])
  record(one, batch)
  assert one.flush() == f'2 of 10 images are kept in {tmp_path / "right"}'
  one.close()
  again = make_job()
  again.start(None)
  assert (again.recorder.resumed, again.recorder.remaining) == (2, range(2, 10))
  again.close()


def test_images_that_are_missing_are_no_run(make_job):
  one = make_job()
  one.start(None)
  batch = make_batch([0, 1])
  record(one, batch)
  with pytest.raises(DataError, match='2 examples were seen, fake says it has 10'):
    one.finalize()
  one.close()
  assert one.run is None and not (one.directory / 'result.json').exists()


def test_a_model_at_fault_is_named(make_job):
  with pytest.raises(UserError, match='right returns NaN or infinity for example 0'):
    one = make_job(np.nan)
    batch = make_batch([0, 1])
    one.rows(batch, one.answers(one.submit(one.place(batch))))


def test_two_cannot_write_one_directory(make_job):
  one = make_job()
  one.start(None)
  with pytest.raises(UserError, match='is being written by another tfeval'):
    make_job().start(None)
  one.close()
  make_job().start(None)


def test_a_started_job_finds_what_another_has_completed(make_job):
  late = make_job()
  assert late.find_run() is None
  one = make_job()
  one.start(None)
  predict_all(one)
  one.finalize()
  one.close()
  late.start(None)
  assert late.recorder is None and late.result().result == one.run.result


def test_labels_that_are_other_classes_than_the_models(make_job, monkeypatch):
  other = LabelSpace('flags', ('g', 'b', 'r'), ('green', 'blue', 'red'))
  monkeypatch.setattr(fake_runtime.imagenet, 'label_space', lambda: other)
  runtime = FakeRuntime()
  monkeypatch.undo()
  with pytest.raises(
    UserError, match=r'right has the outputs of 1000 .* no output means one of these'
  ):
    make_job(runtime=runtime)
