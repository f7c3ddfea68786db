"""What is to be done: runs, and the pieces that they are cut into.

Pieces are numbered through all runs. Where one begins follows from its number: a plan
has a line for each run, however many pieces it has.
"""

import bisect
import dataclasses
import functools
import hashlib
import itertools
import json
from typing import Any

from tfeval.evaluation.pieces import plan_values
from tfeval.evaluation.plans import ModelRequest
from tfeval.utils.errors import UserError
from tfeval.utils.json_object import JsonObject

KIND, SCHEMA_VERSION = 'tfeval plan', 1


class PlannedRun(JsonObject):
  """A run of a plan.

  Attributes:
    directory: its name.
    model: as it is asked for, and
    model_options: what stands behind that, where it is not in it.
    weights: of the model.
    name: what results call it; None: what it is asked for by.
    label: what messages call it.
    config: which of the plan's.
    images: how many the dataset has.
    preflight: whether the model is looked at first, with the first piece.
  """

  directory: str
  model: str
  weights: str
  label: str
  config: int
  images: int
  preflight: bool
  model_options: str | None = None
  name: str | None = None

  @property
  def request(self) -> ModelRequest:
    """The model that is evaluated."""
    spec = plan_values.spec_of(self.model, self.model_options)
    return ModelRequest(spec, self.weights, self.directory, self.name, self.label)


class PlannedConfig(JsonObject):
  """How runs of a plan are evaluated, and on what.

  Attributes:
    options: by name, those that are not the default; see `plan_values`.
    dataset: what the dataset says of itself, as manifests have it.
  """

  options: dict[str, Any]
  dataset: dict[str, Any]


class PlanFile(JsonObject):
  """What `plan.json` has.

  Attributes:
    kind: `KIND`.
    schema_version: of this file.
    tfeval, code_sha256: the version, and the digest of the code, that made it.
    piece_images: how many positions a piece covers, but for the last of a run.
    configs: how runs are evaluated.
    runs: the runs, those of a model together.
  """

  kind: str
  schema_version: int
  tfeval: str
  code_sha256: str
  piece_images: int
  configs: list[PlannedConfig]
  runs: list[PlannedRun]


@dataclasses.dataclass(frozen=True)
class Piece:
  """Some images of a run.

  Attributes:
    number: of the piece, through all runs.
    run: which of the plan's.
    start, stop: positions of its images, from the first to before the last.
  """

  number: int
  run: int
  start: int
  stop: int

  @property
  def positions(self) -> range:
    return range(self.start, self.stop)


class Plan:
  """A plan that was read or made.

  Attributes:
    file: what it says.
    id: 12 hexadecimal digits that tell it from every other plan.
    runs: the runs.
    count: how many pieces there are.
  """

  def __init__(self, file: PlanFile):
    """Counts the pieces."""
    self.file, self.runs = file, file.runs
    text = json.dumps(file, sort_keys=True, ensure_ascii=True)
    self.id = hashlib.sha256(text.encode()).hexdigest()[:12]
    size = file.piece_images
    counts = (-(-run.images // size) for run in file.runs)
    self._first = [0, *itertools.accumulate(counts)]

  @property
  def count(self) -> int:
    return self._first[-1]

  @functools.cached_property
  def images(self) -> int:
    """How many images all runs have together."""
    return sum(run.images for run in self.runs)

  def piece(self, number: int) -> Piece:
    """Returns a piece.

    Raises:
      UserError: there is none of that number.
    """
    if not 0 <= number < self.count:
      raise UserError(
        f'`piece={number}` is none of the plan, which has {self.count:,}: give 0 to '
        f'{self.count - 1}'
      )
    run = bisect.bisect_right(self._first, number) - 1
    start = (number - self._first[run]) * self.file.piece_images
    stop = min(start + self.file.piece_images, self.runs[run].images)
    return Piece(number, run, start, stop)

  @functools.cached_property
  def _models(self) -> list[int]:
    """The first piece of each model, and how many pieces there are."""
    found, before = [], None
    for run, first in zip(self.runs, self._first, strict=False):
      model = run.model, run.model_options, run.weights, run.name
      if model != before:
        found.append(first)
      before = model
    return [*found, self.count]

  def of_model(self, number: int) -> range:
    """Returns the numbers of the pieces of a piece's model, which stand together."""
    index = bisect.bisect_right(self._models, number)
    return range(self._models[index - 1], self._models[index])

  def pieces(self, run: int) -> range:
    """Returns the numbers of a run's pieces."""
    return range(self._first[run], self._first[run + 1])
