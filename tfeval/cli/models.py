"""`tfeval models`."""

import dataclasses
import sys

from tfeval.cli import output
from tfeval.errors import UserError
from tfeval.models import table
from tfeval.reports import tables

SUMMARY = 'List the models that are known by name.'


def define_flags(define) -> None:
  define.bool('json', False, 'Print a list of JSON objects.')


def run(flags, arguments: list[str]) -> int:
  if arguments:
    raise UserError(f'tfeval models takes no arguments, got {arguments[0]!r}')
  models = table.known_models().values()
  if flags.json:
    output.print_json([dataclasses.asdict(m) for m in models])
  else:
    tables.print_table(tables.models_table(models), sys.stdout)
  return 0
