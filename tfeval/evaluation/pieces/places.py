"""Where workers write: names that follow from numbers, so that nobody has to list.

    pieces-ID/runs/BLOCK/RUN.json            what a run is, of its first worker
    pieces-ID/done/BLOCK/PIECE.json          what is known of a piece that is done, and
    pieces-ID/done/BLOCK/PIECE-SHA.parquet   its rows, which that names
    pieces-ID/done/BLOCK/PIECE.failed.json   why it could not be done, the last time
    pieces-ID/claims/                        who does what, see `claims`

Folders hold a few hundred files each.
"""

import dataclasses

from tfeval.evaluation.pieces import plan_file
from tfeval.evaluation.pieces.planned import Plan
from tfeval.utils import untrusted
from tfeval.utils.paths import Path

_BLOCK = 256


@dataclasses.dataclass(frozen=True)
class Places:
  """The places of a plan.

  Attributes:
    plan: the file of the plan.
    root: where workers write.
  """

  plan: Path
  root: Path

  @classmethod
  def of(cls, path: Path, plan: Plan) -> 'Places':
    """Returns the places of a plan that lies at a path."""
    return cls(path, path.parent / f'pieces-{plan.id}')

  @property
  def output_dir(self) -> Path:
    """Where runs will lie, beside the plan."""
    return self.plan.parent

  @property
  def claims(self) -> Path:
    return self.root / 'claims'

  @property
  def all_done(self) -> Path:
    return self.root / 'done'

  def begun(self, run: int) -> Path:
    return self.root / f'runs/{run // _BLOCK:05d}' / f'{run:05d}.json'

  def done(self, number: int) -> Path:
    return self._done_folder(number) / f'{number:07d}.json'

  def failed(self, number: int) -> Path:
    return self._done_folder(number) / f'{number:07d}.failed.json'

  def rows(self, number: int, sha256: str) -> Path:
    return self._done_folder(number) / f'{number:07d}-{sha256[:16]}.parquet'

  def _done_folder(self, number: int) -> Path:
    return self.all_done / f'{number // _BLOCK:05d}'


def open_plan(text: str) -> tuple[Plan, Places]:
  """Reads a plan by its path or folder; see `plan_file.read`.

  Raises:
    UserError: as that, or what workers have written is a link to elsewhere.
  """
  path = plan_file.path_of(text)
  plan = plan_file.read(path)
  found = Places.of(path, plan)
  untrusted.check_inside(found.root, found.output_dir)
  return plan, found
