"""What was published of a model, and whether an evaluation meets it."""

import math
from collections.abc import Iterable
from typing import Any

from tfeval.datasets import variants
from tfeval.datasets.labels import imagenet
from tfeval.metrics.entry import MetricEntry
from tfeval.models import table
from tfeval.models.facts import ModelFacts
from tfeval.models.worker import kinds
from tfeval.preprocess.protocol import Protocol, resolve
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec, parse

PUBLISHED, NATIVE = RECIPES = ('published', 'native')
# Of which models tell a recipe, see `worker.kinds.Kind.source`.
_TELLING = ('torchvision', 'timm', 'transformers')


def is_told(protocol: str, spec: Spec, weights: str = 'imagenet') -> bool:
  """Returns whether a protocol is known when the model is loaded, not before.

  So is the recipe of weights that no table has: their framework tells it. Of a file of
  weights nothing says which of the published ones it is, if the model's name does not.

  >>> is_told('published', parse('transformers:my_folder'))
  True
  """
  kind = kinds.kind_of(spec)
  return (
    protocol == PUBLISHED
    and kind is not None
    and kind.source in _TELLING
    and (table.find_facts(spec) is None or _is_any(spec, weights))
  )


def _is_any(spec: Spec, weights: str) -> bool:
  """Returns whether weights may be any of those that an architecture has."""
  is_named = 'weights' in dict(spec.options) or '.' in spec.target.partition('timm:')[2]
  return weights not in ('imagenet', 'none') and not is_named


def protocol_text(
  protocol: str,
  spec: Spec,
  told: str | None = None,
  weights: str = 'imagenet',
  reason: str = '',
) -> str:
  """Returns a protocol's specification, looked up for `published` and `native`.

  Args:
    protocol: `published` (the recipe behind a model's published figure), `native`
      (its authors' own), or a specification, which is returned as it is.
    spec: the model.
    told: the recipe that the loaded model tells, where it does.
    weights: where its weights come from, as `loading.load_model` takes it.
    reason: why it tells none.

  Raises:
    UserError: no such recipe is known of the model.

  >>> protocol_text('published', parse('ResNet50V2'))
  'opencv:size=299'
  """
  if protocol not in RECIPES:
    return protocol
  facts = table.find_facts(spec)
  if is_told(protocol, spec, weights):
    if told is None:
      why = f' ({reason})' if reason else ''
      raise UserError(
        f'no protocol of tfeval is known to be that of {spec.text}{why}: give one by '
        'name'
      )
    return told
  if facts is None:
    raise UserError(
      f'`protocol={protocol}` is for applications, their documented variants, and '
      f'models of torchvision, timm and transformers, {spec.text} is none: give a '
      'protocol by name'
    )
  found = getattr(facts, f'{protocol}_protocol')
  if found is None:
    source = getattr(facts, f'{protocol}_source') or 'no source is known'
    raise UserError(
      f'no protocol of tfeval is known to be the {protocol} one of '
      f'{spec.text} ({source}): give a protocol by name'
    )
  return found


def compare(
  spec: Spec,
  weights: str,
  protocol: Protocol,
  dataset: str,
  ids: Iterable[str],
  metrics: Iterable[MetricEntry],
  feed: str | None = None,
  adapted: bool = False,
) -> dict[str, Any] | None:
  """Compares measured accuracies with the published ones.

  Args:
    spec: the model.
    weights: where its weights came from.
    protocol: the one that was used.
    dataset: the name of what was evaluated.
    ids: of the examples that were evaluated.
    metrics: what was measured.
    feed: how the model was fed otherwise than it wants, None if it was not.
    adapted: whether it was adapted to the examples.

  Returns:
    None unless the published weights were evaluated, fed as they want, in float32, on
    validation images of ImageNet 2012 as they are: not corrupted, and of no other test
    set, whose files may have their names. Else `figures` (`native`
    where that recipe was followed and its figures are known, else `published`), their
    `source`, `protocol` (a specification, None if it is not known), `same_protocol`,
    and `metrics`: for top-1 and top-5 on the original labels, those that were
    published, `name`, `published`, `measured`, `difference` (measured minus published,
    in 0..1) and `inside`, whether the published figure lies inside the measured
    interval.
  """
  facts = table.find_facts(spec)
  if (
    facts is None
    or feed is not None
    or adapted
    or protocol.is_corrupted
    or variants.of_dataset(dataset) is not None
    or not _computes_as_published(spec)
    or weights != 'imagenet'
    or not all(imagenet.validation_number(name) for name in ids)
  ):
    return None
  followed = [recipe for recipe in RECIPES if _follows(facts, recipe, protocol)]
  kind = (followed or [PUBLISHED])[0]
  figures = {name: getattr(facts, f'{kind}_{name}') for name in ('top1', 'top5')}
  found = []
  for metric in metrics:
    percent = figures.get(metric.key)
    if metric.labels != 'original' or percent is None or metric.value is None:
      continue
    found.append(
      {
        'name': metric.name,
        'published': percent / 100,
        'measured': metric.value,
        'difference': metric.value - percent / 100,
        'inside': metric.interval.low <= percent / 100 <= metric.interval.high,
      }
    )
  if not found:
    return None
  return {
    'figures': kind,
    'source': getattr(facts, f'{kind}_source'),
    'protocol': getattr(facts, f'{kind}_protocol'),
    'same_protocol': kind in followed,
    'metrics': found,
  }


