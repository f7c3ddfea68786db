"""SavedModels: which of their graphs and signatures is evaluated, and what there is."""

import os
import pathlib
from typing import Any

import tensorflow as tf

from tfeval.models.keras import fixed_batch, graph_trust
from tfeval.models.keras.backend import FunctionBackend
from tfeval.models.options import ModelOptions
from tfeval.utils import errors
from tfeval.utils.errors import UserError, listed

# What TensorFlow, Keras and converters call it.
SIGNATURE = 'serving_default'
# Of several graphs that one is for inference.
_SERVE = frozenset({'serve'})
# Which start and train; they take no images.
_NO_SIGNATURES = frozenset({'__saved_model_init_op', '__saved_model_train_op'})


def check_options(name: str, known: ModelOptions, is_one: bool) -> None:
  """Checks that a model that is no SavedModel is given no signature.

  Raises:
    UserError: it is.
  """
  for option in ('signature', 'tags'):
    if getattr(known, option) is not None and not is_one:
      raise UserError(f'`{option}` is of SavedModels, {name} is none: leave it out')


def chosen(known: ModelOptions) -> list[tuple[str, str]]:
  """Returns which part is asked for, as pairs of texts; none where it is the usual."""
  pairs = [('signature', known.signature), ('tags', known.tags)]
  return [(f'`{option}`', value) for option, value in pairs if value is not None]


def load(path: pathlib.Path, known: ModelOptions) -> FunctionBackend:
  """Loads a signature of a SavedModel.

  Args:
    path: of its folder; unless it is trusted, `trust` has checked it.
    known: which `signature` and `tags`, where they are not `serving_default` and those
      of the only graph, or of the one for serving.

  Raises:
    UserError: it cannot be loaded, has no such graph or signature, or its signature
      takes more than images; lists what is there.
  """
  graph, tags = _graph(path, graph_trust.read_proto(path), known.tags)
  name = known.signature or SIGNATURE
  if name not in graph.signature_def:
    raise UserError(
      f'{path} has no signature {name}: `signature` is one of {_listed(graph)}'
    )
  try:
    loaded = tf.saved_model.load(os.fspath(path), tags)
    signature = loaded.signatures[name]
  except Exception as error:  # What a strange file makes TensorFlow raise is open.
    raise UserError(
      f'cannot load the SavedModel {path}, signature {name}: {errors.one_line(error)}'
    ) from error
  inputs = signature.structured_input_signature[1]
  if len(inputs) != 1:
    raise UserError(
      f'{path} has the inputs {listed(sorted(inputs))} in its signature '
      f'{name}: expected one, of images: `signature` names another'
    )
  ((input_name, input_spec),) = inputs.items()

  encoded = input_spec.dtype == tf.string
  if encoded and input_spec.shape.rank not in (1, None):
    raise UserError(
      f'{path} takes strings {input_spec.shape} in its signature {name}, expected '
      'encoded images, [n]'
    )

  def function(x):
    return signature(**{input_name: x})

  shape = input_spec.shape
  if shape.rank and shape[0] is not None:
    function = fixed_batch.padded(function, shape[0], signature.structured_outputs)
  # A signature keeps no reference to the variables that it reads.
  function.loaded = loaded
  return FunctionBackend(
    function,
    sum(int(tf.size(v)) for v in signature.variables),
    'unknown' if encoded else input_spec.dtype.name,
    None if shape.rank is None else tuple(shape),
    signature.structured_outputs,
    encoded,
    input_spec.dtype.name,
  )


def _graph(path: pathlib.Path, proto: Any, asked: str | None) -> tuple[Any, list[str]]:
  """Returns the graph that tags name, and its tags."""
  graphs = {frozenset(one.meta_info_def.tags): one for one in proto.meta_graphs}
  tags = _SERVE if len(graphs) > 1 else next(iter(graphs), frozenset())
  if asked is not None:
    tags = frozenset(filter(None, map(str.strip, asked.split(','))))
  if tags not in graphs:
    there = ' or '.join(sorted(f'`tags={_shown(one)}`' for one in graphs))
    raise UserError(
      f'{path} has no graph with the tags {_shown(tags)}: '
      f'{there or "it has none at all"}'
    )
  return graphs[tags], sorted(tags)


def _shown(tags: frozenset[str]) -> str:
  return ','.join(sorted(tags)) or "''"


def _listed(graph: Any) -> str:
  """Returns the signatures of a graph, with their inputs and outputs."""
  found = [
    f'{name} ({_tensors(one.inputs)} -> {_tensors(one.outputs)})'
    for name, one in sorted(graph.signature_def.items())
    if name not in _NO_SIGNATURES
  ]
  return '; '.join(found[:8]) + '; ...' * (len(found) > 8) or 'none: it has none at all'


def _tensors(infos: Any) -> str:
  shown = []
  for name, info in sorted(infos.items()):
    sides = [str(one.size) if one.size >= 0 else 'n' for one in info.tensor_shape.dim]
    kind = tf.dtypes.as_dtype(info.dtype).name if info.dtype else 'unknown'
    shown.append(f'{name} {kind} [{", ".join(sides)}]')
  return ', '.join(shown[:4]) + ', ...' * (len(shown) > 4)
