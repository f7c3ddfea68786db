"""What a compiled model logs, as far as that is known before it does."""

import warnings

import keras

from tfeval.keras import callers
from tfeval.models.keras.versions import is_own


def metric_names(model: keras.Model) -> set[str] | None:
  """Returns the names among which those are that a model logs; None for any.

  Keras makes metrics of what it was given at the first step: until then what they are
  called is read off what they were compiled with, other words of that included.
  """
  if any(
    not is_own(getattr(type(model), step)) for step in ('train_step', 'test_step')
  ):
    return None
  try:
    with warnings.catch_warnings(action='ignore'):  # Of lambdas: nothing is loaded.
      compiled = model.get_compile_config()
  except Exception:  # There is something in it that cannot be saved.
    return None
  given = keras.tree.flatten(
    [compiled.get('metrics'), compiled.get('weighted_metrics')]
  )
  names = [one.name for one in model.metrics]
  names += [text for text in given if isinstance(text, str)]
  outputs = getattr(model, 'output_names', None) or []
  return {'loss', *names, *(f'{output}_{name}' for output in outputs for name in names)}


def may_log(model: keras.Model, name: str) -> bool:
  """Returns whether a model logs a name, or may log anything."""
  names = metric_names(model)
  return names is None or name in names or name.removeprefix('val_') in names


def has_metric(model: keras.Model, name: str) -> bool:
  """Returns whether a model is known to have a metric of a name."""
  return name in (metric_names(model) or ())


def validation_names(model: keras.Model) -> set[str]:
  """Returns what the `fit` that is running logs of its own `validation_data`."""
  if callers.argument_of_fit(model, 'validation_data') is None:
    return set()
  names = metric_names(model)
  if names is None:  # Its own `test_step` logs what it likes, most likely these.
    names = {one.name for one in model.metrics}
  return {f'val_{name}' for name in names}
