"""What an export is asked for, and what comes of it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tfeval.metrics.entry import MetricEntry
from tfeval.runs import display
from tfeval.runs.result_file import Result
from tfeval.runs.run import Run
from tfeval.runs.run_key import RunKey
from tfeval.utils.errors import UserError, listed


@dataclasses.dataclass(frozen=True)
class Request:
  """What files of the Hub say that runs do not know.

  Attributes:
    output: the name of the file, '' for stdout.
    model_name: what the model is called; '': as in the run.
    hub_datasets: ids of datasets on the Hub, see `hub.parse_dataset`, by names of
      datasets of runs; of '' that of all others.
    task_id: of the benchmark's task.
    values: metrics that are values of `.eval_results`, `LABELS/METRIC`; none: top-1 by
      the rule of the set's authors.
    percent: whether shares are written in 0..100, not 0..1.
    source_url, source_name: where the results can be looked at.
  """

  output: str = ''
  model_name: str = ''
  hub_datasets: Mapping[str, str] = dataclasses.field(default_factory=dict)
  task_id: str = 'default'
  values: tuple[str, ...] = ()
  percent: bool = False
  source_url: str = ''
  source_name: str = ''


class Export(NamedTuple):
  """A file that was made of runs.

  Attributes:
    content: all of it.
    remarks: what the reader of stderr must know: parameters stand in backquotes.
  """

  content: bytes
  remarks: Sequence[str] = ()


Exporter = Callable[[Sequence[Run], Request], Export]


def left_out(runs: Sequence[Run]) -> list[str]:
  """Says which metrics have no value and so are in no export, and why."""
  found = []
  for run in runs:
    names: dict[str, list[str]] = {}
    for metric in run.metrics:
      if metric.value is None:
        why = metric.unavailable or 'no image has a label'
        names.setdefault(why, []).append(title(metric))
    found += [
      f'{run.path}: left out {", ".join(those)}: {why}' for why, those in names.items()
    ]
  return found


def of_card(run: Run) -> list[MetricEntry]:
  """Returns the metrics for people: with a value, under no rule of another test set."""
  return [
    one
    for one in run.metrics
    if one.value is not None and not run.classes.is_partner(one.rule)
  ]


def title(metric: MetricEntry) -> str:
  """Returns what readers call a metric: `ReaL top-1 restricted`."""
  return display.metric_name(metric.labels, metric.key)


def model_name(runs: Sequence[Run], request: Request) -> str:
  """Returns what the one model of runs is called.

  Raises:
    UserError: they are of several models.
  """
  kinds = {_model(run.result): run for run in runs}
  if len(kinds) > 1:
    names = listed([run.path for run in kinds.values()])
    raise UserError(
      f'a model card is of one model, these runs are of {len(kinds)}, such as {names}: '
      'export the runs of each model to a file of its own'
    )
  return request.model_name or RunKey.of(runs[0].result).model_name


def _model(result: Result) -> tuple[str | None, ...]:
  """Returns what tells models apart: their values, else names and weights."""
  model = result.model
  digest = model.weights_sha256 or model.values_sha256
  adapted = None if model.adaptation is None else model.adaptation.text
  if digest is not None:
    return digest, model.architecture_sha256, adapted, model.feed
  return None, model.name, model.weights, adapted, model.feed
