"""Classifiers of torchvision and timm: facts from files, readable without them."""

import fnmatch
import functools

from tfeval.models.facts import ModelFacts, lines
from tfeval.utils.spec import Spec

TORCHVISION, TIMM = 'torchvision:', 'timm:'
# Options of everything that is PyTorch's: weights and recipe stay the same. Others,
# such as transform_input, make another model of them.
_OF_RUNS = {'autocast', 'compile', 'channels_last'}


def find(spec: Spec) -> ModelFacts | None:
  """Returns what is known of a model of another framework, None if it is nothing.

  >>> from tfeval.utils.spec import parse
  >>> find(parse('timm:resnet50')).name
  'timm:resnet50.a1_in1k'
  """
  options = dict(spec.options)
  if spec.target.startswith(TORCHVISION) and options.keys() <= {*_OF_RUNS, 'weights'}:
    return _torchvision().get((spec.target, options.get('weights')))
  if spec.target.startswith(TIMM) and options.keys() <= _OF_RUNS:
    return _timm().get(spec.target)
  return None


@functools.cache
def _traps() -> tuple[tuple[tuple[str, ...], str], ...]:
  """Returns for patterns of names, as they stand in the table, what is to be known."""
  return tuple(
    (tuple(line['names'].split()), f'{line["trap"]} ({line["source"]})')
    for line in lines('traps_of_frameworks.tsv')
  )


def _traps_of(name: str) -> tuple[str, ...]:
  return tuple(
    trap
    for patterns, trap in _traps()
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
  )


@functools.cache
def torchvision_rows() -> tuple[ModelFacts, ...]:
  """Returns the classifiers of torchvision, a row for each of their weights.

  Facts are those of `torchvision.models` 0.29.1, `weights.meta` and `.transforms`.
  """
  return tuple(dict.fromkeys(_torchvision().values()))


@functools.cache
def _torchvision() -> dict[tuple[str, str | None], ModelFacts]:
  """Returns the rows by names and weights; None for those by default."""
  found = {}
  for line in lines('torchvision.tsv'):
    target, side = TORCHVISION + line['name'], int(line['input_size'])
    facts = ModelFacts(
      name=f'{target}:weights={line["weights"]}',
      module='torchvision.models',
      input_size=side,
      preprocess=line['preprocess'],
      parameters=int(line['parameters']),
      multiply_adds=int(line['multiply_adds']),
      published_top1=float(line['top1']),
      published_top5=float(line['top5']),
      published_source='torchvision.models 0.29.1, meta of the weights',
      published_protocol=(
        f'pil:kernel={line["kernel"]},crop_fraction={side / int(line["resize"])!r}'
      ),
      native_top1=None,
      native_top5=None,
      native_protocol=None,
      native_source='',
      weights_file=line['file'],
      weights_hash=None,
      traps=_traps_of(f'{target}:weights={line["weights"]}'),
    )
    found[target, line['weights']] = facts
    if line['default']:
      found[target, None] = facts
  return found


@functools.cache
def timm_rows() -> tuple[ModelFacts, ...]:
  """Returns the weights of timm with 1000 classes.

  Recipes are those of timm 1.0.31, `pretrained_cfg` as validate.py resolves it (at the
  size of tests); figures those of its results/results-imagenet.csv, where they are.
  """
  return tuple(dict.fromkeys(_timm().values()))


@functools.cache
def _timm() -> dict[str, ModelFacts]:
  """Returns the rows by names, and those of an architecture by default by its own."""
  found = {}
  for line in lines('timm.tsv'):
    name, side = TIMM + line['name'], int(line['input_size'])
    is_measured = bool(line['top1'])
    facts = ModelFacts(
      name=name,
      module='timm',
      input_size=side,
      preprocess=line['preprocess'],
      parameters=int(line['parameters']),
      multiply_adds=None,
      published_top1=float(line['top1']) if is_measured else None,
      published_top5=float(line['top5']) if is_measured else None,
      published_source=(
        'timm results/results-imagenet.csv' if is_measured else 'timm 1.0.31, config'
      ),
      published_protocol=(
        f'pil:size={side},kernel={line["kernel"]},crop_fraction={line["crop"]}'
        + ',resize=squash' * (line['mode'] == 'squash')
      ),
      native_top1=None,
      native_top5=None,
      native_protocol=None,
      native_source='',
      weights_file=_where(line['name'], line['file']),
      weights_hash=None,
      traps=_traps_of(name),
    )
    found[name] = facts
    if line['default']:
      found[name.partition('.')[0]] = facts
  return found


def _where(name: str, file: str) -> str:
  """Returns where timm downloads weights, from its own name on the hub by default."""
  return file if file.startswith('http') else f'huggingface.co/{file or f"timm/{name}"}'
