"""`tfeval protocols`."""

from tfeval.preprocess import protocol
from tfeval.preprocess.protocol import Protocol
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
    _explain(protocol.resolve(arguments[0], flags.size), flags.json)
    return 0
  names = protocol.named_protocols()
  if flags.json:
    resolved = [protocol.resolve(name, flags.size) for name in names]
    terminal.print_json([_entry(one) for one in resolved])
    return 0
  rows = [(name, fields.get('summary', '')) for name, fields in names.items()]
  terminal.print_rows(('protocol', 'what it does'), rows)
  terminal.print_lines(('', 'tfeval protocols NAME explains one and names its source.'))
  return 0


def _entry(resolved: Protocol) -> dict:
  return {**resolved.describe(), **protocol.about(resolved.name)}


def _explain(resolved: Protocol, as_json: bool) -> None:
  if as_json:
    terminal.print_json(_entry(resolved))
    return
  about = protocol.about(resolved.name)
  terminal.print_line(f'{resolved.name}: {about["summary"]}')
  if resolved.spec != resolved.name:
    terminal.print_line(
      f'Here as {resolved.spec}; the words are of {resolved.name} as it is.'
    )
  terminal.print_line()
  rows = [(key, about[key]) for key in ('explanation', 'source')]
  for key, value in resolved.describe().items():
    rows.append((key, str(value).lower() if isinstance(value, bool) else str(value)))
  terminal.print_rows(('field', 'value'), rows)
