"""`tfeval.sweep`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfeval import datasets
from tfeval.api import around, checks, requests
from tfeval.api.piece_options import taken
from tfeval.evaluation import departures
from tfeval.evaluation.config import find_cluster
from tfeval.utils.arguments import several, truth
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.against_base import Sweep

# What a cell is called that does nothing otherwise.
BASE = 'base'
# What a sweep does not do, or says itself.
WITHOUT: tuple[str, ...] = (
  *('cache_dir', 'tf_data_service', 'resize_on', 'canvas', 'rank_on', 'feed'),
  *('corruption', 'corruption_seed', 'frost_textures'),
  *('input_size', 'num_hosts', 'host_index', 'host_timeout', 'max_loaded_models'),
  *('adapt', 'metrics'),
)


def sweep(
  model: Any,
  *,
  weights: Any = 'imagenet',
  axis: str | Sequence[str] = (),
  grid: bool = False,
  labels_of: str = 'original',
  metric: str = 'top1',
  level: float = 0.05,
  seed: int = 0,
  progress: bool | None = None,
  **given: Any,
) -> 'Sweep':
  """Evaluates a model under what pipelines do otherwise, on one reading of images.

      tfeval.sweep('MobileNet', axis=['resize', 'aspect=squash'], dataset='folder:VAL')

  Args:
    model: the name of a model, or its file.
    weights: its weights.
    axis: AXIS for all of its values, or AXIS=VALUE,..., one or several; by default all.
    grid: whether every combination of the axes is a cell, not one at a time.
    labels_of: the label set that hits are counted by.
    metric: what a hit is.
    level: of significance; intervals cover 1 - level.
    seed: of the bootstrap.
    progress: whether to show progress on stderr; by default if that is a terminal.
    **given: `dataset`, `protocol`, `output_dir`, `batch_size` and others, as
      `tfeval sweep --help` lists them, and `runner` with its options. Each cell is an
      ordinary run in `output_dir`.

  Raises:
    UserError: the base, the data or the model are at fault, or a value is none.
  """
  known = checks.level(level), checks.seed(seed)
  meant = labels_of, checks.paired_metric(metric)
  chosen = singles(axis, model)
  asked = departures.grid if truth('grid', grid) else departures.one_at_a_time
  pieces, given = taken(given)
  config = requests.config(given, WITHOUT)
  request = requests.one_by_name(model, weights, config, 'a sweep')
  datasets.check(config.dataset)
  if find_cluster(config).count > 1:
    raise UserError('a sweep is of one host: unset TF_CONFIG')
  show = around.progress_of(progress)
  with around.tensorflow():
    # TensorFlow: seconds.
    if pieces.runner is not None:
      from tfeval.evaluation.pieces import studies

      swept = studies.sweep(request, config, asked(chosen), pieces, show)
    else:
      from tfeval.evaluation import sweep as sweeping

      swept = sweeping.sweep(request, config, asked(chosen), show)
  return _swept(f'{request.spec.text} on {config.dataset.name}', swept, meant, known)


def singles(axis: Any, model: Any) -> list[list[departures.Departure]]:
  """Returns what may be done otherwise, by axis.

  Args:
    axis: what was asked for; nothing: what is usual.
    model: names of the models.

  Raises:
    UserError: there is no such axis or value.
  """
  one = isinstance(axis, str)
  texts = several('axis', [axis] if one else axis, str, 'AXIS, or AXIS=VALUE,...')
  names = [str(one) for one in (model if isinstance(model, list | tuple) else [model])]
  return [departures.parse(text) for text in texts or departures.usual(names)]


def _swept(
  title: str,
  swept: Sequence[Any],  # `evaluation.sweep.SweptCell`.
  meant: tuple[str, str],
  known: tuple[float, int],
) -> 'Sweep':
  from tfeval.analysis.against_base import Sweep, effects
  from tfeval.runs.run import Failure, Run

  named = {_name(one.cell): one for one in swept}
  failed = [one.found for one in swept if isinstance(one.found, Failure)]
  base = named[BASE].found
  assert isinstance(base, Run)  # Else the sweep has raised.
  # What is the run of the base says nothing.
  runs = {
    name: one.found
    for name, one in named.items()
    if isinstance(one.found, Run) and (name == BASE or one.found.path != base.path)
  }
  return Sweep(
    title,
    effects(list(runs.items()), *meant),
    failed,
    runs,
    {name: {d.axis: d.value for d in named[name].cell} for name in runs},
    *meant,
    *known,
  )


def _name(cell: departures.Cell) -> str:
  return ', '.join(one.text for one in cell) or BASE
