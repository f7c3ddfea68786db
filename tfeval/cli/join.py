"""`tfeval join`."""

from tfeval.api import pieces
from tfeval.cli import output, piece_flags, tracking_flags
from tfeval.cli.console import import_tensorflow_for, quiet_tensorflow
from tfeval.runs import expectations
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval join PLAN [--flags]

  tfeval join study

Makes runs of the pieces that workers have done: the files that one process would
have written, beside the plan. Runs that lack pieces are named with the reason;
the others are made."""
FIRST = (
  'overwrite',
  'keep_pieces',
  'share',
  'expect',
  'trust_model',
  'data_dir',
  'json',
)


def define_flags(define) -> None:
  define.bool('overwrite', False, 'Replace other runs of the same names.')
  define.bool('keep_pieces', False, 'Keep pieces once all runs are complete.')
  define.string(
    'share', None, 'K/M: join the share K of M of the runs, from 0, beside other joins.'
  )
  define.bool('json', False, 'Print a list of JSON results on stdout, nothing else.')
  tracking_flags.define(define)
  output.define_expect(define)
  output.define_show_examples(define)
  output.define_class_rule(define)
  piece_flags.define_of_machine(define)


def run(flags, arguments: list[str]) -> int:
  if len(arguments) != 1:
    raise UserError(
      f'expected one plan, got {" ".join(arguments) or "nothing"}: tfeval join PLAN'
    )
  expected = [expectations.parse(text) for text in flags.expect]
  log_to = tracking_flags.targets(flags)
  import_tensorflow_for(arguments)
  runs = pieces.join(
    arguments[0],
    overwrite=flags.overwrite,
    keep_pieces=flags.keep_pieces,
    share=flags.share,
    progress=True,
    **piece_flags.of_machine(flags),
  )
  output.print_runs(runs, flags.json, flags.show_examples, flags.class_rule)
  output.say_where(runs)
  if log_to:
    with quiet_tensorflow():
      from tfeval.evaluation.tracking import tracked

      tracked.log_runs(log_to, runs)
  return output.exit_code(runs, expected)
