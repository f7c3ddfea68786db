"""One figure of runs, by the code of pages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api import checks, given
from tfeval.metrics.competition import suffix
from tfeval.reports import asked
from tfeval.utils import errors
from tfeval.utils.arguments import truth
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.analysis.portrait import OfLabels, Portrait
  from tfeval.reports.page.content import Figure
  from tfeval.runs.run import Failure, Run

# By default.
LEVEL = 0.05
_OF_ONE = ('reliability', 'confusion')
_OF_SETS = ('severity', 'robustness')


def figure(
  *runs: Any,
  kind: str,
  output: given.Path,
  labels: Any = None,
  keep: given.Path | None = None,
  omit: given.Path | None = None,
  data_dir: given.Path | None = None,
  by: str | None = None,
  against: str = 'parameters',
  sort: str | None = None,
  allow: str | Sequence[str] = (),
  level: float = LEVEL,
  overwrite: bool = False,
) -> 'Figure':
  """Draws one figure of runs into a file, fit for a paper.

  Args:
    *runs: run directories, folders of such, or `Run`s.
    kind: `reliability` and `confusion` of one run; `pr` (precision and recall by
      confidence) and `risk_coverage` of one or several; `ranks`, `tradeoff` and
      `agreement` of several; `severity` (of corruptions) and `robustness` of runs on
      several test sets; `slices` by `by`.
    output: a .png, .svg or .pdf.
    labels, keep, omit, data_dir: see `compare`; the first label set is drawn.
    by: the attribute of slices, see `tfeval score --help`.
    against: of `tradeoff`, `parameters`, `multiply_adds` or `images_per_second`.
    sort, allow: see `leaderboard`.
    level: of significance.
    overwrite: whether a file that is there is replaced.

  Returns:
    What is drawn, and its numbers.

  Raises:
    UserError: the runs do not have it; the file is there or cannot be written;
      matplotlib is not installed.
  """
  from tfeval.reports import figures
  from tfeval.reports.plots import files as plot_files

  if kind not in asked.FIGURES:
    raise errors.unknown('`kind`', kind, asked.FIGURES)
  if against not in asked.AGAINST:
    raise errors.unknown('`against`', against, asked.AGAINST)
  if kind == 'slices' and by is None:
    raise UserError('`kind=slices` needs `by`: what slices are made by')
  level = checks.level(level)
  taken = {
    'labels': labels, 'keep': keep, 'omit': omit, 'data_dir': data_dir, 'by': by,
    'against': against != asked.AGAINST[0], 'sort': sort, 'allow': allow,
    'level': level != LEVEL,
  }  # fmt: skip
  asked.check_figure(kind, {name: asked.is_given(one) for name, one in taken.items()})
  path = given.file_path('output', output)
  assert path is not None  # It has no default.
  figures.check_path(path, truth('overwrite', overwrite), 'output')
  found = given.found(runs)
  allowed = checks.allowed(given.texts('allow', allow))
  if kind in _OF_SETS:
    drawn = _of_sets(found, kind)
  else:
    read = given.labels_and_subset(found, labels, keep, omit, data_dir)
    if kind in ('ranks', 'tradeoff'):
      drawn = _of_board(found, kind, read, sort, level, allowed, against)
    else:
      drawn = _of_rows(given.all_complete(found), kind, read, by)
  plot_files.save(drawn, path)
  return drawn


def _of_sets(found: 'list[Run | Failure]', kind: str) -> 'Figure':
  from tfeval.analysis.across import table
  from tfeval.reports.page import across_figures

  across = table.across(found)
  if kind == 'severity':
    drawn = across_figures.severities(across)
    if drawn is None:
      raise UserError('no run is of corrupted images: evaluate with `corruption`')
    return drawn
  scatters = list(across_figures.scatters(across))
  if not scatters:
    raise UserError(
      'effective robustness needs runs of a model on imagenet2012 and on a set that '
      'ImageNet Testbed has fits of, such as imagenet_v2'
    )
  if len(scatters) > 1:
    titles = errors.listed(one.title.partition(':')[0] for one in scatters)
    raise UserError(
      f'these are runs on {len(scatters)} sets that have fits: {titles}: give those on '
      'one of them, beside imagenet2012'
    )
  return scatters[0]


def _of_board(
  found: 'list[Run | Failure]',
  kind: str,
  read: Any,
  sort: str | None,
  level: float,
  allow: list[str],
  against: str,
) -> 'Figure':
  from tfeval.analysis import leaderboard
  from tfeval.reports.page import of_leaderboard

  board = leaderboard.rank(found, *read, sort, level, allow)
  if kind == 'ranks':
    return of_leaderboard.ranks(board)
  drawn = of_leaderboard.tradeoff(board, against)
  if drawn is None:
    raise UserError(
      f'`against={against}` is known of fewer than two of the runs: imported ones do '
      'not say it'
    )
  return drawn


def _of_rows(runs: 'list[Run]', kind: str, read: Any, by: str | None) -> 'Figure':
  if kind in _OF_ONE and len(runs) != 1:
    raise UserError(f'`kind={kind}` is of one run, {len(runs)} were given')
  if kind == 'slices':
    from tfeval.analysis import portrait, slices
    from tfeval.reports.page import of_slices

    assert by is not None  # It was checked.
    metrics = (f'top1{suffix(portrait.rule_of(runs))}',)
    groups = slices.groups_by(given.groups(by), runs)
    report = slices.report(runs, by, groups, *read, metrics)
    return of_slices.figure(report, report.sliced[0])
  if kind == 'agreement':
    from tfeval.analysis import comparison, portrait
    from tfeval.reports.page import disagreement

    rule = portrait.rule_of(runs)
    found = comparison.compare(runs, *read, f'top1{suffix(rule)}')
    return disagreement.agreement(found)
  return _of_portraits(runs, kind, read)


def _of_portraits(runs: 'list[Run]', kind: str, read: Any) -> 'Figure':
  from tfeval.analysis import portrait
  from tfeval.reports.page import classes, confidence
  from tfeval.runs import discovery

  rule = portrait.rule_of(runs)
  portraits = [portrait.portray(run, *read, rule=rule) for run in runs]
  if kind == 'confusion':
    (one,) = portraits
    confusion = one.sets[0].confusion()
    if confusion is None:
      raise UserError(
        f'{one.run.path}: images have several {one.sets[0].labels} labels, or none: '
        'give other `labels`'
      )
    return classes.matrix(one.sets[0], one.run.classes.space, confusion)
  sets = [_confident(one) for one in portraits]
  if kind == 'reliability':
    return confidence.reliability(portraits[0], sets[0])
  names = discovery.distinct_names(runs) if len(runs) > 1 else None
  draw = confidence.risk_coverage
  if kind == 'pr':
    draw = confidence.precision_recall
  return draw(sets, names)


def _confident(one: 'Portrait') -> 'OfLabels':
  first = one.sets[0]
  if first.confidences is None:
    raise UserError(f'{one.run.path}: no confidences: {first.no_confidences}')
  return first
