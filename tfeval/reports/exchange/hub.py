"""What runs are called on the Hugging Face Hub.

`model-index` of a model card: huggingface/hub-docs, modelcard.md, which
`huggingface_hub.EvalResult` mirrors. `.eval_results/*.yaml`: hub-docs,
eval_results.yaml and docs/hub/eval-results.md, `huggingface_hub.EvalResultEntry`.
"""

import functools
import os
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from tfeval.datasets import variants
from tfeval.metrics.entry import COUNT, MetricEntry
from tfeval.reports.exchange.export import Request
from tfeval.runs.result_file import EvaluatedSection
from tfeval.runs.run import Run
from tfeval.utils import fact_table, paths
from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable

# OWNER/NAME as the Hub lets repositories be called (huggingface_hub,
# utils/_validators.py), or an old name without an owner; and perhaps a revision.
_ID = re.compile(r'(?:[\w.-]{1,96}/)?[\w.-]{1,96}(?:@[\w./-]+)?', re.ASCII)


class HubDataset(NamedTuple):
  """A dataset as the Hub calls it.

  Attributes:
    id: `OWNER/NAME`, or what the run calls it where the Hub has none.
    name: what readers call it.
    split: of it, '' where it has none.
    config: its configuration; None: the usual one.
    revision: a commit of it, None where it is not known.
    is_known: whether the Hub has it.
  """

  id: str
  name: str
  split: str
  config: str | None
  revision: str | None
  is_known: bool


@functools.cache
def _known() -> dict[str, tuple[str, str]]:
  rows = fact_table.rows('tfeval.reports.exchange', 'hub_datasets.tsv')
  return {row['dataset']: (row['id'], row['split'] or '') for row in rows}


def parse_datasets(texts: Sequence[str]) -> dict[str, str]:
  """Returns ids of the Hub by datasets of runs, '' for all others.

  Args:
    texts: `[DATASET=]OWNER/NAME[@REVISION]` each.

  Raises:
    UserError: one is none.

  >>> parse_datasets(['me/photos', 'folder:val=me/val@1a2b'])
  {'': 'me/photos', 'folder:val': 'me/val@1a2b'}
  """
  found: dict[str, str] = {}
  for text in texts:
    dataset, _, name = text.rpartition('=')
    if not _ID.fullmatch(name):
      raise UserError(
        f'`hub_dataset={text}` is no dataset of the Hub: expected '
        '[DATASET=]OWNER/NAME[@REVISION]'
      )
    if dataset in found:
      raise UserError(f'`hub_dataset={text}`: there is one already: leave one out')
    found[dataset] = name
  return found


def check_used(runs: Sequence[Run], request: Request) -> None:
  """Checks that every dataset that has an id is of some run.

  Raises:
    UserError: one is of none.
  """
  there = {run.result.dataset.name for run in runs}
  for name in request.hub_datasets:
    if name and name not in there:
      raise UserError(
        f'`hub_dataset={name}=...`: no run is on it, these are on '
        + ', '.join(sorted(map(printable, there)))
      )


def dataset_of(run: Run, request: Request) -> HubDataset:
  """Returns what the dataset of a run is called on the Hub."""
  dataset = run.result.dataset
  key = re.split('[:/]', dataset.name)[0]
  given = request.hub_datasets.get(dataset.name) or request.hub_datasets.get('')
  known, split = _known().get(key, ('', ''))
  name, _, revision = (given or known).partition('@')
  return HubDataset(
    id=name or shown_name(dataset),
    name=_title(dataset),
    split=(dataset.split if given else split or dataset.split),
    config=dataset.config if given is None and not known else None,
    revision=revision or None,
    is_known=bool(name),
  )


def shown_name(dataset: EvaluatedSection) -> str:
  """Returns what a dataset is called where others read it: of a path its last part."""
  kind, colon, where = dataset.name.partition(':')
  if colon and (os.sep in where or paths.is_url(where)):
    return f'{kind}:{where.rstrip("/").rpartition("/")[2]}'
  return dataset.name


def _title(dataset: EvaluatedSection) -> str:
  """Returns what readers call the images that a run is of."""
  variant = variants.of_dataset(dataset.name)
  name = shown_name(dataset) if variant is None else variant.title
  parts = [name, dataset.config or '', dataset.split]
  text = ' '.join(filter(None, parts))
  return text if dataset.subset is None else f'{text}, {dataset.subset} only'


def value(metric: MetricEntry, request: Request) -> float:
  """Returns a metric's value: of a share what was counted, in 0..1 or percent."""
  assert metric.value is not None
  if not (request.percent and metric.kind == COUNT):
    return metric.value
  if metric.correct is None:
    return 100 * metric.value
  return 100 * metric.correct / metric.count


def interval_text(metric: MetricEntry) -> str | None:
  """Returns an interval in words, None where there is none."""
  found = metric.interval
  if found is None:
    return None
  return (
    f'{100 * found.level:g} % interval {100 * found.low:.2f} to '
    f'{100 * found.high:.2f} % ({found.method})'
  )


def source_of(request: Request) -> dict[str, Any] | None:
  """Returns where results can be looked at, None where nothing is told.

  Raises:
    UserError: it has a name, but no address.
  """
  if not request.source_url:
    if request.source_name:
      raise UserError('`source_name` needs `source_url`: the Hub links it')
    return None
  if not re.match('https?://', request.source_url):
    raise UserError(
      f'`source_url={request.source_url}` is no address: expected https://...'
    )
  name = {'name': request.source_name} if request.source_name else {}
  return {'url': request.source_url, **name}
