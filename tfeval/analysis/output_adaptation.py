"""Stored outputs adapted by what a run of the same model on the source tells.

Nothing is computed by the model again, and no label of the target is read.
"""

import dataclasses
import hashlib
import logging
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from tfeval.analysis import stored_outputs
from tfeval.metrics import label_shift, ranking, temperature
from tfeval.runs import predictions, same_model
from tfeval.runs.result_file import PREDICTIONS, AdaptationSection
from tfeval.runs.run import Run
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
PRIOR, TEMPERATURE = 'prior', 'temperature'
# Rows at once: of 1000 outputs 16 MB.
_BLOCK = 2048


@dataclasses.dataclass(frozen=True, repr=False)
class OutputAdaptedRun(Run):
  """A run whose rows are made of stored outputs anew.

  Attributes:
    temperature: that logarithms of probabilities are divided by.
    weights: float64 [outputs], that probabilities are multiplied by; None: by 1.
  """

  temperature: float = 1.0
  weights: np.ndarray | None = None

  def parts(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
    for part in super().parts():
      for start in range(0, len(part), _BLOCK):
        rows = pa.Table.from_batches([self._adapted(part.slice(start, _BLOCK))])
        yield rows if columns is None else rows.select(columns)

  def _adapted(self, part: pa.Table) -> pa.RecordBatch:
    output, competition = self.result.model.output or '', self.classes.competition
    scores = stored_outputs.log_probs(self, part) / self.temperature
    if self.weights is not None:
      scores = scores + np.log(np.maximum(self.weights, stored_outputs.LEAST))
    scores = ranking.log_softmax(scores).astype(np.float32)
    if output == 'probabilities':
      scores = np.exp(scores)
    labels = arrow.to_numpy(part['label'], null=-1)
    return predictions.assemble(
      arrow.joined(part['id']),
      arrow.joined(part['image_sha256']),
      labels,
      arrow.joined(part['real_labels']),
      predictions.rank_by_rule(scores, labels, output, competition),
      scores,
    )


def adapted(run: Run, method: str, source: Run, text: str) -> OutputAdaptedRun:
  """Returns a run with outputs that are adapted to its images.

  Args:
    run: on the target, with all outputs stored.
    method: `prior`: the outputs are calibrated by a temperature on the source, and
      changed to the class frequencies under which those of the target are most likely
      (Saerens, Latinne and Decaestecker 2002); those of the source are the means of
      its calibrated probabilities, so that nothing changes where the target is the
      source. `temperature`: only the first (Guo et al. 2017).
    source: of the same model, on labelled images of the source.
    text: what the adaptation is called.

  Raises:
    UserError: the runs are not of the same model, lack outputs, or the source gives no
      temperature.
  """
  check_outputs(run)
  check_outputs(source)
  _check_same_model(run, source)
  rows = source.to_arrow(['id', 'label', 'logits'])
  log_probs = stored_outputs.log_probs(source, rows)
  fitted = _temperature(source, rows, log_probs)
  weights = None
  if method == PRIOR:
    calibrated = np.exp(ranking.log_softmax(log_probs / fitted))
    priors = np.maximum(calibrated.mean(axis=0), stored_outputs.LEAST)
    target = stored_outputs.log_probs(run, run.to_arrow(['logits']))
    if len(target) < len(priors):
      _LOG.warning(
        f'{run.path}: {len(target):,} images tell little of the frequencies of '
        f'{len(priors):,} classes: adapt={PRIOR} is likely to do harm'
      )
    try:
      found = label_shift.em_priors(ranking.log_softmax(target / fitted), priors)
    except ValueError as error:
      raise UserError(f'{run.path}: {error}') from error
    weights = found / priors
  section = AdaptationSection(
    text=text, source_sha256=_rows_sha256(source), temperature=fitted
  )
  result = run.result.replaced(model=run.result.model.replaced(adaptation=section))
  return OutputAdaptedRun(run.path, result, run.stamp, fitted, weights)


def check_outputs(run: Run) -> None:
  """Checks that a run has what is adapted, or adapted by.

  Raises:
    UserError: it has not all outputs, or no probabilities, or is adapted already.
  """
  if not run.result.store.logits:
    raise UserError(f'{run.path} needs all outputs: evaluate it with `store_logits`')
  if run.result.model.output not in ('logits', 'probabilities'):
    raise UserError(f'{run.path}: its outputs are no distribution over classes')
  if run.result.model.adaptation is not None:
    raise UserError(f'{run.path} is adapted already: give the plain run')


def _check_same_model(run: Run, source: Run) -> None:
  outputs = [
    [classes.space.class_ids[i] for i in said]
    for classes in (run.classes, source.classes)
    for said in [range(len(classes.space)) if classes.said is None else classes.said]
  ]
  here, there = run.result.model, source.result.model
  if same_model.same_weights(here, there) is None and here.name != there.name:
    _LOG.warning(
      f'{source.path} is of {there.name}, {run.path} of {here.name}, and their weights '
      'are not known: outputs are adapted by a run of the same model'
    )
  for key in ('weights_sha256', 'values_sha256', 'output', 'preprocess', 'feed'):
    mine, theirs = (getattr(one, key) for one in (here, there))
    if mine != theirs:
      raise UserError(
        f'{source.path} is of another model than {run.path}: {key} is '
        f'{str(theirs)[:40]} there and {str(mine)[:40]} here'
      )
  if outputs[0] != outputs[1]:
    raise UserError(f'{source.path} has outputs of other classes than {run.path}')


def _temperature(source: Run, rows: pa.Table, log_probs: np.ndarray) -> float:
  labels = arrow.to_numpy(rows['label'], null=-1)
  columns = source.classes.competition.columns_of(labels)
  known = columns >= 0
  if not known.any():
    raise UserError(f'{source.path} has no labels, which the temperature is fitted by')
  try:
    return temperature.fit_temperature(log_probs[known], columns[known])
  except ValueError as error:
    raise UserError(f'{source.path}: {error}') from error


def _rows_sha256(run: Run) -> str:
  parts = predictions.listed_parts(run.path / PREDICTIONS)
  return hashlib.sha256(''.join(part['sha256'] for part in parts).encode()).hexdigest()
