"""The models known by name: facts from a file, readable without TensorFlow."""

import csv
import dataclasses
import functools
import importlib.resources
import os

from tfeval import errors
from tfeval import spec as spec_lib
from tfeval.errors import UserError


@dataclasses.dataclass(frozen=True)
class ModelFacts:
  """One row of `data/models.tsv`.

  Attributes:
    name: the constructor's name.
    module: the module that has it and its `preprocess_input`.
    input_size: side of the default input in pixels.
    preprocess: `caffe`, `tf`, `torch`, `lite`, or `identity` where the model
      rescales inside.
    parameters: weights of the 1000-class model, trainable or not.
  """

  name: str
  module: str
  input_size: int
  preprocess: str
  parameters: int


@functools.cache
def known_models() -> dict[str, ModelFacts]:
  """Returns the rows by name, in the order of the file."""
  path = importlib.resources.files('tfeval.data') / 'models.tsv'
  rows = csv.DictReader(path.read_text('utf-8').splitlines(), delimiter='\t')
  return {r['name']: ModelFacts(r['name'], r['module'], int(r['input_size']),
                                r['preprocess'], int(r['parameters']))
          for r in rows}


def check_name(spec: spec_lib.Spec) -> None:
  """Holds that a model of this name could exist, without loading anything.

  Raises:
    UserError: it is no known name, no existing path and no `module:function`.
  """
  target = spec.target
  if target in known_models() or os.path.exists(target):
    return
  module, colon, rest = target.partition(':')
  if module in known_models():
    raise UserError(f'{spec.text!r}: {rest!r} is not key=value')
  if colon and all(part.isidentifier() for part in [*module.split('.'), rest]):
    return
  if os.sep in target or target.endswith(('.keras', '.h5')):
    raise UserError(f'model file {target} does not exist')
  raise errors.unknown('model', target, known_models(),
                       'or a path, or module:function; see tfeval models')
