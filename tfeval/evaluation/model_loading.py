"""Models in groups that share pixels, the next one loading while others run."""

import collections
import threading
from collections.abc import Iterator
from concurrent import futures

from tfeval.evaluation import resolve
from tfeval.evaluation.config import Request, Settings
from tfeval.evaluation.job import Job
from tfeval.evaluation.outcomes import Outcomes
from tfeval.evaluation.runtime import Place
from tfeval.models import published, table
from tfeval.preprocess import protocol
from tfeval.utils import termination
from tfeval.utils.errors import UserError


def groups(
  wanted: list[Request], settings: Settings, place: Place, outcomes: Outcomes
) -> Iterator[list[Job]]:
  """Yields models that share a protocol and a size, each once.

  Args:
    wanted: the models.
    settings: how they are evaluated; at most `max_loaded_models` of them are in
      memory, one of which loads while a group runs, unless all that are left fit.
    place: where.
    outcomes: is told of models that need not be evaluated, or cannot.

  Yields:
    Jobs that have not been started; a group is done with when the next one is asked
    for.
  """
  queue = collections.deque(sort(wanted, settings))
  ahead = collections.deque[tuple[Request, futures.Future[Job]]]()
  most = settings.max_loaded_models

  def load_next() -> Job | None:
    while ahead or queue:
      request, future = (
        ahead.popleft() if ahead else _start_loading(queue.popleft(), settings, place)
      )
      with outcomes.of(request):
        job = future.result()
        complete = job.complete_run()
        if complete is None:
          return job
        outcomes.set(request, complete)
        job.close()
      # Not a model more than allowed while the next one loads.
      job = future = None
    return None

  loaded: list[Job] = []
  while True:
    while len(loaded) < (
      most if len(loaded) + len(ahead) + len(queue) <= most else max(1, most - 1)
    ):
      job = load_next()
      if job is None:
        break
      loaded.append(job)
    if not loaded:
      return
    group = [job for job in loaded if job.protocol == loaded[0].protocol]
    if queue and len(loaded) < most:
      ahead.append(_start_loading(queue.popleft(), settings, place))
    yield group
    loaded = [job for job in loaded if job not in group]


def sort(wanted: list[Request], settings: Settings) -> list[Request]:
  """Returns models so that those stand together that will share pixels.

  As far as can be known before they are loaded; else in the order that they came in.
  """
  groups: dict[object, list[Request]] = {}
  for request in wanted:
    groups.setdefault(_likely_pixels(request, settings), []).append(request)
  return [request for group in groups.values() for request in group]


def _likely_pixels(request: Request, settings: Settings) -> object:
  try:
    text = published.protocol_text(settings.protocol, request.spec)
    size = settings.input_size or protocol.requested_size(text)
  except UserError:
    return request  # It will be told of this model.
  facts = table.known_models().get(request.spec.target)
  if size is None and facts is not None:
    shape = dict(request.spec.options).get('input_shape')
    size = facts.input_size if shape is None else str(shape)
  return text, size


def _start_loading(
  request: Request, settings: Settings, place: Place
) -> tuple[Request, futures.Future[Job]]:
  """Loads a model in a thread of its own: Keras counts names of layers by thread."""

  def load() -> Job:
    with place.strategy.scope():
      model = resolve.load_model(request, settings)
    return Job(request, settings, place, model)

  future = futures.Future[Job]()

  def run() -> None:
    try:
      future.set_result(load())
    except BaseException as error:  # It is told where the result is asked for.
      future.set_exception(error)

  # No executor: it would keep an interrupted process until the model is there.
  threading.Thread(target=run, name=termination.LOADING_THREAD, daemon=True).start()
  return request, future
