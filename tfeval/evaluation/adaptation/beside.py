"""Adapted models beside plain ones: both are evaluated, and compared pair by pair."""

import dataclasses
from collections.abc import Sequence

from tfeval.analysis import against_base
from tfeval.evaluation import loop, resolve
from tfeval.evaluation.adaptation import adapted
from tfeval.evaluation.failures import Failures
from tfeval.evaluation.plans import ModelRequest, Plan, without_adaptation
from tfeval.evaluation.runtime import Runtime
from tfeval.models.model import Model
from tfeval.runs.result_file import AgainstPlainSection
from tfeval.runs.run import Failure, Run

_LEVEL = 0.95


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
  plain = loop.run_jobs(plain_plans, runtimes)
  is_first = runtimes[0].hosts.index == 0
  requests = [request for plan in plain_plans for request in plan.requests]
  of_plain = dict(zip(requests, plain, strict=True)) if is_first else {}
  failures = Failures(several=sum(len(plan.requests) for plan in plans) > 1)
  found: dict[ModelRequest, Run | Failure] = {}
  for i, request in enumerate(plans[0].requests):
    model: Model | None = None
    for plan, plain_plan, runtime in zip(plans, plain_plans, runtimes, strict=True):
      base = of_plain.get(plain_plan.requests[i])
      if isinstance(base, Failure):
        continue
      with failures.of(plan.requests[i]):
        if model is None:
          with runtime.strategy.scope():
            model = resolve.load_model(request, plan.config)
        run = _adapted(plan, i, model, runtime)
        if run is not None and base is not None:
          found[plan.requests[i]] = beside(base, run)
  results: list[Run | Failure] = []
  for plan, plain_plan in zip(plans, plain_plans, strict=True):
    for request, plain_request in zip(plan.requests, plain_plan.requests, strict=True):
      pair = of_plain.get(plain_request), found.get(request)
      results += [one for one in (*pair, failures.found.get(request)) if one]
  return results


def _adapted(plan: Plan, i: int, model: Model, runtime: Runtime) -> Run | None:
  request, config = plan.requests[i], plan.config
  protocol = resolve.resolve_protocol(request, config, model)
  job = adapted.adapted_job(request, model, protocol, config, runtime)
  if runtime.hosts.index:
    loop.share(job)
    return None
  return loop.run_one(job)


def beside(plain: Run, adapted: Run) -> Run:
  """Returns an adapted run with what it gains against the plain one.

  Raises:
    UserError: they are not of the same images.
  """
  labels = plain.metrics[0].labels
  named = [('plain', plain), ('adapted', adapted)]
  base, effect = against_base.effects(named, labels)
  if not base.count.count:  # No image has a label.
    return adapted
  low, high = effect.interval(_LEVEL, seed=0)
  section = AgainstPlainSection(
    run=str(plain.path),
    labels=labels,
    metric='top1',
    correct=effect.count.correct,
    plain_correct=base.count.correct,
    count=base.count.count,
    points=100 * effect.hits.difference,
    low=100 * low,
    high=100 * high,
    p=effect.p,
    flips=effect.flipped,
  )
  result = adapted.result.replaced(against_plain=section)
  return dataclasses.replace(adapted, result=result)
