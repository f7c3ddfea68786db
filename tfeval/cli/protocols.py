"""`tfeval protocols`."""

import sys

from tfeval.preprocess import protocol as protocol_lib
from tfeval.reports import terminal
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval protocols [NAME[:field=value,...]] [--flags]

  tfeval protocols pil:crop_fraction=0.95"""


def define_flags(define) -> None:
  define.integer('size', 224, "Side of the model's input in pixels.", lower_bound=1)
  define.bool('json', False, 'Print JSON on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if len(arguments) > 1:
    raise UserError(f'one protocol at a time, got {" ".join(arguments)}')
  if arguments:
    _explain(protocol_lib.resolve(arguments[0], flags.size), flags.json)
    return 0
  names = protocol_lib.named_protocols()
  if flags.json:
    terminal.print_json(
      [_entry(protocol_lib.resolve(name, flags.size)) for name in names]
    )
    return 0
  terminal.print_table(
    terminal.plain_table(
      ('protocol', 'what it does'),
      [(name, protocol_lib.about(name)['summary']) for name in names],
    ),
    sys.stdout,
  )
  print('\ntfeval protocols NAME explains one and names its source.')
  return 0


def _entry(protocol: protocol_lib.Protocol) -> dict:
  return {**protocol.describe(), **protocol_lib.about(protocol.name)}


def _explain(protocol: protocol_lib.Protocol, as_json: bool) -> None:
  if as_json:
    terminal.print_json(_entry(protocol))
    return
  about = protocol_lib.about(protocol.name)
  print(f'{protocol.name}: {about["summary"]}')
  if protocol.spec != protocol.name:
    print(f'Here as {protocol.spec}; the words are of {protocol.name} as it is.')
  print()
  terminal.print_table(
    terminal.plain_table(
      ('field', 'value'),
      [
        *((key, about[key]) for key in ('explanation', 'source')),
        *(
          (key, str(value).lower() if isinstance(value, bool) else str(value))
          for key, value in protocol.describe().items()
        ),
      ],
    ),
    sys.stdout,
  )
