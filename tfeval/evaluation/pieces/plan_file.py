"""The file of a plan.

    OUTPUT_DIR/plan.json          what this module writes and reads
    OUTPUT_DIR/pieces-ID/         what workers write, see `places`
    OUTPUT_DIR/RUN/               the runs, once they are joined

It does not say where it lies: the study may be moved.
"""

from tfeval.evaluation.pieces.planned import KIND, SCHEMA_VERSION, Plan, PlanFile
from tfeval.utils import budgets, files, paths, printable
from tfeval.utils.errors import UserError
from tfeval.utils.json_object import WrongType
from tfeval.utils.paths import Path

NAME = 'plan.json'
_MOST_PIECES = 10_000_000
# In bytes, of file systems.
_LONGEST_NAME = 255


def path_of(text: str) -> Path:
  """Returns the path of a plan, which may be given by its folder."""
  path = paths.path(text)
  return path if path.suffix == '.json' else path / NAME


def read(path: Path) -> Plan:
  """Reads a plan, perhaps of a stranger: nothing that it names is opened.

  Args:
    path: of the file.

  Raises:
    UserError: it is missing, no plan, damaged, or of another version of the format.
  """
  content = files.read_json(path)
  if not isinstance(content, dict) or content.get('kind') != KIND:
    raise UserError(f'{path} is no plan: tfeval plan makes one')
  version = content.get('schema_version')
  if version != SCHEMA_VERSION:
    raise UserError(
      f'{path} has version {str(version)[:20]} of the format, this tfeval reads '
      f'{SCHEMA_VERSION}: make the plan again, or use the tfeval that made it '
      f'({str(content.get("tfeval"))[:20]})'
    )
  try:
    file = PlanFile.from_json(content)
    _check(file)
  except (WrongType, ValueError, TypeError) as error:
    raise UserError(f'{path} is damaged: {error}: make the plan again') from error
  return Plan(file)


def _check(file: PlanFile) -> None:
  """Checks what types do not say.

  Raises:
    ValueError: something cannot be.
  """
  if not file.code_sha256:
    raise ValueError('it names no code')
  if not file.runs or not 1 <= (file.piece_images or 0) <= budgets.ROWS:
    raise ValueError('it has no runs, or no size of pieces')
  seen = set()
  for run in file.runs:
    name = run.directory or ''
    if not _can_be_directory(name):
      raise ValueError(f'{name[:100]!r} can be no run directory')
    if name in seen:
      raise ValueError(f'two runs are called {name[:100]}')
    seen.add(name)
    if not run.model or not run.weights or run.label is None:
      raise ValueError(f'{name[:100]} names no model')
    if not 0 <= (-1 if run.config is None else run.config) < len(file.configs):
      raise ValueError(f'{name[:100]} has no config')
    if not 1 <= (run.images or 0) <= budgets.ROWS:
      raise ValueError(f'{name[:100]} has {run.images} images')
  total = sum(-(-run.images // file.piece_images) for run in file.runs)
  if total > _MOST_PIECES:
    raise ValueError(f'{total:,} pieces, expected at most {_MOST_PIECES:,}')


def _can_be_directory(name: str) -> bool:
  """Returns whether a run beside a plan can have a name, which is shown too."""
  if name in ('', NAME) or name[0] == '.' or '/' in name:
    return False
  return printable.printable(name) == name and len(name.encode()) <= _LONGEST_NAME


def write(path: Path, plan: Plan, overwrite: bool) -> bool:
  """Writes a plan, unless the same one is there.

  Args:
    path: of the file.
    plan: what it says.
    overwrite: whether another plan is replaced.

  Returns:
    Whether it was written.

  Raises:
    UserError: another plan is there, or it cannot be written.
  """
  if path.is_file() and not overwrite:
    if read(path).id == plan.id:
      return False
    raise UserError(
      f'{path} is another plan: choose another `output_dir`, or `overwrite` it'
    )
  files.make_directory(path.parent)
  files.write_json(path, plan.file)
  return True
