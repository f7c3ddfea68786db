"""Models in groups that share pixels, the next one loading while others run."""

import collections
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import AbstractContextManager

from tfeval.evaluation import resolve, shared_job
from tfeval.evaluation.config import EvaluationConfig, ModelRequest
from tfeval.evaluation.job import Job
from tfeval.evaluation.runtime import Runtime
from tfeval.models import published, table
from tfeval.preprocess.protocol import requested_size
from tfeval.utils import termination
from tfeval.utils.errors import UserError


def job_groups(
  requests: list[ModelRequest],
  config: EvaluationConfig,
  runtime: Runtime,
  attempt: Callable[[ModelRequest], AbstractContextManager[None]],
) -> Iterator[list[Job]]:
  """Yields models that share a protocol and a size, each once.

  Args:
    requests: the models.
    config: how they are evaluated; at most `max_loaded_models` of them are in
      memory, one of which loads while a group runs, unless all that are left fit.
    runtime: where.
    attempt: makes the context in which a model is loaded; one that passes over an
      error leaves the model out.

  Yields:
    Jobs that have not been started, or alone and closed one whose run is complete; a
    group is done with when the next one is asked for.
  """
  queue = collections.deque(order_by_pixels(requests, config))
  ahead = collections.deque[tuple[ModelRequest, futures.Future[Job]]]()
  most = config.max_loaded_models

  loaded: list[Job] = []
  while True:
    while (ahead or queue) and len(loaded) < (
      most if len(loaded) + len(ahead) + len(queue) <= most else max(1, most - 1)
    ):
      request, future = (
        ahead.popleft() if ahead else _start_loading(queue.popleft(), config, runtime)
      )
      with attempt(request):
        job = future.result()
        if job.find_run() is None:
          loaded.append(job)
        else:
          job.close()
          yield [job]
      # Not a model more than allowed while the next one loads.
      job = future = None
    if not loaded:
      return
    group = [job for job in loaded if _shares_batches(job, loaded[0])]
    if queue and len(loaded) < most:
      ahead.append(_start_loading(queue.popleft(), config, runtime))
    yield group
    loaded = [job for job in loaded if job not in group]


def order_by_pixels(
  requests: list[ModelRequest], config: EvaluationConfig
) -> list[ModelRequest]:
  """Returns models so that those stand together that will share pixels.

  As far as can be known before they are loaded; else in the order that they came in.
  """
  groups: dict[object, list[ModelRequest]] = {}
  for request in requests:
    groups.setdefault(_likely_pixels(request, config), []).append(request)
  return [request for group in groups.values() for request in group]


def _likely_pixels(request: ModelRequest, config: EvaluationConfig) -> object:
  try:
    text = published.protocol_text(config.protocol, request.spec)
    size = config.model.input_size or requested_size(text)
  except UserError:
    return request  # It is reported when the model is loaded.
  facts = table.known_models().get(request.spec.target)
  if size is None and facts is not None:
    shape = dict(request.spec.options).get('input_shape')
    size = facts.input_size if shape is None else str(shape)
  return text, size


def _start_loading(
  request: ModelRequest, config: EvaluationConfig, runtime: Runtime
) -> tuple[ModelRequest, futures.Future[Job]]:
  """Loads a model in a thread of its own: Keras counts names of layers by thread."""

  def load() -> Job:
    with runtime.strategy.scope():
      model = resolve.load_model(request, config)
    protocol = resolve.resolve_protocol(request, config, model)
    return shared_job.make_job(request, model, protocol, config, runtime)

  future = futures.Future[Job]()

  def run() -> None:
    try:
      future.set_result(load())
    except BaseException as error:  # It is raised where the result is asked for.
      future.set_exception(error)

  # No executor: it would keep an interrupted process until the model is there.
  threading.Thread(target=run, name=termination.LOADING_THREAD, daemon=True).start()
  return request, future


def _shares_batches(job: Job, other: Job) -> bool:
  return job.protocol == other.protocol and job.batch_size == other.batch_size