def recompute(result: Any, ids: Iterable[str]) -> dict[str, Any] | None:
  """Compares a result again, as `compare` does.

  Args:
    result: a `result_file.Result`.
    ids: of its examples.

  Returns:
    What `compare` does; None too where the protocol is not known here.
  """
  model, described = result.model, result.protocol
  try:
    spec, protocol = parse(model.name), resolve(described.text, described.size or 0)
  except UserError:
    return None
  return compare(
    spec,
    model.weights,
    protocol,
    result.dataset.name,
    ids,
    result.metrics,
    model.feed,
    model.adaptation is not None,
  )


def _computes_as_published(spec: Spec) -> bool:
  """Returns whether options leave a model of PyTorch what it computes in."""
  return dict(spec.options).get('autocast', 'float32') == 'float32'


def _follows(facts: ModelFacts, recipe: str, protocol: Protocol) -> bool:
  """Returns whether a protocol is a recipe of which figures are known."""
  text = getattr(facts, f'{recipe}_protocol')
  if text is None or getattr(facts, f'{recipe}_top1') is None:
    return False
  return resolve(text, facts.input_size) == protocol


def sentence(comparison: dict[str, Any]) -> str:
  """Returns a comparison in words, for a reader of the table."""
  parts = []
  for metric in comparison['metrics']:
    points = 100 * metric['difference']
    # Never a negative zero.
    points = math.copysign(points, 1) if abs(points) < 0.005 else points
    parts.append(
      f'{metric["name"].replace("top", "top-")} {100 * metric["published"]:.2f} % '
      f'({points:+.2f} here, {"inside" if metric["inside"] else "outside"} the '
      'interval)'
    )
  by = (
    'by the same protocol'
    if comparison['same_protocol']
    else f'by {comparison["protocol"]}'
    if comparison['protocol']
    else 'by a protocol that is not known'
  )
  whose = "the authors'" if comparison.get('figures') == NATIVE else PUBLISHED
  return f'{whose} {", ".join(parts)} {by}'


def figure(result: dict[str, Any], metric: str) -> float | None:
  """Returns the published accuracy of the weights that a run is of.

  Args:
    result: the content of `result.json`.
    metric: `top1` or `top5`.

  Returns:
    The figure, in 0..1; None where none is known or the weights are others.
  """
  facts = facts_of(result)
  if facts is None or result['model'].get('weights') != 'imagenet':
    return None
  if not _computes_as_published(parse(result['model']['name'])):
    return None
  percent = getattr(facts, f'published_{metric}', None)
  return None if percent is None else percent / 100


def facts_of(result: dict[str, Any]) -> ModelFacts | None:
  """Returns the row of the table of models that a run's model is, if it is one.

  The name alone says nothing: predictions of other tools may be called anything.
  """
  model = result['model']
  try:
    facts = table.find_facts(parse(model['name']))
  except UserError:
    return None
  same = facts is not None and (facts.input_size, facts.parameters) == (
    model.get('input_size'),
    model.get('parameters'),
  )
  return facts if same else None
