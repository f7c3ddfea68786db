"""The metrics that a callback logs: names of the registry, and what Keras computes."""

import logging
import math
from collections.abc import Sequence
from typing import Any

from tfeval.evaluation.evaluator import Evaluator
from tfeval.keras import compiled, from_rows
from tfeval.keras.from_rows import LOSS, FromRows
from tfeval.metrics import registry
from tfeval.models.keras.versions import both
from tfeval.runs.run import Run
from tfeval.utils import errors
from tfeval.utils.errors import UserError

REAL = 'real_'
_LOG = logging.getLogger('tfeval')


class LoggedMetrics:
  """What `EvaluateCallback(metrics=...)` asks for.

  Attributes:
    names: of the metrics, without the prefix of the callback; empty before `open`.
    best_by: the one by which the best run is kept, after `open`.
  """

  def __init__(self, asked: Any, best_by: Any, how: dict[str, Any]):
    """Checks what can be checked without data.

    Args:
      asked: names, `'loss'` and `'f1'` among them, and `keras.metrics.Metric`; None for
        the default ones.
      best_by: one of their names; None for the first.
      how: keywords of `tfeval.evaluate`; gets `store_logits`, where a metric of Keras
        needs it and it is not there.

    Raises:
      UserError: one that cannot be right.
    """
    if not isinstance(asked, list | tuple | None):
      raise UserError(f'metrics is {asked!r}, expected a list of names')
    self.names: tuple[str, ...] = ()
    self._asked, self._best_by = asked, best_by
    self._stores = bool(how.get('store_logits'))
    if asked is None:
      return
    asked = self._asked = [from_rows.F1() if _is(one, 'f1') else one for one in asked]
    if any(_is_of_keras(one) for one in asked):
      if how.setdefault('store_logits', True) is False:
        raise UserError(
          'metrics of Keras are computed of all outputs: leave store_logits out'
        )
      self._stores = True
    self._check(asked)

  def _check(self, asked: Sequence[Any]) -> str:
    """Returns the name of the metric that tells which run is the best."""
    if not asked:
      raise UserError('metrics is empty: name some, or leave it out')
    for one in asked:
      if isinstance(one, both('metrics.Metric')):
        from_rows.check_metric(one)
      elif not isinstance(one, str):
        raise UserError(f'metrics has {one!r}, expected names or Keras metrics')
      elif one != LOSS:
        stem = one.removeprefix(REAL)
        needs = registry.required_columns([stem], stem == one, stored_outputs=True)
        if 'logits' in needs and not self._stores:
          raise UserError(f'metric {one} needs all outputs: give store_logits=True')
    by_name: dict[str, Any] = {}
    for one in asked:
      if by_name.setdefault(_name(one), one) is not one and not isinstance(one, str):
        raise UserError(f'two metrics are called {one.name}: give each its own name')
    best = _name(asked[0]) if self._best_by is None else self._best_by
    if best not in by_name:
      raise errors.unknown('best_by', str(best), by_name)
    if not _is_better_higher(by_name[best], self._best_by is not None):
      raise UserError(
        f'the best run is the highest, and {best} is no such metric: give best_by'
      )
    return best

  def open(self, evaluator: Evaluator, model: Any, dataset: Any) -> None:
    """Settles the metrics for a dataset and a model.

    Args:
      evaluator: has its data; where its model comes later, so does `take`.
      model: the one in training.
      dataset: as it was given, for errors.

    Raises:
      UserError: these do not give one.
    """
    has_real, asked = evaluator.has_real_labels, self._asked
    if asked is None:
      taken = evaluator.model
      outputs = evaluator.num_classes if taken is None else taken.outputs
      prefixes = ['', REAL] if has_real else ['']
      asked = [
        prefix + name
        for prefix in prefixes
        for name in registry.DEFAULT
        if _says_something(name, outputs)
      ]
    for name in (one for one in asked if not _is_of_keras(one)):
      if not _says_something(name, evaluator.num_classes):
        raise UserError(
          f'metric {name} says nothing of {evaluator.num_classes} classes: leave it out'
        )
    self.best_by = self._check(asked)
    names = [one for one in asked if not _is_of_keras(one)]
    real = [name for name in names if name.startswith(REAL)]
    if real and not has_real:
      named = dataset if isinstance(dataset, str) else 'data of your own'
      raise UserError(
        f'metric {real[0]}: {named} has no ReaL labels: give '
        'real_labels=real.json, or another dataset'
      )
    self.names = tuple(dict.fromkeys(map(_name, asked)))
    self._registered = dict.fromkeys(names)
    self._asked_of_keras = [one for one in asked if _is_of_keras(one)]
    self._of_keras = None
    if evaluator.model is not None:
      self.take(evaluator, model)

  def take(self, evaluator: Evaluator, model: Any) -> None:
    """Tries what Keras computes, once the evaluator has its model.

    Raises:
      UserError: it cannot be computed.
    """
    if self._asked is None:  # Only now it is known how many classes there are.
      kept = [
        one for one in self.names if _says_something(one, evaluator.model.outputs)
      ]
      self.names, self._registered = tuple(kept), dict.fromkeys(kept)
    if self._asked_of_keras:
      self._of_keras = FromRows(self._asked_of_keras, evaluator.model, model)

  def identity(self) -> list[Any]:
    """Returns what is computed, for JSON."""
    described = {} if self._of_keras is None else self._of_keras.describe()
    return [described.get(name, name) for name in self.names]

  def score(
    self, run: Run, prefix: str, step: int
  ) -> tuple[dict[str, float], dict[str, list[int]]]:
    """Returns the values of a run by names with a prefix, and the counts there are."""
    stems = list(dict.fromkeys(name.removeprefix(REAL) for name in self._registered))
    scored = {}
    if stems:
      scored = {(one.labels, one.key): one for one in run.score(metrics=stems)}
    values = {} if self._of_keras is None else self._of_keras.compute(run)
    for name in [name for name, value in values.items() if not math.isfinite(value)]:
      _LOG.warning(
        f'{prefix}{name} is not logged at step {step}: it is {values.pop(name)}'
      )
    counts = {}
    for name in self._registered:
      stem = name.removeprefix(REAL)
      found = scored['original' if stem == name else 'real', stem]
      if found.value is None:
        why = found.unavailable or f'{found.count} images have a label'
        _LOG.warning(f'{prefix}{name} is not logged at step {step}: {why}')
        continue
      values[name] = found.value
      if found.kind == registry.COUNT:
        counts[prefix + name] = [found.correct, found.count]
    logged = {prefix + name: values[name] for name in self.names if name in values}
    return logged, counts


