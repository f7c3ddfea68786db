"""Results as tables for a terminal, 80 columns wide and up."""

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa

from tfeval.datasets import variants
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.competition import MEAN
from tfeval.metrics.entry import ALL, COUNT, VALUE, MetricEntry
from tfeval.models import published
from tfeval.reports import by_class, failures, terminal
from tfeval.reports.comparison import p_value, points
from tfeval.reports.formats import Output
from tfeval.reports.terminal import GAP, new_table
from tfeval.runs import discovery, display
from tfeval.runs.result_file import AgainstPlainSection, counted
from tfeval.runs.run import Failure, Run
from tfeval.runs.run_classes import BY_ORDER, RunClasses
from tfeval.runs.summary import TOP
from tfeval.utils import arrow


def write_table(
  runs: Sequence[Run | Failure], show_examples: int, output: Output
) -> None:
  """Writes the tables of runs and their remarks, behind their first examples."""
  complete = [run for run in runs if isinstance(run, Run)]
  failed = [run for run in runs if isinstance(run, Failure) and not run.is_missing]
  many = len(failed) > failures.FEW
  if many:
    runs = [run for run in runs if isinstance(run, Run) or run.is_missing]
  names = discovery.distinct_names(complete)
  for run, name in zip(complete, names, strict=True) if show_examples else ():
    terminal.print_line(f'{name}, the first answers:', output.file)
    parts = run.parts(['id', 'label', 'real_labels', 'classes', 'log_probs'])
    terminal.print_table(
      examples_table(parts, show_examples, run.classes.space), output.file
    )
    terminal.print_line(file=output.file)
  tables = results_tables(runs, terminal.width_of(output.file)) if runs else []
  tables += [
    by_class.confusions_table(run.result, name)
    for run, name in zip(complete, names, strict=True)
    if run.result.confusions
  ]
  if many:
    tables.append(failures.failures_table(failed, output.wording))
  for table in tables:
    terminal.print_table(table, output.file)
    terminal.print_line(file=output.file)
  for line in remarks(runs):
    terminal.print_paragraph(output.wording(line), output.file)


def write_json(runs: Sequence[Run | Failure], _: int, output: Output) -> None:
  """Writes a list of results; of a model that failed, or a missing set, why."""
  terminal.print_json(
    [
      {
        'dataset' if run.is_missing else 'model': {'name': run.name},
        'error': output.wording(run.reason),
      }
      if isinstance(run, Failure)
      else run.result
      for run in runs
    ],
    output.file,
  )


def results_tables(
  runs: Sequence[Run | Failure], width: int = 80
) -> list[terminal.Table]:
  """Returns the tables of runs: of counted metrics, and of other values.

  Args:
    runs: of models, also those that failed.
    width: how many columns a table may have. Where a model's name would have to be
      broken, names stand above their metrics, not beside them.
  """
  metrics = [metric for run in runs if isinstance(run, Run) for metric in run.metrics]
  there = {metric.kind for metric in metrics}
  tables = []
  if COUNT in there or VALUE not in there:
    titles = ('correct', 'of', 'skipped', '%', '95 % interval')
    tables.append(_table(runs, COUNT, _figures, titles, width))
  if VALUE in there:
    tables.append(_table(runs, VALUE, _value, ('of', 'skipped', 'value'), width))
  return tables


def _table(
  runs: Sequence[Run | Failure],
  kind: str,
  cells: Callable[[MetricEntry], list[str]],
  titles: Sequence[str],
  width: int,
) -> terminal.Table:
  """Returns a table with a row for each metric of a kind of each run."""
  models: list[tuple[list[str], list[list[str]]]] = []
  for run, name in zip(runs, discovery.distinct_names(runs), strict=True):
    names = [name]
    if isinstance(run, Failure):
      models.append((names, [['missing' if run.is_missing else 'failed']]))
      continue
    if run.result.state:
      names.append(f'({run.result.state})')
    found = [metric for metric in run.metrics if metric.kind == kind]
    metrics = [[display.metric_name(m.labels, m.key), *cells(m)] for m in found]
    models.append((names, metrics))
  beside = [
    [[name, *row] for name, row in itertools.zip_longest(*model, fillvalue='')]
    for model in models
  ]
  if _width([['model', 'metric', *titles], *itertools.chain(*beside)]) <= width:
    return _sections(['model', 'metric'], titles, beside)
  above = [
    [*([name] for name in names), *([f'  {row[0]}', *row[1:]] for row in rows)]
    for names, rows in models
  ]
  return _sections(['model and metric'], titles, above)


