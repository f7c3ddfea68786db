"""Metrics that are asked for beside top-1 and top-5, computed of the stored rows."""

import contextlib
import logging

from tfeval.evaluation.config import EvaluationConfig
from tfeval.metrics import registry
from tfeval.metrics.entry import ALL
from tfeval.runs import result_reader
from tfeval.runs.result_file import PREDICTIONS, RESULT
from tfeval.runs.run import Run
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.summary import summarize_store
from tfeval.utils import files, locks
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')


def names(config: EvaluationConfig) -> tuple[str, ...]:
  """Returns the metrics that are asked for, without those that every result has.

  Raises:
    UserError: one is not known.
  """
  texts = config.metrics or ()
  asked = [name.strip() for text in texts for name in text.split(',')]
  found = registry.check_names(asked)
  return tuple(name for name in found if name not in registry.DEFAULT)


def check(config: EvaluationConfig) -> None:
  """Checks that the rows will give what is asked for.

  Raises:
    UserError: a metric is not known, or needs outputs that are not stored.
  """
  for name in names(config):
    if registry.needs_outputs(name) and not config.store.logits:
      raise UserError(f'`metrics={name}` needs all outputs: give `store_logits` too')


def check_rules(asked: tuple[str, ...], classes: RunClasses, model: str) -> None:
  """Checks that metrics are of rules that rows will have.

  Args:
    asked: what `names` returned.
    classes: of the dataset and of the model.
    model: its name, for the message.

  Raises:
    UserError: one is of another.
  """
  for name in asked:
    rule = name.partition('@')[2] or ALL
    if not classes.has(rule):
      known = ', '.join(classes.competition.rules)
      raise UserError(
        f'`metrics={name}`: {model} on these classes has no rule {rule}, it has {known}'
      )


def added(run: Run, asked: tuple[str, ...], is_locked: bool = False) -> Run:
  """Returns a complete run with metrics, written into its result where it lacks any.

  Args:
    run: of a complete evaluation.
    asked: what `names` returned.
    is_locked: whether this process has the lock of its directory.

  Raises:
    BeingWritten: another process has it, or has written it since.
    UserError: the rows cannot be read, or the result cannot be written.
  """
  there = {one.key for one in run.metrics}
  if all(name.removesuffix(f'@{ALL}') in there for name in asked):
    return run
  result = run.result
  summary = summarize_store(
    run.path / PREDICTIONS,
    run.classes,
    result.model.output,
    result.store.logits is True,
    asked,
  )
  found = {(one.labels, one.key): one for one in summary.metrics()}
  others = {(one.labels, one.key): one for one in run.metrics}
  result = result.replaced(metrics=list((found | others).values()))
  with contextlib.nullcontext() if is_locked else locks.locked(run.path):
    if run.stamp != result_reader.stamp(run.path):
      raise result_reader.being_written(run.path)
    files.write_json(run.path / RESULT, result)
  _LOG.info('%s: %s of its stored predictions were added', run.path, ', '.join(asked))
  return Run(run.path, result, result_reader.stamp(run.path))
