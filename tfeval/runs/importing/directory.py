"""The run directory of an import: what it says of itself, and when it may be made."""

import dataclasses
import functools
import logging
import pathlib
import platform

import numpy as np
import pyarrow as pa

import tfeval
from tfeval.datasets.labels import class_lists, imagenet
from tfeval.datasets.labels.sets import REAL, LabelSource
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.runs import predictions, result_file, run, run_directory
from tfeval.runs.importing import orders, readers
from tfeval.runs.importing.sources import Source
from tfeval.runs.result_file import ClassesSection, Manifest
from tfeval.runs.run_key import RunKey
from tfeval.utils import files, flagfile, locks, paths
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')


@dataclasses.dataclass(frozen=True)
class ImportConfig:
  """How predictions are imported.

  Attributes:
    labels: the label sets, at least one; `original` is TFDS' packaged list.
    order: which row is which image, see `orders.row_ids`; None: rows have ids.
    output: what scores of all classes are, one of `rows.OUTPUTS`; None: look.
    partial: whether images may be missing.
    store_logits: whether scores of all classes are kept.
    overwrite: whether what is in a run directory may be replaced.
    classes: a file that names the classes, see `class_lists.read_space`; None: those of
      ILSVRC2012.
  """

  labels: tuple[LabelSource, ...]
  order: str | None = None
  output: str | None = None
  partial: bool = False
  store_logits: bool = False
  overwrite: bool = False
  classes: pathlib.Path | None = None

  @functools.cached_property
  def space(self) -> LabelSpace:
    """The classes; a UserError if the file that names them is none."""
    if self.classes is None:
      return imagenet.label_space()
    return class_lists.read_space(self.classes)


def by_validation_order(labels: tuple[LabelSource, ...]) -> bool:
  """Whether a label set is of the validation images, all 50,000."""
  return any(one.ids is None for one in labels)


def manifest(source: Source, config: ImportConfig, table: readers.Table) -> Manifest:
  """Returns what is imported; nothing else is known of the model."""
  inputs = filter(None, (source.predictions, source.probabilities))
  labels = {one.name: one.file and one.file.sha256 for one in config.labels}
  validation = by_validation_order(config.labels)
  return Manifest.from_json(
    {
      'schema_version': result_file.SCHEMA_VERSION,
      'model': {'name': source.name, 'output': config.output},
      'dataset': {
        'name': 'imagenet2012' if validation else 'unknown',
        'split': 'validation' if validation else '',
        'partial': config.partial,
        'real_labels': labels.get(REAL),
        **({'classes': own} if (own := ClassesSection.of(config.space)) else {}),
      },
      'protocol': {'name': 'unknown'},
      'store': {
        'logits': config.store_logits,
        'classes': min(table.classes, predictions.STORED_CLASSES),
      },
      'compute': {
        'versions': {
          'tfeval': tfeval.__version__,
          'python': platform.python_version(),
          'numpy': np.__version__,
          'pyarrow': pa.__version__,
        }
      },
      'imported': {
        'files': [
          {'file': path.name, 'sha256': files.sha256_of(path)} for path in inputs
        ],
        'order': None if table.has_ids else _order_identity(config.order),
        'output': config.output,
        'labels': [{'name': name, 'sha256': sha256} for name, sha256 in labels.items()],
      },
    }
  )


def _order_identity(order: str | None) -> str | None:
  """Returns the name of an order, or the SHA-256 of the file that lists the ids."""
  if order is None or order in orders.NAMED:
    return order
  try:
    return files.sha256_of(pathlib.Path(order).expanduser())
  except OSError as error:
    raise UserError(
      f'`order={order}`: {error.strerror}: expected '
      f'{", ".join(orders.NAMED)} or the path of a list of ids'
    ) from error


def _flagfile(source: Source, config: ImportConfig) -> str:
  """Returns a flagfile that repeats the import of one model."""
  order: str | pathlib.Path | None = config.order
  if order is not None and order not in orders.NAMED:
    order = pathlib.Path(order).expanduser().absolute()
  values = [
    ('predictions', source.predictions.absolute()),
    ('probabilities', source.probabilities and source.probabilities.absolute()),
    *(
      ('labels', one.path.absolute() if one.path else one.name) for one in config.labels
    ),
    ('order', order),
    ('classes', config.classes and config.classes.absolute()),
    ('output', config.output),
  ]
  lines = [flagfile.line(name, value) for name, value in values if value is not None]
  lines += [
    f'--{name}' for name in ('partial', 'store_logits') if getattr(config, name)
  ]
  return '\n'.join(lines) + '\n'


def complete_run(
  source: Source, config: ImportConfig, manifest: Manifest
) -> run.Run | None:
  """Returns the same import if it is complete in its run directory.

  What decides is the content of the files, their order and the labels.

  Raises:
    UserError: the directory holds something else.
  """
  directory = source.directory
  complete = (directory / result_file.RESULT).is_file()
  if not complete and not run_directory.holds_manifest(directory):
    return None
  if config.overwrite:
    return None
  if not complete:
    if _is_begun_evaluation(directory):
      raise _another_run(directory, 'an evaluation that was begun', manifest)
    return None
  there = run.load_run(directory)
  same = all(
    getattr(there.result, key) == getattr(manifest, key)
    for key in ('schema_version', 'imported', 'store', 'compute')
  )
  if not same or there.result.model.name != manifest.model.name:
    raise _another_run(directory, there.key.title, manifest)
  locks.remove_abandoned(directory)
  _LOG.info(f'{directory} is complete: shown as it is (`overwrite` imports again)')
  return there


def _another_run(directory: paths.Path, there: str, here: Manifest) -> UserError:
  return UserError(
    f'{directory} holds another run, {there}, not {RunKey.of(here).title} of these '
    'files: choose another `output_dir`, or `overwrite` it'
  )


def _is_begun_evaluation(directory: paths.Path) -> bool:
  """Returns whether it holds predictions after which an evaluation would go on."""
  try:
    manifest = files.read_json(directory / result_file.MANIFEST, directory)
  except UserError:
    manifest = None
  return not (isinstance(manifest, dict) and 'imported' in manifest) and (
    (directory / result_file.HOSTS).is_dir()
    or any((directory / result_file.PREDICTIONS).glob('part-*.parquet'))
  )


def begin_run(source: Source, config: ImportConfig, manifest: Manifest) -> None:
  """Makes an import of a run directory, which this process has locked.

  Raises:
    UserError: it cannot be written, or hosts are evaluating there.
  """
  run_directory.remove_shares(source.directory)
  run_directory.begin_run(
    source.directory, manifest, _flagfile(source, config), resumed=False
  )