def _width(rows: Sequence[Sequence[str]]) -> int:
  """Returns how wide a table is in which no cell is broken."""
  columns = itertools.zip_longest(*rows, fillvalue='')
  widths = [max(map(terminal.width_of_cell, column)) for column in columns]
  return sum(widths) + GAP * (len(widths) - 1)


def _sections(
  texts: Sequence[str],
  numbers: Sequence[str],
  sections: Iterable[Sequence[Sequence[str]]],
) -> terminal.Table:
  """Returns a table whose first columns are texts, with a gap after each section."""
  table = new_table()
  for i, title in enumerate(texts):
    table.add_column(title, overflow='fold' if i == 0 else 'ellipsis')
  for title in numbers:
    table.add_column(title, justify='right')
  for rows in sections:
    for i, row in enumerate(rows):
      table.add_row(*row, end_section=i == len(rows) - 1)
  return table


def remarks(runs: Sequence[Run | Failure]) -> list[str]:
  """Returns what a reader must know beside the figures, a line each."""
  found = []
  for run, name in zip(runs, discovery.distinct_names(runs), strict=True):
    if isinstance(run, Failure):
      what = 'is MISSING' if run.is_missing else 'FAILED'
      found.append(f'{name} {what}: {run.reason}')
      continue
    words = [f'{name} {run.key.circumstances}', *run_remarks(run)]
    found.append('; '.join(words))
  return found


def run_remarks(run: Run) -> list[str]:
  """Returns what a reader must know beside the figures of a run, a line each."""
  result = run.result
  words = [*result.caveats]
  words += [f'PREFLIGHT: {finding}' for finding in result.preflight or ()]
  words += display.chance_remarks(result)
  if result.published is not None:
    words.append(published.sentence(result.published))
  if result.subset is not None:
    of = counted(result.subset.of, 'image')
    words.append(f'subset: {result.subset.images} of {of}')
  words += _against_plain(result.against_plain)
  words += _of_classes(run)
  words += _unavailable(result.metrics)
  return words


def _against_plain(found: AgainstPlainSection | None) -> list[str]:
  """Returns what an adaptation gains or costs, in words."""
  if found is None:
    return []
  return [
    f'AGAINST PLAIN: {points(found.points / 100)} points ({found.correct:,} hits, '
    f'{found.plain_correct:,} plain, of {found.count:,}; paired interval '
    f'{points(found.low / 100)} to {points(found.high / 100)}; McNemar p '
    f'{p_value(found.p)}; {found.flips:,} answers flipped), '
    f'{display.labels_name(found.labels)} labels',
    'what it costs on clean images is told by a run on these with the same `adapt`',
  ]


def _of_classes(run: Run) -> list[str]:
  """Returns what is said of classes that are not simply those of ILSVRC2012."""
  classes, matched, words = run.classes, run.result.model.matched, []
  # Of ImageNet's classes the usual order goes without saying.
  unusual = classes.said is not None or run.result.dataset.classes is not None
  if matched and matched.by == BY_ORDER and unusual:
    words.append(_by_order(classes, matched.order))
  if others := len(classes.space) - len(classes.dataset):
    words.append(f'the model can say {others:,} more than the classes of the dataset')
  words += _of_rules(classes)
  variant = variants.of_dataset(run.result.dataset.name)
  if variant is not None and variant.unlabelled:
    words.append(
      f'images of {variant.title} are of none of the classes: tfeval leaderboard has '
      'AUPR, AUROC and FPR, beside a run of the model on imagenet2012'
    )
  return words + _no_top5(run)


