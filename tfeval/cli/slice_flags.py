"""Slices of stored rows: `--by` of `tfeval score`."""

from typing import TYPE_CHECKING

from tfeval.cli import label_flags, output
from tfeval.reports import formats
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.runs.run import Run

# What tells of single images or of whole runs, and nothing of slices.
_WITHOUT = ('adapt', 'per_class', 'confusions', 'show_examples', 'expect')


def define(definer) -> None:
  """Defines `--by` and `--slices`."""
  definer.string(
    'by',
    None,
    'Accuracy by attribute, the worst slices first: label, real_labels (how many), '
    'folder (of the id), a file of groups (.csv, .tsv, .jsonl, .parquet: a column of '
    "ids, others of attributes; ImageNet-X's annotations), or one column of it, "
    'FILE:COLUMN.',
  )
  definer.integer('slices', 40, 'Print so many slices of --by; 0: all.', lower_bound=0)


def print_slices(flags, runs: 'list[Run]', metrics: tuple[str, ...]) -> None:
  """Prints the slices of `--by`.

  Args:
    flags: of `tfeval score`.
    runs: at least one.
    metrics: names of metrics; by default top-1.

  Raises:
    UserError: something is wrong with the groups, or a metric does not count images.
  """
  from tfeval.analysis import slices  # Not needed without --by.
  from tfeval.metrics import registry
  from tfeval.runs.same_classes import one_space

  if other := [name for name in _WITHOUT if flags[name].present]:
    raise UserError(f'--by and --{other[0]} were both given: leave one out')
  for name in metrics:
    if not registry.get_metric(name).paired:
      raise UserError(
        f'--metrics={name} counts no images, --by takes those that do: top1, top5'
      )
  one_space(runs)
  table = slices.groups_by(flags.by, runs)
  read = label_flags.read_labels(flags, runs)
  found = slices.report(runs, flags.by, table, *read, metrics or ('top1',))
  output.print_report(formats.SLICES, flags.json, found, flags.slices)
