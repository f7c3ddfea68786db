"""`tfeval.explain`."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfeval import datasets
from tfeval.api import around, checks, given, requests
from tfeval.api.sweep import WITHOUT as _NOT_SWEPT
from tfeval.api.sweep import singles
from tfeval.evaluation.config import EvaluationConfig, find_cluster
from tfeval.evaluation.plans import ModelRequest
from tfeval.utils.arguments import whole_number
from tfeval.utils.errors import UserError
from tfeval.utils.progress import Progress

if TYPE_CHECKING:
  from tfeval.analysis.explanation.candidates import Explanation
  from tfeval.analysis.explanation.report import Report
  from tfeval.analysis.explanation.two_runs import TwoRuns
  from tfeval.evaluation.departures import Departure

# What a search does not do, or says itself.
WITHOUT = (
  *(name for name in _NOT_SWEPT if name != 'adapt'),
  # Images that cannot be decoded are answered by nobody.
  *('sample', 'limit', 'only', 'store_logits', 'adapt', 'on_error'),
)
# Of `level`: of one way in it is another thing than of the other.
UNLIKELY, SIGNIFICANT = 0.01, 0.05


@dataclasses.dataclass(frozen=True)
class _Search:
  """What departures are looked for by.

  Attributes:
    request, config: the model and how it is evaluated.
    singles: what may be done otherwise, alone and two at once.
    sample: how many images are looked at, at most.
    meant: label set and metric.
    progress: is told how far it is.
  """

  request: ModelRequest
  config: EvaluationConfig
  singles: 'list[Departure]'
  sample: int
  meant: tuple[str, str]
  progress: Progress

  def rounds(self) -> Any:
    """Opens the dataset and loads the model."""
    from tfeval.evaluation.explain.rounds import Rounds  # TensorFlow: seconds.

    return Rounds(self.request, self.config, self.progress)


def explain(
  *runs: Any,
  model: Any = None,
  weights: Any = 'imagenet',
  reported: Any = None,
  reported_count: int | None = None,
  predictions: given.Path | None = None,
  order: str = 'file_name',
  sample: int = 2000,
  axis: str | Sequence[str] = (),
  labels_of: str = 'original',
  metric: str = 'top1',
  level: float | None = None,
  seed: int = 0,
  progress: bool | None = None,
  **config: Any,
) -> 'Explanation | TwoRuns':
  """Finds out why a number is another one: which steps were done otherwise.

      tfeval.explain(model='MobileNetV2', dataset='folder:VAL', reported=61.6)
      tfeval.explain(model='MobileNetV2', dataset='folder:VAL', predictions='mine.npy')
      tfeval.explain('runs/a', 'runs/b')

  Args:
    *runs: two runs, of which is told what differs, and how many points each difference
      carries; with `model` each is evaluated again.
    model: the name of a model, or its file.
    weights: its weights.
    reported: an accuracy: percent, such as 61.6, or hits/images as text.
    reported_count: of how many other images it is; by default of those of `dataset`.
    predictions: a file of classes or scores, a row for each image.
    order: which image each row is: `file_name`, `class_folder` or a list of ids.
    sample: how many images are looked at, at most, by id.
    axis: what may be done otherwise, one or several; by default all.
    labels_of, metric: what a hit is.
    level: of `reported` what is seen less often is called unlikely, 0.01 by default; of
      two runs intervals cover 1 - level, 0.05 by default.
    seed: of the bootstrap.
    progress: whether to show progress on stderr; by default if that is a terminal.
    **config: `dataset`, `protocol`, `output_dir` and others, as
      `tfeval explain --help` lists them.

  Returns:
    An `Explanation`; of two runs a `TwoRuns`.

  Raises:
    UserError: not exactly one of `reported`, `predictions` and two runs is given, or
      something is wrong with it.
  """
  check_one_way(reported, predictions, runs)
  if level is None:
    level = SIGNIFICANT if runs else UNLIKELY
  level, seed = checks.level(level), checks.seed(seed)
  meant = labels_of, checks.paired_metric(metric)
  sample = whole_number('sample', sample)
  show = around.progress_of(progress)

  def searched() -> _Search:
    chosen = [] if runs else [one for group in singles(axis, model) for one in group]
    known, request = _requested(model, weights, config)
    return _Search(request, known, chosen, sample, meant, show)

  if runs:
    return _two(runs, searched if model else None, meant, (level, seed))
  if predictions is not None:
    if reported_count is not None:
      raise UserError('`reported_count` is of `reported`: leave it out')
    path = given.file_path('predictions', predictions)
    assert path is not None
    if not path.is_file():
      raise UserError(f'`predictions={predictions}`: no such file')
    return _by_predictions(searched(), path, order)
  from tfeval.analysis.explanation import report

  parsed = report.parse(_text(reported), reported_count)
  return _by_report(searched(), parsed, level)


def check_one_way(
  reported: Any, predictions: Any, runs: Sequence[Any], listed: bool | None = None
) -> None:
  """Checks that one thing is to be explained.

  Args:
    reported, predictions, runs: as of `explain`.
    listed: whether published effects are asked for instead; None: they cannot be.

  Raises:
    UserError: it is none, or several.
  """
  ways = [
    *(['`list`'] if listed else []),
    *(['`reported`'] if reported is not None else []),
    *(['`predictions`'] if predictions is not None else []),
    *(['two runs'] if runs else []),
  ]
  if len(ways) != 1:
    known = '`reported`, `predictions` and two runs'
    if listed is not None:
      known = '`reported`, `predictions`, two runs and `list`'
    raise UserError(
      f'expected one of {known}, got {" and ".join(ways) or "none"} '
      '(tfeval guide explaining)'
    )


def _text(reported: Any) -> str:
  """Returns a report as text; a number is percent.

  >>> _text(61.6), _text('616/1000')
  ('61.6', '616/1000')
  """
  return reported if isinstance(reported, str) else f'{reported!s}'


def _requested(
  model: Any, weights: Any, config: dict[str, Any]
) -> tuple[EvaluationConfig, ModelRequest]:
  known = requests.config(config, WITHOUT)
  request = requests.one_by_name(model or [], weights, known, 'an explanation')
  datasets.check(known.dataset)
  if find_cluster(known).count > 1:
    raise UserError('an explanation is made on one host: unset TF_CONFIG')
  return known, request


def _by_report(search: _Search, reported: 'Report', level: float) -> 'Explanation':
  with around.tensorflow():
    from tfeval.evaluation.explain import by_report  # TensorFlow: seconds.

    return by_report.explain(
      search.rounds(), reported, search.singles, search.sample, *search.meant, level
    )


def _by_predictions(search: _Search, path: pathlib.Path, order: str) -> 'Explanation':
  with around.tensorflow():
    from tfeval.evaluation.explain import by_predictions  # TensorFlow: seconds.
    from tfeval.runs.importing import answers

    rounds = search.rounds()
    theirs = answers.read(path, rounds.space)
    return by_predictions.explain(
      rounds, theirs, order, search.singles, search.sample, *search.meant
    )


def _two(
  runs: Sequence[Any], searched: Any, meant: tuple[str, str], known: tuple[float, int]
) -> 'TwoRuns':
  """Says what differs between two runs, and evaluates each difference if asked to."""
  from tfeval.analysis.explanation import two_runs

  count = len(given.directories(runs))
  if count != 2:
    raise UserError(f'{count} runs were given: expected two')
  both = given.complete(runs)
  found = two_runs.two_runs(both[0], both[1], *meant, *known)
  if searched is None:
    return found
  from tfeval.evaluation.explain import by_changes

  search = searched()
  again = by_changes.config_of(both[0].result, search.config)
  with around.tensorflow():
    rounds = dataclasses.replace(search, config=again).rounds()
    changes = by_changes.explain(rounds, found, search.sample)
  return dataclasses.replace(found, changes=changes)