def _of_rules(classes: RunClasses) -> list[str]:
  """Returns which classes compete under each rule that tables show."""
  words = []
  for name, contest in classes.competition.contests.items():
    if contest.rule.partner:
      continue
    which = f'{len(contest.columns):,} of the {classes.outputs:,} classes'
    if not contest.is_grouped:
      words.append(f'{name}: among {which} that it can say')
      continue
    those = f'{len(contest.columns):,} outputs of {len(contest.sizes):,} classes'
    if contest.rule.reduce == MEAN:
      words.append(f'{name}: the mean probability of each class among the {those}')
    elif name == ALL:
      words.append(f'{name}: among {which} that it can say, any output of a class hits')
    else:
      words.append(f'{name}: among the {those}, any output of a class hits')
  return words


def _no_top5(run: Run) -> list[str]:
  """Returns why top-5 is not there, where it was left out by itself."""
  most = TOP[-1]
  there = {(metric.name, metric.rule) for metric in run.result.metrics}
  words = []
  for rule in run.classes.competition.rules:
    count = run.classes.competing(rule)
    if 0 < count <= most and (f'top{most}', rule) not in there:
      of_rule = '' if rule == ALL else f' {rule}'
      words.append(
        f'no top-{most}{of_rule}: of {count} classes it would always be right'
      )
  return words


def _by_order(classes: RunClasses, order: list[int] | None) -> str:
  if order is None:
    order = list(range(len(classes.space)) if classes.said is None else classes.said)
  ids = classes.dataset.class_ids
  return (
    f'outputs are taken for the {len(order)} classes by order, {ids[order[0]]} to '
    f'{ids[order[-1]]}'
  )


def examples_table(
  parts: Iterable[pa.Table], count: int, space: LabelSpace
) -> terminal.Table:
  """Returns a table of the first examples: what was said and what is right.

  Args:
    parts: stored rows with `id`, `label`, `real_labels`, `classes`, `log_probs`.
    count: how many examples to show.
    space: the classes.
  """
  table = new_table()
  table.add_column('example', overflow='fold', min_width=12, max_width=28)
  for title in ('answer', 'p', 'original label', 'hit', 'ReaL labels', 'hit'):
    # A prediction may be broken between words; a number or a yes may not be cut.
    narrow = title in ('p', 'hit')
    table.add_column(title, no_wrap=narrow, min_width=4 if narrow else 9)
  # Spaces, so that names can be broken between words.
  names = space.readable_names
  for part in parts:
    part = part.slice(0, count)
    count -= len(part)
    predicted = arrow.matrix(part['classes'])[:, 0].tolist()
    probabilities = np.exp(arrow.matrix(part['log_probs'])[:, 0]).tolist()
    known = (part[name].to_pylist() for name in ('id', 'label', 'real_labels'))
    for index, p, name, label, real in zip(
      predicted, probabilities, *known, strict=True
    ):
      labels = [] if label is None else [label]
      table.add_row(
        name,
        names[index],
        '-' if np.isnan(p) else f'{p:.2f}',
        *(
          text
          for right in (labels, real or [])
          for text in (', '.join(names[r] for r in right) or '-', _hit(index, right))
        ),
      )
    if not count:
      break
  return table


def _hit(index: int, right: list[int]) -> str:
  return '-' if not right else 'yes' if index in right else 'no'


def _figures(metric: MetricEntry) -> list[str]:
  correct = '-' if metric.correct is None else f'{metric.correct:,}'
  counts = [correct, f'{metric.count:,}', f'{metric.skipped:,}']
  if metric.value is None or metric.interval is None:
    return [*counts, '-', '-']
  low, high = metric.interval.low, metric.interval.high
  return [*counts, f'{100 * metric.value:.2f}', f'{100 * low:.2f} - {100 * high:.2f}']


def _value(metric: MetricEntry) -> list[str]:
  return [f'{metric.count:,}', f'{metric.skipped:,}', display.figure(metric)]


def _unavailable(metrics: Iterable[MetricEntry]) -> list[str]:
  """Returns why metrics are not there, those with the same reason together."""
  names: dict[str, list[str]] = {}
  for metric in metrics:
    if metric.unavailable is not None:
      names.setdefault(metric.unavailable, []).append(
        display.metric_name(metric.labels, metric.key)
      )
  return [f'no {", ".join(those)}: {reason}' for reason, those in names.items()]