def hidden(prefix: str, names: Sequence[str], model: Any) -> set[str]:
  """Returns which names the `validation_data` of a fit logs as well; warns of them."""
  others = compiled.validation_names(model)
  found = [prefix + name for name in names if prefix + name in others]
  if found:
    _LOG.warning(
      f'validation_data of this fit logs {", ".join(found)} too, which stays in the '
      f'logs, and EvaluateCallback adds none: give it prefix={prefix + "full_"!r}, say'
    )
  return set(found)


def add(
  logs: dict[str, Any] | None, values: dict[str, float], known: set[str]
) -> set[str]:
  """Adds values to logs, where nothing has their name.

  Args:
    logs: of a hook.
    values: by their names in logs.
    known: names that something has, as a warning said before.

  Returns:
    The names that something has; warns of those that are not known.
  """
  if logs is None:
    return set()
  # Keras 2 begins the logs of an epoch with those of its last batch.
  there = {
    name
    for name, value in values.items()
    if name in known or name in logs and logs[name] is not value
  }
  logs.update((name, value) for name, value in values.items() if name not in there)
  if there - known:
    _LOG.warning(
      f'something else logs {", ".join(sorted(there - known))}, which stays in the '
      'logs: give EvaluateCallback another prefix'
    )
  return there


def _says_something(name: str, outputs: int | None) -> bool:
  """Returns whether a metric may be wrong: top-5 of five classes is not."""
  least = registry.get_metric(name.removeprefix(REAL)).least_classes
  return outputs is None or least <= outputs


def _is(one: Any, name: str) -> bool:
  return isinstance(one, str) and one == name


def _is_of_keras(one: Any) -> bool:
  return isinstance(one, both('metrics.Metric')) or _is(one, LOSS)


def _name(one: Any) -> str:
  return one.name if isinstance(one, both('metrics.Metric')) else one


def _is_better_higher(one: Any, is_named: bool) -> bool:
  if isinstance(one, str):
    is_loss = one == LOSS
    return not is_loss and registry.get_metric(one.removeprefix(REAL)).higher_is_better
  # As Keras' own metrics tell it; of another one the user knows, who names it.
  direction = getattr(one, '_direction', None)
  return direction == 'up' or direction is None and is_named
