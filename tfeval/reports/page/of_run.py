"""A run as a page, and as a cell of a notebook."""

from tfeval.analysis.portrait import Portrait
from tfeval.metrics.entry import ALL, MetricEntry
from tfeval.reports.page import about_run, classes, confidence, counts
from tfeval.reports.page.content import Document, Facts, Part, Section
from tfeval.runs import display
from tfeval.runs.run import Run


def document(run: Run) -> Document:
  """Returns what the result file alone tells, without reading rows."""
  metrics = shown(run, run.metrics)
  parts: list[Part] = [counts.count_table([('', metrics)])]
  if (values := counts.value_table([('', metrics)])) is not None:
    parts.append(values)
  parts += counts.unavailable([('', metrics)])
  return Document(
    run.key.title,
    [Section('Counts', parts)],
    str(run.path),
    [*run.result.caveats, *display.chance_remarks(run.result)],
  )


def whole(portrait: Portrait, more: list[Section]) -> Document:
  """Returns all that the rows tell.

  Args:
    portrait: of the run.
    more: sections that stand before how it was made.
  """
  run = portrait.run
  return Document(
    f'{run.key.model_name}: {figure(portrait.metrics, portrait.rule)}',
    [
      counted(portrait),
      confidence.section(portrait),
      classes.section(portrait),
      *more,
      about_run.section(run),
    ],
    run.key.title,
    [
      *run.result.caveats,
      *(f'PREFLIGHT: {one}' for one in run.result.preflight or ()),
      *display.chance_remarks(run.result),
      *portrait.remarks,
    ],
  )


def counted(portrait: Portrait) -> Section:
  """Returns the counts, their picture, and the other metrics."""
  # What the page is of comes first.
  metrics = sorted(portrait.metrics, key=lambda one: one.rule != portrait.rule)
  named = [('', shown(portrait.run, metrics))]
  parts: list[Part] = [counts.count_table(named), counts.count_figure(named)]
  if (values := counts.value_table(named)) is not None:
    parts.append(values)
  parts += counts.unavailable(named)
  result = portrait.run.result
  images = [('images', f'{result.dataset.evaluated:,}')]
  if result.timing.images_per_second:
    images.append(('images per second', f'{result.timing.images_per_second:,.1f}'))
  intro = ''
  if portrait.rule != ALL:
    intro = (
      f'Confidence, classes and images below are of the rule {portrait.rule}, which '
      'says which classes compete, as the authors of this test set count.'
    )
  return Section('Counts', [Facts(images), *parts], intro)


def figure(metrics: list[MetricEntry], rule: str) -> str:
  """Returns the first figure under a rule in words, such as `top-1 70.42 %`."""
  for metric in metrics:
    if metric.value is not None and metric.rule == rule:
      name = display.metric_name(metric.labels, metric.key)
      return f'{name} {display.figure(metric)}'
  return 'no figure'


def shown(run: Run, metrics: list[MetricEntry]) -> list[MetricEntry]:
  """Returns metrics without those by rules of other sets."""
  return [one for one in metrics if not run.classes.is_partner(one.rule)]
