"""`tfeval models`."""

import dataclasses
import math
from collections.abc import Iterator, Sequence

from tfeval.api.listing import list_models
from tfeval.cli import console
from tfeval.models import normalisation, table
from tfeval.models.facts import ModelFacts
from tfeval.models.worker import kinds
from tfeval.preprocess import protocol
from tfeval.reports import terminal
from tfeval.utils import errors
from tfeval.utils.errors import UserError, listed
from tfeval.utils.spec import parse

USAGE = """Usage: tfeval models [NAME[:key=value,...]] [--flags]

  tfeval models MobileNet:alpha=0.25"""

_PREPROCESSING = {
  'caffe': 'BGR, minus the mean of ImageNet',
  'tf': 'x / 127.5 - 1',
  'torch': '(x / 255 - mean of ImageNet) / its deviation',
  'lite': '(x - 127) / 128',
  'identity': 'none, the model rescales inside',
}


def define_flags(define) -> None:
  define.string(
    'filter',
    None,
    'List models with this text in their names, or '
    "matching this pattern: 'ResNet*V2', 'torchvision:*'. Case is ignored.",
  )
  define.bool('json', False, 'Print JSON on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) > 1:
    raise UserError(
      f'one model at a time, got {" ".join(arguments)}; --filter lists several'
    )
  if arguments:
    if flags.filter is not None:
      raise UserError(f'{arguments[0]} and --filter were both given: leave one out')
    _explain(_find(arguments[0]), flags.json)
    return 0
  rows = list_models(flags.filter)
  if flags.json:
    terminal.print_json([dataclasses.asdict(row) for row in rows])
    return 0
  # As narrow as it gets: the longest name still fits into 80 columns.
  terminal.print_rows(
    (
      'model',
      ('side', 'px'),
      ('param', '10^6'),
      ('MAdds', '10^9'),
      ('top-1', '%'),
      ('top-5', '%'),
    ),
    [
      (
        row.name,
        str(row.input_size),
        _short(row.parameters / 1e6),
        '-' if row.multiply_adds is None else _short(row.multiply_adds / 1e9),
        _percent(row.published_top1),
        _percent(row.published_top5),
      )
      for row in rows
    ],
    numbers=range(1, 6),
  )
  terminal.print_lines(
    (
      '',
      "MAdds: multiply-adds of one image. top-1 and top-5: as published, on ImageNet's",
      'validation images, each by its own protocol. tfeval models NAME explains one.',
    )
  )
  for line in _remarks(rows):
    terminal.print_line(line)
  if others := list(table.LOADERS):
    terminal.print_line(f'Of other packages: {", ".join(others)}.')
  return 0


def _remarks(rows: Sequence[ModelFacts]) -> Iterator[str]:
  """Yields where figures of other frameworks come from, and what is to be known."""
  of_frameworks = [row for row in rows if kinds.kind_of(parse(row.name))]
  sources = dict.fromkeys(row.published_source for row in of_frameworks)
  if sources:
    yield f'Sources: {"; ".join(sources)}.'
  names: dict[str, list[str]] = {}
  for row in of_frameworks:
    for trap in row.traps:
      names.setdefault(trap, []).append(row.name.partition(':')[2])
  for trap, of in names.items():
    whose = 'all' if len(of) == len(rows) else listed(of, 2)
    yield f'- {whose}: {trap}'


def _find(name: str) -> ModelFacts:
  spec = parse(name)
  facts = table.find_facts(spec)
  if facts is not None:
    return facts
  if spec.target in table.known_models():
    raise UserError(
      f'{name}: no facts are known of this variant; tfeval models '
      f'--filter={spec.target} lists those that have some'
    )
  if spec.target in table.LOADERS:
    with console.without_noise():
      table.LOADERS[spec.target]  # It may be that it cannot be loaded.
    raise UserError(f'{name} is of another package, no facts are known of it')
  raise errors.unknown('model', spec.target, table.known_models(), '(tfeval models)')


def _short(number: float) -> str:
  decimals = 3 if number < 1 else 2 if number < 10 else 1
  return f'{number:.{decimals}f}'


def _percent(percent: float | None) -> str:
  # Most are published with one decimal; half up, as Keras' documents round 90.050.
  return '-' if percent is None else f'{math.floor(10 * percent + 0.5) / 10:.1f}'


def _explain(facts: ModelFacts, as_json: bool) -> None:
  if as_json:
    terminal.print_json(dataclasses.asdict(facts))
    return
  terminal.print_lines((facts.name, ''))
  terminal.print_rows(('field', 'value'), _fields(facts))


def _fields(facts: ModelFacts) -> Iterator[tuple[str, str]]:
  yield 'module', facts.module
  yield 'input', f'{facts.input_size} x {facts.input_size} pixels'
  does = _PREPROCESSING.get(facts.preprocess) or normalisation.value(facts.preprocess)
  yield 'preprocessing', f'{facts.preprocess}: {does}'
  yield 'parameters', f'{facts.parameters:,}'
  if facts.multiply_adds is not None:
    yield 'multiply-adds', f'{facts.multiply_adds:,} for one image'
  for kind in ('published', 'native'):
    top1, top5 = (getattr(facts, f'{kind}_top{k}') for k in (1, 5))
    yield kind, f'top-1 {_exact(top1)}, top-5 {_exact(top5)}'
    yield '  protocol', _protocol(getattr(facts, f'{kind}_protocol'))
    yield '  source', getattr(facts, f'{kind}_source')
  yield 'weights file', facts.weights_file
  yield '  hash', facts.weights_hash or '-'
  for number, trap in enumerate(facts.traps):
    yield '' if number else 'traps', trap


def _exact(percent: float | None) -> str:
  return '-' if percent is None else f'{percent} %'


def _protocol(text: str | None) -> str:
  if text is None:
    return '-'
  spec = parse(text)
  summary = protocol.about(spec.target)['summary']
  if {key for key, _ in spec.options} <= {'size'}:
    return f'{text}: {summary}'
  # The summary would be wrong of it.
  return f'{text}: {spec.target} with these fields changed; {spec.target} is: {summary}'
