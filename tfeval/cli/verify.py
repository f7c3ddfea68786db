"""`tfeval verify RUN...`."""

from tfeval.api.verify import verify
from tfeval.cli import console, output
from tfeval.reports import formats
from tfeval.utils.errors import CheckFailed, UserError, listed

USAGE = """Usage: tfeval verify RUN... [--json]

RUN is a run directory, OUTPUT_DIR/MODEL, or a folder of such. Its files are
checked against their schemas, digests and each other, and its metrics are
computed again. The exit code is 1 if a check fails. Needs jsonschema: pip
install 'tfeval[verify]'."""


def define_flags(define) -> None:
  define.bool('json', False, 'Print a list of JSON results, nothing else.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval verify OUTPUT_DIR/MODEL ...')
  console.import_tensorflow_for(arguments)
  found = verify(*arguments)
  output.print_report(formats.VERIFICATION, flags.json, found)
  if failed := [run.path for run in found.failed]:
    raise CheckFailed(f'{len(failed)} of {len(found)} runs failed: {listed(failed)}')
  return 0
