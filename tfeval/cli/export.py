"""`tfeval export RUN...`."""

import sys

from tfeval.cli import console, label_flags, output
from tfeval.cli.command_flags import with_dashes
from tfeval.reports import formats, terminal
from tfeval.utils import files
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval export RUN... --to=FORMAT [--output=FILE] [--flags]

  tfeval export RUNS --to=csv --output=results.csv
  tfeval export RUN --to=model_index --output=model_index.yaml
  tfeval export RUN --to=eval_results --output=.eval_results/imagenet.yaml

RUN is a run directory, or a folder of such. Nothing is evaluated. Formats:
  model_index   results in the head of a model card of the Hugging Face Hub
  eval_results  values for leaderboards of benchmarks on the Hub
  csv, parquet  a row for each run, label set, metric and class rule
  markdown      a section of a model card
model_index and eval_results need tfeval[hub]. See: tfeval guide exchange"""


def define_flags(define) -> None:
  define.string('to', None, f'The format: {", ".join(formats.EXPORTS.entries)}.')
  define.string('output', None, 'The file to write (default: stdout, but for parquet).')
  define.bool('overwrite', False, 'Replace the file if there is one.')
  label_flags.define(define, 'by default those of the results')
  define.multi_string(
    'metrics',
    [],
    'Names of metrics, separated by commas, as of tfeval score; by default those of '
    'the results.',
  )
  define.multi_string(
    'hub_dataset',
    [],
    '[DATASET=]OWNER/NAME[@REVISION]: what a dataset is called on the Hub; known of '
    'imagenet2012 and some others.',
  )
  define.string(
    'model_name', None, 'What the model is called (default: as in the run).'
  )
  define.string(
    'task_id', 'default', "Of eval_results: the task in the benchmark's eval.yaml."
  )
  define.multi_string(
    'value',
    [],
    'LABELS/METRIC, such as real/top1: what eval_results has of each run (default: '
    "original/top1 by the rule of the set's authors).",
  )
  define.bool(
    'percent', False, 'Shares of model_index and eval_results in 0..100, not 0..1.'
  )
  define.string('source_url', None, 'Where the results can be looked at, for the Hub.')
  define.string('source_name', None, 'What that is called.')


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval export OUTPUT_DIR/MODEL --to=FORMAT')
  if flags.to is None:
    raise UserError(f'--to is missing: one of {", ".join(formats.EXPORTS)}')
  exporter = formats.EXPORTS[flags.to]
  if flags.to == 'parquet' and not flags.output:
    raise UserError('--to=parquet is no text: give --output=FILE')
  target = output.new_file(flags, 'output')
  request = _request(flags)
  export = exporter(_runs(flags, arguments), request)
  for remark in export.remarks:
    output.say(with_dashes(remark))
  if target is None:
    terminal.print_text(export.content.decode(), sys.stdout)
  else:
    files.write_atomically(target, export.content, '--output')
    output.say(f'written: {target}')
  return 0


def _request(flags):
  # Arrow, which help does not need.
  from tfeval.reports.exchange import hub
  from tfeval.reports.exchange.export import Request

  request = Request(
    output=flags.output or '',
    model_name=flags.model_name or '',
    hub_datasets=hub.parse_datasets(flags.hub_dataset),
    task_id=flags.task_id,
    values=tuple(flags.value),
    percent=flags.percent,
    source_url=flags.source_url or '',
    source_name=flags.source_name or '',
  )
  hub.source_of(request)
  return request


def _runs(flags, arguments: list[str]):
  """Returns the runs with the metrics that are asked for."""
  import dataclasses

  from tfeval.metrics import registry
  from tfeval.runs import discovery
  from tfeval.runs.run import load_run

  console.import_tensorflow_for(arguments)
  runs = [load_run(path) for path in discovery.expand(arguments)]
  names = [name.strip() for text in flags.metrics for name in text.split(',')]
  metrics = registry.check_names(names) or None
  labels, subset = label_flags.read_labels(flags, runs)
  found = []
  for run in runs:
    summary = run.summary(labels, subset, metrics)
    scored = summary.metrics()
    if labels is None and subset is None and metrics is None:
      if contradiction := run.contradiction(scored):
        output.say(contradiction)
      # Of labels in a file a result has metrics that the rows alone do not give.
      by_key = {(one.labels, one.key): one for one in scored}
      scored = [by_key.get((one.labels, one.key), one) for one in run.metrics]
    run = dataclasses.replace(run, result=run.result.replaced(metrics=scored))
    found.append(run)
  return found
