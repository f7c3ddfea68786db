"""Models that take the same batches: each image is read and decoded once."""

import contextlib
from collections.abc import Sequence

from tfeval.evaluation import in_flight, model_loading
from tfeval.evaluation.config import OFF, EvaluationConfig
from tfeval.evaluation.failures import Failures
from tfeval.evaluation.job import Job
from tfeval.evaluation.plans import ModelRequest, Plan
from tfeval.evaluation.preflight import preflight
from tfeval.evaluation.preflight.preflight import Sample
from tfeval.evaluation.runtime import Runtime
from tfeval.evaluation.stopwatch import Stopwatch
from tfeval.preprocess.protocol import Protocol
from tfeval.runs.run import Failure, Run
from tfeval.utils import errors, supervision, termination
from tfeval.utils.errors import listed

# Of runs that are interrupted at once, of how many it is told what is kept.
_TOLD = 3


def run_jobs(plans: Sequence[Plan], runtimes: Sequence[Runtime]) -> list[Run | Failure]:
  """Evaluates models; those that share a protocol and a size share its images.

  Args:
    plans: one for each dataset; a model is loaded once for all of them.
    runtimes: where, one for each plan.

  Returns:
    For each request of each plan in order its complete run, or what is wrong with it.
    Of several
    hosts only 0 waits for the others, once its share of all models is done: another
    one leaves out the runs that host 0 is to join.

  Raises:
    UserError: the data, or the only model, are at fault.
    Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
  """
  requests = [request for plan in plans for request in plan.requests]
  suite = any(plan.of_suite is not None for plan in plans)
  failures = Failures(len(requests) > 1 or suite, data_may_fail=suite)
  jobs, logged = [], False
  for group in model_loading.job_groups(plans, runtimes, failures.of):
    jobs += group
    if group[0].run is None:
      if not logged:
        runtimes[0].log_devices(plans[0].config)
        logged = True
      with failures.of_data(group):
        run_group(group, failures)
  if runtimes[0].hosts.index == 0:
    for job in jobs:
      if job.request not in failures.found:
        with failures.of(job.request):
          job.result()
  results = {job.request: job.run for job in jobs if job.run} | failures.found
  return [results[request] for request in requests if request in results]


def run_one(job: Job) -> Run:
  """Returns the run of a single model, evaluated unless it is there already.

  Raises:
    UserError: the data, the model or the directory are at fault.
    Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
  """
  share(job)
  return job.result()


def share(job: Job) -> None:
  """Evaluates the share of a host that others join, unless the run is there.

  Raises:
    UserError, Interrupted: as `run_one`.
  """
  if job.find_run() is None:
    run_group([job], Failures(several=False))


def resume_hint(config: EvaluationConfig) -> str:
  """Returns which command resumes after an interruption."""
  return (
    'the same command '
    + 'without `overwrite` ' * config.store.overwrite
    + 'goes on from there'
  )


def run_group(jobs: list[Job], failures: Failures) -> None:
  """Evaluates models on the same images, all that each of them still lacks.

  Args:
    jobs: of one runtime, of pixels that are made of the same, and of configs that
      differ in their corruption alone; closed when this returns.
    failures: is given what is wrong with one of them.
  """
  with contextlib.ExitStack() as stack:
    for job in jobs:
      stack.callback(job.close)
    samples = _samples(jobs)
    for job in jobs:
      with failures.of(job.request):
        job.start(samples.get(job.request))
    running = [job for job in failures.without(jobs) if job.recorder]
    try:
      _run_batches(running, failures)
      for job in failures.without(jobs):
        if job.run is None:
          with failures.of(job.request):
            job.finalize()
      supervision.note('')  # All is in place: what comes next is not of these.
    except KeyboardInterrupt as error:
      if not running:
        raise
      raise errors.Interrupted(_flush(running, failures)) from error


def _samples(jobs: list[Job]) -> dict[ModelRequest, Sample]:
  """Returns images to look at each model with, once however often they are corrupted.

  None are of a job whose model another one looks at.
  """
  found: dict[ModelRequest, Sample] = {}
  of_protocol: dict[Protocol, Sample] = {}
  looked = set()
  for job in jobs:
    of, request = job.protocol.clean, job.request
    model = request.spec, request.weights, request.name
    if job.config.preflight == OFF or model in looked:
      continue
    if of not in of_protocol:
      of_protocol[of] = preflight.read_sample(
        job.runtime.dataset, of, skip_errors=job.skip_errors
      )
    found[request] = of_protocol[of]
    looked.add(model)
  return found


def _flush(jobs: list[Job], failures: Failures) -> str:
  """Writes what jobs were given; says what is kept, and how to resume."""
  left = failures.without(jobs)
  flushed = [job.flush() for job in left]
  kept = ', '.join(flushed[:_TOLD])
  if len(flushed) > _TOLD:
    kept += f' and likewise of {len(flushed) - _TOLD} more'
  if not any(job.goes_on for job in left):
    return kept
  return f'{kept}: {resume_hint(jobs[0].config)}'


def _run_batches(jobs: list[Job], failures: Failures) -> None:
  """Gives every batch to the models that lack it."""
  if not jobs:
    return
  first = jobs[0]
  watch = Stopwatch(first.runtime.opened)
  for job in jobs:
    job.sharing, job.watch = len(jobs), watch
  remaining = [job.recorder.remaining for job in jobs]
  positions = range(min(one.start for one in remaining), remaining[0].stop)
  name = first.request.label
  if len(jobs) > 1:
    of_one = len({job.request.spec for job in jobs}) == 1
    name = f'{len(jobs)} {"runs" if of_one else "models"}'
  kept = listed(job.directory for job in jobs)
  supervision.note(
    f'what was evaluated of {name} until then is kept in {kept}: '
    + resume_hint(first.config)
  )
  at = positions.start
  with (
    first.runtime.progress(name, len(positions)) as advance,
    contextlib.closing(in_flight.stored(jobs, positions, failures, watch)) as stored,
  ):
    for done in termination.storing(stored, lambda: _flush(jobs, failures)):
      if done == at:
        continue  # Of a batch that more is made of.
      # Images that were skipped on the way are done as well.
      advance(done - at, _status(jobs, watch))
      at = done
    if at < positions.stop and failures.without(jobs):
      advance(positions.stop - at)


def _status(jobs: list[Job], watch: Stopwatch) -> str:
  """Returns how it stands: the top-1 so far of a single model, and which side waits."""
  found = [watch.waits()]
  if len(jobs) == 1 and jobs[0].recorder.labelled:
    recorder = jobs[0].recorder
    found.insert(0, f'top-1 {100 * recorder.hits / recorder.labelled:.2f} %')
  return ', '.join(filter(None, found))
