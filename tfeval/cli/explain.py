"""`tfeval explain`."""

import dataclasses
import pathlib

from tfeval.cli import compare, console, input_flags, output
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig, find_cluster
from tfeval.evaluation.plans import ModelRequest
from tfeval.reports import figures, formats
from tfeval.utils import progress
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval explain --model=NAME --reported=61.6 [--flags]
       tfeval explain --model=NAME --predictions=FILE [--flags]
       tfeval explain RUN_A RUN_B [--flags]
       tfeval explain --list

  tfeval explain --model=MobileNetV2 --dataset=folder:VAL --reported=61.6
  tfeval explain --model=MobileNetV2 --dataset=folder:VAL --predictions=mine.npy

Why a number is another one. --reported: which steps of a pipeline done
otherwise, one or two at once, give an accuracy that somebody reports.
--predictions: under which of them the same images get the same answers, of
classes or scores from any script. Two runs: what differs, and how many points
each difference carries. --list: published effects, with their sources."""
# What `--help` shows first.
FIRST = (
  *('model', 'dataset', 'manual_dir', 'reported', 'predictions', 'axis', 'list'),
  *('batch_size', 'figure', 'output_dir', 'json'),
)

# What a search does not do, or says itself.
_WITHOUT: tuple[str, ...] = (
  *('cache_dir', 'tf_data_service', 'resize_on', 'canvas', 'rank_on', 'feed'),
  *('corruption', 'corruption_seed', 'frost_textures'),
  *('input_size', 'num_hosts', 'host_index', 'host_timeout', 'max_loaded_models'),
  # Images that cannot be decoded are answered by nobody.
  *('sample', 'limit', 'only', 'store_logits', 'adapt', 'metrics'),
  'on_error',
)
# Of `level`: of one way in it is another thing than of the other.
_UNLIKELY, _SIGNIFICANT = 0.01, 0.05


def define_flags(define) -> None:
  input_flags.define_models(define)
  parts = [field.name for field in dataclasses.fields(EvaluationConfig)]
  input_flags.define(define, parts, without=_WITHOUT)
  define.string('reported', None, 'An accuracy: percent (61.6), or hits/images.')
  define.integer(
    'reported_count',
    None,
    'Of how many other images --reported is (default: of those of --dataset).',
    lower_bound=1,
  )
  define.string(
    'predictions',
    None,
    'A file of classes or scores, a row for each image: .npy, .npz, .csv, .json, ...; '
    'see tfeval import.',
  )
  define.string(
    'order',
    'file_name',
    'Which image each row is: file_name, class_folder, or a file that lists ids.',
  )
  define.integer(
    'sample', 2000, 'How many images are looked at, at most, by id.', lower_bound=1
  )
  define.multi_string(
    'axis',
    [],
    'What may be done otherwise: AXIS or AXIS=VALUE,..., see tfeval sweep --list; may '
    'be repeated (default: all).',
  )
  define.string('labels_of', 'original', 'The label set that hits are counted by.')
  define.string('metric', 'top1', 'What a hit is.')
  define.float(
    'level',
    None,
    'Of --reported: what is seen less often than that is called unlikely (default: '
    f'{_UNLIKELY}). Of two runs: significance level; intervals cover 1 - level '
    f'(default: {_SIGNIFICANT}).',
  )
  define.integer('seed', 0, 'Of the bootstrap.', lower_bound=0)
  define.bool('list', False, 'List published effects, and evaluate nothing.')
  define.string(
    'figure',
    None,
    'Also draw the candidates into this .png, .pdf or .svg: their agreement or '
    "accuracy, or the points of differences; needs pip install 'tfeval[figure]'.",
  )
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  ways = [
    name
    for name, given in (
      ('--list', flags.list),
      ('--reported', flags.reported is not None),
      ('--predictions', flags.predictions is not None),
      ('two runs', bool(arguments)),
    )
    if given
  ]
  if len(ways) != 1:
    raise UserError(
      f'expected one of --reported, --predictions, two runs and --list, got '
      f'{" and ".join(ways) or "none"} (tfeval explain --help)'
    )
  if flags.list:
    return _list(flags)
  if flags.figure is not None:
    figures.check_path(_figure(flags))
    figures.import_matplotlib()
  level = flags.level
  if level is None:
    level = _SIGNIFICANT if arguments else _UNLIKELY
  compare.check_level(level)
  compare.check_metric(flags.metric)
  if arguments:
    return _runs(flags, arguments, level)
  return _search(flags, level)


def _search(flags, level: float) -> int:
  """Looks for departures that give a number, or answers."""
  # Arrow and SciPy, which help does not need.
  from tfeval.analysis.explanation import report
  from tfeval.reports import explanation

  given, reported = None, None
  if flags.predictions is not None:
    given = pathlib.Path(flags.predictions).expanduser()
    if not given.is_file():
      raise UserError(f'--predictions={flags.predictions}: no such file')
    if flags.reported_count is not None:
      raise UserError('--reported_count is of --reported: leave it out')
  else:
    reported = report.parse(flags.reported, flags.reported_count)
  singles = _singles(flags)
  request, config = _requested(flags)
  meant = flags.labels_of, flags.metric
  with console.quiet_tensorflow():
    from tfeval.evaluation.explain import by_predictions, by_report  # TensorFlow.
    from tfeval.evaluation.explain.rounds import Rounds
    from tfeval.runs.importing import answers

    rounds = Rounds(request, config, progress.on_stderr)
    if reported is not None:
      found = by_report.explain(rounds, reported, singles, flags.sample, *meant, level)
    else:
      assert given is not None  # One of them is.
      theirs = answers.read(given, rounds.space)
      found = by_predictions.explain(
        rounds, theirs, flags.order, singles, flags.sample, *meant
      )
  about = {
    'title': f'{request.spec.text} on {config.dataset.name}, {" ".join(meant)}, '
    f'base {found.base}: {reported.title if reported else theirs.path.name}',
    'labels': flags.labels_of,
    'metric': flags.metric,
    'level': level,
    'reported': None if reported is None else 100 * reported.value,
  }
  output.print_report(formats.EXPLANATION, flags.json, found, about)
  if flags.figure is not None:
    explanation.write_figure(found, about, _figure(flags))
    output.say(f'the figure is in {_figure(flags)}')
  return 0


def _figure(flags) -> pathlib.Path:
  return pathlib.Path(flags.figure).expanduser()


def _requested(flags) -> tuple[ModelRequest, EvaluationConfig]:
  # Its --sample is another one.
  (request, *more), config = input_flags.read_requests(flags, sample=None)
  if more:
    raise UserError('an explanation is of one model: give one --model')
  if find_cluster(config).count > 1:
    raise UserError('an explanation is made on one host: unset TF_CONFIG')
  return request, config


def _singles(flags) -> list[departures.Departure]:
  axes = flags.axis or departures.usual(flags.model)
  return [one for text in axes for one in departures.parse(text)]


def _list(flags) -> int:
  from tfeval.analysis.explanation import effects

  output.print_report(
    formats.EFFECTS, flags.json, effects.published(), effects.measured()
  )
  return 0


def _runs(flags, arguments: list[str], level: float) -> int:
  """Says what differs between two runs, and evaluates each difference if asked to."""
  if len(arguments) != 2:
    raise UserError(f'{len(arguments)} runs were given: expected two')
  from tfeval.analysis.explanation import two_runs
  from tfeval.reports import two_runs as two_runs_report
  from tfeval.runs.run import load_run

  console.import_tensorflow_for(arguments)
  first, second = (load_run(path) for path in arguments)
  found = two_runs.two_runs(first, second, flags.labels_of, flags.metric)
  changes = None
  if flags.model:
    from tfeval.evaluation.explain import by_changes

    request, config = _requested(flags)
    config = by_changes.config_of(first.result, config)
    with console.quiet_tensorflow():
      from tfeval.evaluation.explain.rounds import Rounds  # TensorFlow.

      rounds = Rounds(request, config, progress.on_stderr)
      changes = by_changes.explain(rounds, found, flags.sample)
  about = {'level': level, 'seed': flags.seed}
  output.print_report(formats.TWO_RUNS, flags.json, found, changes, about)
  if flags.figure is not None:
    two_runs_report.write_figure(found, changes, about, _figure(flags))
    output.say(f'the figure is in {_figure(flags)}')
  return 0
