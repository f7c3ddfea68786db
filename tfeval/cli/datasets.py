"""`tfeval datasets`."""

import dataclasses

from tfeval.api.listing import list_datasets
from tfeval.datasets import variants
from tfeval.datasets.labels import class_sets
from tfeval.datasets.variants import Variant
from tfeval.reports import terminal
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval datasets [NAME] [--flags]

  tfeval datasets objectnet"""

_RULES = {
  'all': 'all classes that the model can say compete',
  'restricted': "the set's classes alone compete; any output of a class hits",
  'categories': 'the mean probability of the outputs of a category decides',
}


def define_flags(define) -> None:
  define.string(
    'filter', None, 'List sets of this kind, or with this text in their names: robust.'
  )
  define.bool('json', False, 'Print JSON on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) > 1:
    raise UserError(f'one set at a time, got {" ".join(arguments)}')
  if arguments:
    if flags.filter is not None:
      raise UserError(f'{arguments[0]} and --filter were both given: leave one out')
    _explain(variants.get(arguments[0]), flags.json)
    return 0
  found = list_datasets(flags.filter)
  if flags.json:
    terminal.print_json([_entry(one) for one in found])
    return 0
  terminal.print_rows(
    ('dataset', 'kind', ('images', ''), ('classes', ''), "authors' rule", 'from'),
    [
      (
        one.name,
        one.kind,
        f'{one.images:,}' if one.images else '-',
        _classes(one),
        one.rule,
        _source(one),
      )
      for one in found
    ],
    numbers=(2, 3),
  )
  terminal.print_lines(
    (
      '',
      '--dataset=NAME for what TFDS builds, --dataset=NAME:DIR for a folder as its',
      'authors publish it. tfeval datasets NAME tells of rules, traps and figures.',
    )
  )
  return 0


def _classes(variant: Variant) -> str:
  if not variant.class_set:
    return '1,000'
  return f'{len(class_sets.read(variant.class_set).names):,}'


def _source(variant: Variant) -> str:
  ways = ['TFDS'] * bool(variant.tfds) + ['DIR'] * bool(variant.layout)
  return ' or '.join(ways) or 'tables'


def _entry(variant: Variant) -> dict:
  found = dataclasses.asdict(variant)
  if variant.class_set:
    known = class_sets.read(variant.class_set)
    found['classes'] = dict(zip(known.names, known.wnids, strict=True))
  return found


def _explain(variant: Variant, as_json: bool) -> None:
  if as_json:
    terminal.print_json(_entry(variant))
    return
  terminal.print_line(f'{variant.name}: {variant.title}')
  terminal.print_line()
  classes = _classes(variant)
  if variant.class_set:
    outputs = sum(map(len, class_sets.read(variant.class_set).wnids))
    classes += f': {outputs:,} of the 1,000 outputs'
  clean = {'': '-', 'all': 'all validation images'}.get(
    variant.clean, f'validation images of its classes, rule {variant.clean}'
  )
  rows = [
    ('given as', f'--dataset={variant.comes_from}' if variant.comes_from else '-'),
    ('configs', ', '.join(variant.configs) or '-'),
    ('images', f'{variant.images:,}' if variant.images else '-'),
    ('classes', classes),
    ("authors' rule", f'{variant.rule}: {_RULES[variant.rule]}'),
    ('--protocol=authors', variant.protocol or '-'),
    ('clean partner', clean),
    ('paper', variant.paper),
    ('source', variant.source),
    ('licence', variant.licence),
    *(('trap', trap) for trap in variant.traps),
    *(('published', anchor) for anchor in variant.anchors),
  ]
  terminal.print_rows(('', ''), rows)
