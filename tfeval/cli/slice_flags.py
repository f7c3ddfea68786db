"""Slices of stored rows: `--by` of `tfeval score`."""

from typing import TYPE_CHECKING

from tfeval.api import images_at_hand
from tfeval.cli import label_flags, output
from tfeval.reports import formats, terminal
from tfeval.utils import files, progress
from tfeval.utils.errors import UserError
from tfeval.utils.paths import Path

if TYPE_CHECKING:
  from tfeval.datasets.labels.group_files import GroupTable
  from tfeval.runs.run import Run

# What images themselves are like, as `tfeval shift` measures it.
IMAGES = 'images'
# What tells of single images or of whole runs, and nothing of slices.
_WITHOUT = ('adapt', 'per_class', 'confusions', 'show_examples', 'expect')


def define(definer) -> None:
  """Defines `--by` and what belongs to it."""
  definer.string(
    'by',
    None,
    'Accuracy by attribute, the worst slices first: label, real_labels (how many), '
    'folder (of the id), a file of groups (.csv, .tsv, .jsonl, .parquet: a column of '
    "ids, others of attributes; ImageNet-X's annotations), one column of it, "
    'FILE:COLUMN, or images (quarters by brightness, contrast, sharpness, size, '
    'quality, where the images are at hand: see --data_dir, --manual_dir).',
  )
  definer.string('manual_dir', None, 'Where ILSVRC2012_img_val.tar lies.')
  definer.string(
    'write_groups', None, 'A CSV file to write what --by=images measures to, for --by.'
  )
  definer.integer('slices', 40, 'Print so many slices of --by; 0: all.', lower_bound=0)


def print_slices(
  flags, runs: 'list[Run]', metrics: tuple[str, ...], target: Path | None
) -> None:
  """Prints the slices of `--by`.

  Args:
    flags: of `tfeval score`.
    runs: at least one.
    metrics: names of metrics; by default top-1.
    target: the file of `--write_groups`, if one was named.

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
  if flags.by == IMAGES:
    table = _measured(flags, runs, target)
  elif target is not None:
    raise UserError('--write_groups is of --by=images: leave it out')
  else:
    table = slices.groups_by(flags.by, runs)
  read = label_flags.read_labels(flags, runs)
  found = slices.report(runs, flags.by, table, *read, metrics or ('top1',))
  output.print_report(formats.SLICES, flags.json, found, flags.slices)


def _measured(flags, runs: 'list[Run]', target: Path | None) -> 'GroupTable':
  """Measures the images of runs, each once.

  Raises:
    UserError: they are not at hand, or cannot be decoded.
  """
  from tfeval.analysis import attributes

  where = {'data_dir': flags.data_dir, 'manual_dir': flags.manual_dir}
  for run in runs:
    try:
      images_at_hand.check_at_hand(run, where)
    except UserError as error:
      raise UserError(f'--by={IMAGES} cannot measure images: {error}') from error
  known: set[str] = set()
  wanted: list[tuple[Run | str, list[str]]] = []
  for run in runs:
    ids = [one for one in run.to_arrow(['id'])['id'].to_pylist() if one not in known]
    if ids:
      known.update(ids)
      wanted.append((run, ids))
  names = [run.key.model_name for run, _ in wanted if not isinstance(run, str)]
  found = images_at_hand.measure(wanted, names, where, 0, progress.on_stderr)
  table = attributes.of_statistics(found)
  if target is not None:
    columns = [table.ids.to_pylist(), *(c.to_pylist() for c in table.columns.values())]
    rows = [('id', *table.columns), *zip(*columns, strict=True)]
    content = terminal.csv_bytes(rows)
    files.write_atomically(target, content, '--write_groups')
    output.say(f'the statistics of the images are in {target}')
  return table
