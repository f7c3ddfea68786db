"""Adapted models beside plain ones: both are evaluated, and compared pair by pair."""

import functools
from collections.abc import Callable, Sequence

from tfeval.analysis import against_plain
from tfeval.evaluation import loop, resolve
from tfeval.evaluation.adaptation import adapted, outputs
from tfeval.evaluation.adaptation.request import OfSource, parse
from tfeval.evaluation.failures import Failures
from tfeval.evaluation.plans import ModelRequest, Plan, without_adaptation
from tfeval.evaluation.runtime import Runtime
from tfeval.models.model import Model
from tfeval.runs.run import Failure, Run


def run_beside(
  plans: Sequence[Plan], runtimes: Sequence[Runtime]
) -> list[Run | Failure]:
  """Evaluates models plainly, or finds these runs, and then adapted to each dataset.

  Args:
    plans: one for each dataset, with an adaptation.
    runtimes: where, one for each plan.

  Returns:
    For each request of each plan in order the plain run and the adapted one, which has
    `against_plain`, or what is wrong with it. Another host than the first has none.

  Raises:
    UserError, Interrupted: as `loop.run_jobs`.
  """
  plain_plans = without_adaptation(plans)
  loads = [
    functools.cache(functools.partial(_load, plans[0], i, runtimes[0]))
    for i in range(len(plans[0].requests))
  ]
  if len(loads) == 1 and parse(plans[0].config.adapt or '').OF_LAYERS:
    # Before the plain run; several models are not kept in memory for it.
    for plan, runtime in zip(plans, runtimes, strict=True):
      adapted.check(parse(plan.config.adapt or ''), loads[0](), runtime)
  plain = loop.run_jobs(plain_plans, runtimes)
  is_first = runtimes[0].hosts.index == 0
  requests = [request for plan in plain_plans for request in plan.requests]
  of_plain = dict(zip(requests, plain, strict=True)) if is_first else {}
  failures = Failures(several=len(requests) > 1)
  found: dict[ModelRequest, Run | Failure] = {}
  for i, load in enumerate(loads):
    for plan, plain_plan, runtime in zip(plans, plain_plans, runtimes, strict=True):
      base, request = of_plain.get(plain_plan.requests[i]), plan.requests[i]
      if isinstance(base, Failure):
        continue
      with failures.of(request):
        run = _adapted(plan, request, base, load, runtime)
        if run is not None and base is not None:
          found[request] = against_plain.beside(base, run)
  results: list[Run | Failure] = []
  for plan, plain_plan in zip(plans, plain_plans, strict=True):
    for request, plain_request in zip(plan.requests, plain_plan.requests, strict=True):
      pair = of_plain.get(plain_request), found.get(request)
      results += [one for one in (*pair, failures.found.get(request)) if one]
  return results


def _load(plan: Plan, i: int, runtime: Runtime) -> Model:
  with runtime.strategy.scope():
    return resolve.load_model(plan.requests[i], plan.config)


def _adapted(
  plan: Plan,
  request: ModelRequest,
  plain: Run | None,
  load: Callable[[], Model],
  runtime: Runtime,
) -> Run | None:
  """Returns the adapted run; None on another host than the first."""
  config = plan.config
  asked = parse(config.adapt or '')
  if isinstance(asked, OfSource):
    if plain is None:
      return None  # The first host has it.
    return outputs.adapted_run(request, plain, asked, config)
  model = load()
  protocol = resolve.resolve_protocol(request, config, model)
  job = adapted.adapted_job(request, model, protocol, config, runtime)
  if runtime.hosts.index:
    loop.share(job)
    return None
  return loop.run_one(job)
