"""`tfeval verify RUN...`."""

import dataclasses
import textwrap

from tfeval.cli import console
from tfeval.reports import terminal
from tfeval.runs.verification import verify
from tfeval.utils.errors import CheckFailed, UserError

USAGE = """Usage: tfeval verify RUN... [--json]

RUN is a run directory, OUTPUT_DIR/MODEL. Its files are checked against their
schemas, digests and each other, and its metrics are computed again. The exit
code is 1 if a check fails. Needs jsonschema: pip install 'tfeval[verify]'."""


def define_flags(define) -> None:
  define.bool('json', False, 'Print a list of JSON results, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval verify OUTPUT_DIR/MODEL ...')
  console.import_tensorflow_for(arguments)
  runs = [(path, verify.verify(path)) for path in arguments]
  if flags.json:
    terminal.print_json(
      [
        {
          'run': path,
          'ok': _failed(checks) == 0,
          'checks': [dataclasses.asdict(check) for check in checks],
        }
        for path, checks in runs
      ]
    )
  else:
    for path, checks in runs:
      _print(path, checks)
  failed = [path for path, checks in runs if _failed(checks)]
  if failed:
    raise CheckFailed(f'{len(failed)} of {len(runs)} runs failed: {", ".join(failed)}')
  return 0


def _failed(checks: list[verify.Check]) -> int:
  return sum(check.state != verify.OK for check in checks)


def _print(path: str, checks: list[verify.Check]) -> None:
  print(path)
  for check in checks:
    print(
      textwrap.fill(
        f'{check.state:<11} {check.name:<10} {check.seen}',
        80,
        initial_indent='  ',
        subsequent_indent=' ' * 25,
        break_long_words=False,
        break_on_hyphens=False,
      )
    )
