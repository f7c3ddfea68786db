"""Models in groups that share pixels, the next one loading while others run."""

import collections
import dataclasses
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent import futures
from contextlib import AbstractContextManager

from tfeval.engine.forward import ForwardPass
from tfeval.evaluation import resolve, shared_job
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest, Plan
from tfeval.evaluation.runtime import Runtime
from tfeval.models import published, table
from tfeval.preprocess.protocol import requested_size
from tfeval.utils import termination
from tfeval.utils.errors import UserError


@dataclasses.dataclass
class _Ahead:
  """A model that is loading.

  Attributes:
    requests: of it, one for each dataset.
    future: for each request in order a job, or why there is none.
  """

  requests: tuple[ModelRequest, ...]
  future: futures.Future[list[Job | UserError]]


def job_groups(
  plans: Sequence[Plan],
  runtimes: Sequence[Runtime],
  attempt: Callable[[ModelRequest], AbstractContextManager[None]],
) -> Iterator[list[Job]]:
  """Yields models that share a protocol, a size and a dataset, each once on each.

  Args:
    plans: one for each dataset and corruption. At most `max_loaded_models` of the
      models are in memory, one of which loads while a group runs, unless all that are
      left fit.
    runtimes: where, one for each plan.
    attempt: makes the context in which a model is loaded; one that passes over an
      error leaves the model out.

  Yields:
    Jobs that have not been started, or alone and closed one whose run is complete; a
    group is done with when the next one is asked for.
  """
  queue = collections.deque(_order_by_pixels(plans))
  ahead = collections.deque[_Ahead]()
  most = plans[0].config.max_loaded_models

  loaded: list[list[Job]] = []  # Of each model, one for each dataset.
  while True:
    while (ahead or queue) and len(loaded) < (
      most if len(loaded) + len(ahead) + len(queue) <= most else max(1, most - 1)
    ):
      one = (
        ahead.popleft() if ahead else _start_loading(queue.popleft(), plans, runtimes)
      )
      jobs, complete = _jobs_of(one, attempt)
      for job in complete:
        yield [job]
      if jobs:
        loaded.append(jobs)
      # Not a model more than allowed while the next one loads.
      one = jobs = None
    if not loaded:
      return
    first = loaded[0][0]
    group = [jobs for jobs in loaded if _shares_pixels(jobs[0], first)]
    if queue and len(loaded) < most:
      ahead.append(_start_loading(queue.popleft(), plans, runtimes))
    yield from _by_batches([job for jobs in group for job in jobs], runtimes)
    loaded = [jobs for jobs in loaded if jobs not in group]
    first = group = None


def _jobs_of(
  loading: _Ahead, attempt: Callable[[ModelRequest], AbstractContextManager[None]]
) -> tuple[list[Job], list[Job]]:
  """Waits for a model; returns its jobs, and closed ones whose run is complete."""
  jobs, complete, found = [], [], None
  for i, request in enumerate(loading.requests):
    with attempt(request):
      if found is None:
        found = loading.future.result()
      job = found[i]
      if isinstance(job, UserError):
        raise job
      if job.find_run() is None:
        jobs.append(job)
      else:
        job.close()
        complete.append(job)
  return jobs, complete


def _by_batches(jobs: list[Job], runtimes: Sequence[Runtime]) -> Iterator[list[Job]]:
  """Yields jobs that take the same batches, those of a dataset after another."""
  for runtime in {id(one): one for one in runtimes}.values():
    left = [job for job in jobs if job.runtime is runtime]
    while left:
      group = [job for job in left if _shares_pixels(job, left[0])]
      yield group
      left = [job for job in left if job not in group]


def _order_by_pixels(plans: Sequence[Plan]) -> list[tuple[ModelRequest, ...]]:
  """Returns models as `order_by_pixels`, of each its requests, one for each plan."""
  of_model = dict(
    zip(
      plans[0].requests,
      zip(*(plan.requests for plan in plans), strict=True),
      strict=True,
    )
  )
  ordered = order_by_pixels(list(plans[0].requests), plans[0].config)
  return [of_model[request] for request in ordered]


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
    text = published.protocol_text(
      config.protocol, request.spec, weights=request.weights
    )
    size = config.model.input_size or requested_size(text)
  except UserError:
    return request  # It is reported when the model is loaded.
  facts = table.known_models().get(request.spec.target)
  if size is None and facts is not None:
    shape = dict(request.spec.options).get('input_shape')
    size = facts.input_size if shape is None else str(shape)
  return text, size


def _start_loading(
  requests: tuple[ModelRequest, ...],
  plans: Sequence[Plan],
  runtimes: Sequence[Runtime],
) -> _Ahead:
  """Loads a model in a thread of its own: Keras counts names of layers by thread."""

  def load() -> list[Job | UserError]:
    config = plans[0].config
    with runtimes[0].strategy.scope():
      model = resolve.load_model(requests[0], config)
    jobs: list[Job | UserError] = []
    steps: dict[Hashable, ForwardPass] = {}
    for request, plan, runtime in zip(requests, plans, runtimes, strict=True):
      try:
        # Of images that are cropped already it is another one.
        protocol = resolve.resolve_protocol(request, plan.config, model)
        jobs.append(
          shared_job.make_job(
            request, model, protocol, plan.config, runtime, steps=steps
          )
        )
      except UserError as error:  # Of this dataset or corruption alone.
        jobs.append(error)
    return jobs

  future = futures.Future[list[Job | UserError]]()

  def run() -> None:
    try:
      future.set_result(load())
    except BaseException as error:  # It is raised where the result is asked for.
      future.set_exception(error)

  # No executor: it would keep an interrupted process until the model is there.
  threading.Thread(target=run, name=termination.LOADING_THREAD, daemon=True).start()
  return _Ahead(requests, future)


def _shares_pixels(job: Job, other: Job) -> bool:
  """Whether both take the same pixels, or make theirs of the same."""
  plain = [one.protocol.before_corruption for one in (job, other)]
  return plain[0] == plain[1] and job.batch_size == other.batch_size
