"""How commands print what came out, for people and for programs."""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfeval.cli.command_flags import with_dashes
from tfeval.datasets import variants
from tfeval.datasets.labels.class_sets import PARTNERS
from tfeval.metrics.entry import ALL, RESTRICTED
from tfeval.reports import failures, figures, formats, terminal
from tfeval.reports.formats import Output
from tfeval.reports.page import writing
from tfeval.reports.plots import files as plot_files
from tfeval.runs import expectations
from tfeval.runs.run import Failure, Run
from tfeval.utils import files, paths
from tfeval.utils.errors import CheckFailed, UserError, listed
from tfeval.utils.paths import Path
from tfeval.utils.registry import Registry
from tfeval.utils.shown import Shown

if TYPE_CHECKING:
  from tfeval.reports.page.content import Figure


def define_expect(definer) -> None:
  """Defines `--expect`."""
  definer.multi_string(
    'expect',
    [],
    'LABELS/METRIC:VALUE:TOLERANCE, such as original/top1:0.704:0.002: '
    'exit with 1 if it does not hold.',
  )


def define_class_rule(definer) -> None:
  """Defines `--class_rule`."""
  definer.enum(
    'class_rule',
    None,
    [ALL, RESTRICTED, *PARTNERS],
    'Which metrics tables show first, where a model can say more than the classes of '
    'the dataset: among all that it can say, or among these classes alone; of '
    'validation images, as images of another test set count (default: the rule of the '
    "set's authors).",
  )


def define_show_examples(definer) -> None:
  """Defines `--show_examples`."""
  definer.integer(
    'show_examples',
    0,
    'Print the answers to the first so many examples.',
    lower_bound=0,
  )


def print_report(
  kind: Registry[Callable[..., None]], as_json: bool, *report, format: str = 'table'
) -> None:
  """Prints a report as JSON or in another format of its kind, see `reports.formats`."""
  kind['json' if as_json else format](
    *report, Output(sys.stdout, sys.stderr, with_dashes)
  )


def print_runs(
  runs: Sequence[Run | Failure],
  as_json: bool,
  show_examples: int,
  class_rule: str | None = None,
  asked: Sequence[str] = (),
) -> None:
  """Prints runs as a list of JSON results, or as tables with their remarks.

  Args:
    runs: the runs.
    as_json: whether as JSON.
    show_examples: how many.
    class_rule: whose metrics tables show first; None: that of the set's authors.
    asked: metrics that were asked for by their names.
  """
  if not as_json:
    runs = [_shown(run, class_rule, asked) for run in runs]
  print_report(formats.RESULTS, as_json, runs, show_examples)


def _shown(run: Run | Failure, rule: str | None, asked: Sequence[str]) -> Run | Failure:
  """Returns a run whose metrics of a rule stand before the others.

  Those of validation images by rules of other sets are left out, but for that rule and
  what is asked for.
  """
  if isinstance(run, Failure):
    return run
  dataset = run.result.dataset.name
  rule = variants.rule_in(dataset, rule) if rule else variants.first_rule(dataset)
  metrics = [
    one
    for one in sorted(run.metrics, key=lambda metric: metric.rule != rule)
    if one.rule == rule or one.key in asked or not run.classes.is_partner(one.rule)
  ]
  return dataclasses.replace(run, result=run.result.replaced(metrics=metrics))


def say(text: str) -> None:
  """Says on stderr, as the last line of a command, what was written where."""
  sys.stdout.flush()  # Else what was printed before may come behind it.
  terminal.print_line(f'tfeval: {text}', sys.stderr)


def define_report(definer, overwrite: bool = True) -> None:
  """Defines `--report`, and `--overwrite` where a command has no such flag."""
  definer.string(
    'report',
    None,
    'Also write a page to this .html, which opens in a browser; needs pip install '
    "'tfeval[report]'.",
  )
  if overwrite:
    definer.bool('overwrite', False, 'Replace a page that is there.')


def report_path(flags) -> pathlib.Path | None:
  """Returns the file of `--report`, None without one.

  Raises:
    UserError: it cannot be written, or what makes pages is not installed.
  """
  if flags.report is None:
    return None
  path = pathlib.Path(flags.report).expanduser()
  writing.check_path(path, flags.overwrite, 'report')
  return path


def save_report(path: pathlib.Path | None, result: Shown) -> None:
  """Writes the page of a result, if one was asked for, and says so."""
  if path is not None:
    writing.save(result.document(), path, with_dashes, 'report')
    say(f'the page is in {path}')


def figure_path(flags) -> pathlib.Path | None:
  """Returns the file of `--figure`, None without one.

  Raises:
    UserError: it is there or cannot be written, or matplotlib is not installed.
  """
  if flags.figure is None:
    return None
  path = pathlib.Path(flags.figure).expanduser()
  figures.check_path(path, flags.overwrite)
  return path


def draw(figure: 'Figure', path: pathlib.Path) -> None:
  """Writes a figure to the file of `--figure` and says so."""
  plot_files.save(figure, path, 'figure')
  say(f'the figure is in {path}')


def new_file(flags, option: str) -> Path | None:
  """Returns the path of a file that a command is to write, None without one.

  Args:
    flags: of the command, `--overwrite` among them.
    option: the flag that names the file.

  Raises:
    UserError: see `files.check_new`.
  """
  text = flags[option].value
  if text is None:
    return None
  path = paths.path(text)
  files.check_new(path, flags.overwrite, option)
  return path


def say_where(runs: Sequence[Run | Failure]) -> None:
  """Says on stderr where the complete ones of runs are."""
  found = [run.path for run in runs if isinstance(run, Run)]
  if len(found) == 1:
    say(f'the result and the predictions are in {found[0]}')
  elif found:
    names = listed(path.name for path in found)
    say(f'{len(found)} results and their predictions are in {found[0].parent}: {names}')


def print_failures(runs: Sequence[Run | Failure]) -> None:
  """Prints on stderr what is wrong with models that could not be evaluated."""
  failed = [run for run in runs if isinstance(run, Failure)]
  if len(failed) > failures.FEW:
    terminal.print_table(failures.failures_table(failed, with_dashes), sys.stderr)
  else:
    for run in failed:
      terminal.print_line(f'tfeval: {run.name}: {with_dashes(run.reason)}', sys.stderr)


def exit_code(
  runs: Sequence[Run | Failure],
  expected: list[expectations.Expectation],
  models: int | None = None,
) -> int:
  """Returns 0 if every model was evaluated.

  Args:
    runs: what came of the models.
    expected: of their metrics.
    models: how many there were; as many as there are runs by default.

  Raises:
    UserError: some were not, or lack a metric that is expected.
    CheckFailed: an expectation does not hold.
  """
  failed = [run.name for run in runs if isinstance(run, Failure) and not run.is_missing]
  missed = expectations.missed(
    expected, [run.result for run in runs if isinstance(run, Run)]
  )
  if failed:
    count = f'{len(failed)} of {models or len(runs)} models failed: '
    raise UserError('; '.join([count + listed(failed), *missed]))
  if missed:
    raise CheckFailed('; '.join(missed))
  return 0
