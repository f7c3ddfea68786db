"""`tfeval verify RUN...`."""

from tfeval.cli import console, output
from tfeval.models import published
from tfeval.reports import formats
from tfeval.runs import discovery
from tfeval.runs.verification import verify
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
  there = discovery.expand(arguments)
  runs = [(path, verify.verify(path, published.recompute)) for path in there]
  output.print_report(formats.VERIFICATION, flags.json, runs)
  failed = [
    path for path, checks in runs if any(check.state != verify.OK for check in checks)
  ]
  if failed:
    raise CheckFailed(f'{len(failed)} of {len(runs)} runs failed: {listed(failed)}')
  return 0
