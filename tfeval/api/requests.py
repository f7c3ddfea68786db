"""Models and configs as functions take them, checked before TensorFlow is imported."""

import dataclasses
import itertools
import os
from collections.abc import Container, Mapping, Sequence
from typing import Any

from tfeval import datasets
from tfeval.evaluation import plans
from tfeval.evaluation.config import EvaluationConfig, for_dataset
from tfeval.evaluation.plans import ModelRequest
from tfeval.models import patterns, published
from tfeval.preprocess import protocol
from tfeval.utils import errors, options
from tfeval.utils.arguments import several
from tfeval.utils.errors import UserError


def config(values: Mapping[str, Any], without: Container[str] = ()) -> EvaluationConfig:
  """Returns the config of keywords that are named as flags.

  Args:
    values: by the names of options, as Python gives them or flags do.
    without: options that are none of the function's.

  Raises:
    UserError: a keyword that is none, or a value that no flag could have.
  """
  known = [
    field.name
    for field in options.fields(EvaluationConfig)
    if field.name not in without
  ]
  for name in values:
    if name not in known:
      raise errors.unknown('keyword', name, known)
  if type(values.get('sample')) in (int, float):
    values = {**values, 'sample': str(values['sample'])}
  found = EvaluationConfig.of(**values)
  found = options.checked(found)
  found = dataclasses.replace(found, dataset=datasets.requested(found.dataset))
  return for_dataset(found)


def requests(
  models: Any, weights: Any, configs: Sequence[EvaluationConfig]
) -> list[ModelRequest]:
  """Returns the models that are asked for, and checks that the configs fit them.

  Args:
    models: names as `model` of the command line takes them, models in memory (a
      `tfeval.Model`, a Keras model or a function of images), or several of these.
    weights: of names: one for all or one for each.
    configs: how they are evaluated.

  Raises:
    UserError: a model is not known, or a protocol contradicts itself.
  """
  one = isinstance(models, str | os.PathLike) or not isinstance(models, list | tuple)
  listed = [models] if one else list(models)
  names = [os.fspath(x) for x in listed if isinstance(x, str | os.PathLike)]
  in_memory = [x for x in listed if not isinstance(x, str | os.PathLike)]
  if in_memory:
    if names:
      raise UserError('`model` has names and models in memory: give one kind of them')
    return [_taken(model, configs[0]) for model in in_memory]
  one = isinstance(weights, str | os.PathLike)
  kinds = str, os.PathLike
  each_weights = [
    os.fspath(x)
    for x in several('weights', [weights] if one else weights, kinds, 'one or several')
  ]
  found = plans.requests(names, each_weights)
  for known in configs:
    plans.check_config(found, known)
  # Of many models the one that has no such protocol is told beside the others.
  each = patterns.expand(names) == names != ['all']
  for request, known in itertools.product(found if each else (), configs):
    if published.is_told(known.protocol, request.spec, request.weights):
      continue
    text = published.protocol_text(
      known.protocol, request.spec, weights=request.weights
    )
    protocol.resolve(plans.with_operations(text, known), size=224)
  return found


def _taken(model: Any, known: EvaluationConfig) -> ModelRequest:
  """Returns a model in memory as what names of models become."""
  from tfeval.evaluation import evaluator  # TensorFlow, which made the model.
  from tfeval.models.keras import wrap

  wrapped = wrap.wrap(model, None, known.model)
  spec = evaluator.spec_of(model, wrapped)
  return ModelRequest(spec, wrapped.weights, label=spec.text, loaded=wrapped)


def one_by_name(
  model: Any, weights: Any, known: EvaluationConfig, what: str
) -> ModelRequest:
  """Returns the only model that is asked for, which has to be one by name.

  Args:
    model, weights: see `requests`.
    known: how it is evaluated.
    what: takes one, such as `'a sweep'`.

  Raises:
    UserError: there are several, or as `requests`.
  """
  if not isinstance(model, str | os.PathLike | list | tuple):
    raise UserError(
      f'{what} loads the model under other options: give its name or file as `model`'
    )
  found, *more = requests(model, weights, [known])
  if more:
    raise UserError(f'{what} is of one model, {len(more) + 1} `model` were given')
  return found
