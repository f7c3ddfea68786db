"""`tfeval score RUN...`."""

import dataclasses
import sys
from typing import Any

from tfeval.analysis import against_plain, other_rules, output_adaptation
from tfeval.cli import console, label_flags, output, slice_flags
from tfeval.datasets import variants
from tfeval.datasets.labels import sets
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.evaluation.adaptation import request
from tfeval.metrics import accuracy, registry
from tfeval.metrics.collectors import TopPredictions
from tfeval.metrics.entry import MetricEntry
from tfeval.reports import by_class, terminal
from tfeval.runs import discovery, expectations, result_file
from tfeval.runs.run import Run, load_run
from tfeval.runs.summary import Summary
from tfeval.utils import files
from tfeval.utils.errors import UserError, listed

USAGE = """Usage: tfeval score RUN... [--flags]

  tfeval score RUN --labels=original --labels=corrected.csv --omit=doubles.txt
  tfeval score RUN --metrics=top1,nll,ece,auroc --confusions=10
  tfeval score RUN RUN --by=groups.csv

RUN is a run directory, OUTPUT_DIR/MODEL, or a folder of such. Nothing is
evaluated and nothing is written in it; TensorFlow is not needed."""


def further_usage() -> str:
  """Returns the list of metrics, for which those of other packages are loaded."""
  known = [f'  {name:<20}{metric.about}' for name, metric in registry.METRICS.items()]
  top = f'  {"topK":<20}a right class among the best K, for any K'
  return '\n'.join(['Metrics:', *known, top])


def define_flags(define) -> None:
  label_flags.define(define, 'by default all that the rows carry')
  define.string(
    'adapt',
    None,
    'Also score outputs adapted to their images without labels: prior:source=RUN or '
    'temperature:source=RUN, the run of the model on the source. Needs all outputs, '
    'which --store_logits keeps.',
  )
  define.multi_string(
    'metrics',
    [],
    f'Names of metrics, separated by commas; by default {",".join(registry.DEFAULT)}.',
  )
  define.enum(
    'interval',
    'wilson',
    list(accuracy.INTERVALS),
    "Of accuracies; Clopper-Pearson's never covers less than 95 %.",
  )
  slice_flags.define(define)
  define.string('per_class', None, 'A CSV file to write the accuracy of each class to.')
  define.bool('overwrite', False, 'Replace files that are there.')
  define.integer(
    'confusions', 0, 'Print so many of the most frequent confusions.', lower_bound=0
  )
  define.bool('json', False, 'Print a list of JSON results, nothing else.')
  output.define_expect(define)
  output.define_show_examples(define)
  output.define_class_rule(define)


def run(flags, arguments: list[str]) -> int:
  if not arguments:
    raise UserError('no run was given: tfeval score OUTPUT_DIR/MODEL ...')
  per_class = output.new_file(flags, 'per_class')
  groups = output.new_file(flags, 'write_groups')
  expected = [expectations.parse(text) for text in flags.expect]
  console.import_tensorflow_for(arguments)
  runs = [load_run(path) for path in discovery.expand(arguments)]
  names = [name.strip() for text in flags.metrics for name in text.split(',')]
  metrics = registry.check_names(names) or None
  if flags.by is not None:
    slice_flags.print_slices(flags, runs, metrics or (), groups)
    return 0
  if flags.adapt is not None:
    runs = _with_adapted(runs, flags.adapt)
  labels, subset = label_flags.read_labels(flags, runs)
  runs = [_with_rules(run, names, flags.class_rule) for run in runs]
  by_classes = per_class is not None or flags.confusions > 0
  scored: list[Run] = []
  answers: list[tuple[str, LabelSpace, dict[str, TopPredictions]]] = []
  for run in runs:
    summary = run.summary(labels, subset, metrics, by_classes)
    if (
      not isinstance(run, output_adaptation.OutputAdaptedRun)
      and labels is None
      and (found := run.contradiction(_carried(run, summary)))
    ):
      terminal.print_line(f'tfeval: {found}', sys.stderr)
    added: dict[str, Any] = {'metrics': summary.metrics(flags.interval)}
    if summary.subset is not None:
      added['subset'] = result_file.SubsetSection(
        keep=flags.keep, omit=flags.omit, images=summary.subset, of=len(summary.ids)
      )
    if by_classes:
      answers.append((run.result.model.name, run.classes.space, _answers(run, summary)))
    if flags.confusions:
      added['confusions'] = by_class.confusions(*answers[-1][1:], flags.confusions)
    result = run.result.replaced(**added)
    scored.append(dataclasses.replace(run, result=result))
  if per_class is not None:
    files.write_atomically(per_class, by_class.per_class_csv(answers), '--per_class')
  output.print_runs(scored, flags.json, flags.show_examples, flags.class_rule, names)
  if per_class is not None:
    output.say(f'the classes are in {per_class}')
  return output.exit_code(scored, expected)


def _with_adapted(runs: list[Run], text: str) -> list[Run]:
  """Returns runs, each with the same of adapted outputs behind it."""
  asked = request.parse(text)
  if not isinstance(asked, request.OfSource):
    raise UserError(
      f'--adapt={asked.text} needs the model, stored rows have its outputs alone: give '
      'it to tfeval evaluate, or one of prior:source=RUN, temperature:source=RUN'
    )
  source = load_run(str(asked.source))
  found = []
  for run in runs:
    adapted = output_adaptation.adapted(run, asked.NAME, source, asked.text)
    found += [run, against_plain.beside(run, adapted)]
  return found


def _answers(run: Run, summary: Summary) -> dict[str, TopPredictions]:
  """Returns the predictions by label set, of those with one label for each image."""
  found = summary.predictions()
  if not found:
    raise UserError(
      '--per_class and --confusions need one label for each image, '
      f'{listed(summary.label_sets)} of {run.path} do not give that'
    )
  for name in set(summary.label_sets) - found.keys():
    terminal.print_line(
      f'tfeval: {run.path}: {name} is not one label for each image: left out of '
      'what is by class',
      sys.stderr,
    )
  return found


def _with_rules(run: Run, names: list[str], class_rule: str | None) -> Run:
  """Returns a run that has the rules of metrics, and the one to be shown first."""
  first = [] if class_rule is None else [class_rule]
  shown = [variants.rule_in(run.result.dataset.name, rule) for rule in first]
  return other_rules.with_rules(run, [*other_rules.rules_of(names), *shown])


def _carried(run: Run, summary: Summary) -> list[MetricEntry]:
  """Returns the metrics that every result has, of all images."""
  added = run.ranked if isinstance(run, other_rules.RankedRun) else ()
  return [
    metric
    for metric in summary.metrics()
    if not metric.labels.endswith(sets.SUBSET_SUFFIX)
    and metric.name in registry.DEFAULT
    and metric.rule not in added
  ]
