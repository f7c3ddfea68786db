"""Metrics and losses of Keras, computed of the rows that an evaluation stores."""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tfeval.keras import callers
from tfeval.keras.hits import Hits
from tfeval.keras.right_classes import OfSets
from tfeval.models.keras.versions import to_numpy
from tfeval.models.model import Model
from tfeval.runs.run import Run
from tfeval.utils import errors
from tfeval.utils.code_digest import is_users
from tfeval.utils.errors import UserError

_LOG = logging.getLogger('tfeval')
LOSS = 'loss'
_ROWS = 4096  # At once: 16 MB of outputs for 1000 classes.


class F1(keras.metrics.F1Score):
  """The mean of the F1 scores of all classes, 0 for one that is nowhere."""

  def __init__(self):
    super().__init__('macro', name='f1')

  def get_config(self) -> dict[str, Any]:
    return {}


def check_metric(metric: keras.metrics.Metric) -> None:
  """Checks that a metric is one of labels and outputs.

  Raises:
    UserError: it is not.
  """
  if isinstance(metric, OfSets):
    raise UserError(
      f'metric {metric.name} is of sets of labels, of which rows have one each: '
      f"name 'real_top{metric.k}' in its place"
    )


class FromRows:
  """Metrics that take labels and all outputs of a model.

  Labels are int32 [n] or one-hot, float32 [n, outputs]. The compiled loss, and metrics
  of the user's own, get what the fit has; others int32 where their name has `sparse` in
  it, or they are of this package. Outputs are float32
  [n, outputs] as the model returns them. Of a model with a single output they are
  [n, 1], and labels float32 [n, 1], 0 or 1; two of each for those of this package.
  Images without a label are left out.
  """

  def __init__(self, asked: Sequence[Any], model: Model, trained: keras.Model):
    """Tries the metrics on the first and the last class.

    Args:
      asked: Keras metrics, and `'loss'`.
      model: as it is evaluated.
      trained: whose compiled loss that is.

    Raises:
      UserError: one cannot be computed of these outputs, or is no number.
    """
    if model.said is not None:
      raise UserError(
        'metrics of Keras need an output for each class of the dataset in their order, '
        'and these are matched by name: take names of metrics'
      )
    self._outputs, self._is_single = model.outputs, model.is_single
    self._metrics = {one.name: one for one in asked if one != LOSS}
    self._loss = _loss_of(trained) if LOSS in asked else None
    self._indices_in_fit = callers.labels_are_indices(trained)
    # Three, which no model has as the number of two classes.
    labels = np.array([0, self._outputs - 1, 0], np.int32)
    outputs = np.eye(self._outputs, dtype=np.float32)[labels]
    self._compute([(labels, outputs)])
    if self._loss is not None:
      self._check_loss(labels, outputs)

  def describe(self) -> dict[str, Any]:
    """Returns what the metrics are by their names, for JSON."""
    return {name: _description(one) for name, one in self._metrics.items()}

  def compute(self, run: Run) -> dict[str, float]:
    """Returns the metrics of a run by their names."""
    return self._compute(_rows(run))

  def _compute(self, rows: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    # One that is compiled into the model as well counts on where it was.
    before = {name: _state(one) for name, one in self._metrics.items()}
    total, count = 0.0, 0
    for metric in self._metrics.values():
      metric.reset_state()
    try:
      for labels, outputs in rows:
        for name, metric in self._metrics.items():
          with _told_in_a_line(name):
            metric.update_state(*self._given(metric, labels, outputs))
        if self._loss is not None:
          with _told_in_a_line(LOSS):
            total += self._summed_loss(*self._given(self._loss, labels, outputs))
          count += len(labels)
      found = {
        name: _number(name, metric.result()) for name, metric in self._metrics.items()
      }
    finally:
      for name, metric in self._metrics.items():
        _restore(metric, before[name])
    return found | ({} if self._loss is None else {LOSS: total / max(count, 1)})

  def _given(
    self, of: Any, labels: np.ndarray, outputs: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels and outputs as a metric or a loss takes them."""
    if self._is_single and not isinstance(of, Hits | F1):
      return labels[:, None].astype(np.float32), outputs[:, 1:]
    return self._truth(of, labels), outputs

  def _truth(self, of: Any, labels: np.ndarray) -> np.ndarray:
    if self._takes_indices(of):
      return labels
    return np.eye(self._outputs, dtype=np.float32)[labels]

  def _takes_indices(self, of: Any) -> bool:
    if isinstance(of, Hits):
      return True
    if self._indices_in_fit is not None and (of is self._loss or _is_of_users(of)):
      return self._indices_in_fit
    names = (getattr(of, 'name', None), getattr(of, '__name__', type(of).__name__))
    return any('sparse' in str(name).lower() for name in names)

  def _summed_loss(self, truth: np.ndarray, outputs: np.ndarray) -> float:
    each = self._losses(truth, outputs)
    if each.ndim == 0 or len(each) != len(outputs):
      raise ValueError(f'gives shape {each.shape} for {len(outputs)} images')
    return float(each.reshape(len(each), -1).mean(1, dtype=np.float64).sum())

  def _losses(self, truth: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    compute: Callable[..., Any] = getattr(self._loss, 'call', self._loss)
    return keras.ops.convert_to_numpy(compute(truth, keras.ops.array(outputs)))

  def _check_loss(self, labels: np.ndarray, outputs: np.ndarray) -> None:
    shapes = [
      self._losses(*self._given(self._loss, labels[:n], outputs[:n])).shape
      for n in (2, 3)
    ]
    if shapes[0][1:] != shapes[1][1:]:
      raise UserError(
        f'metric loss: the compiled one gives {shapes[1]} for 3 images, so each '
        'depends on the others: labels are [n] and outputs [n, classes], give labels a '
        'dimension more in it, or leave loss out of metrics'
      )


def _is_of_users(metric: Any) -> bool:
  """Returns whether what a metric computes is code of the user's."""
  computes = getattr(metric, '_fn', None) or type(metric)
  return is_users(getattr(computes, '__module__', None))


def _loss_of(model: keras.Model) -> Any:
  loss = model.loss
  if isinstance(loss, str):
    loss = keras.losses.get(loss)
  outputs = getattr(model, 'output_names', None) or []
  if not callable(loss) or len(outputs) > 1:
    raise UserError(
      f'metric loss: the model is compiled with {type(loss).__name__} for '
      f'{max(1, len(outputs))} outputs, expected one loss of one output: leave it out '
      'of metrics'
    )
  if model.losses:
    _LOG.warning(
      'loss is the mean of the compiled one: regularisers and add_loss of '
      f"{model.name}, which Keras' own val_loss has too, are left out"
    )
  return loss


def _rows(run: Run) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Yields labels and outputs of the images that have a label."""
  for part in run.parts(['label', 'logits']):
    for start in range(0, part.num_rows, _ROWS):
      rows = part.slice(start, _ROWS)
      rows = rows.filter(rows['label'].is_valid())
      if rows.num_rows:
        labels = rows['label'].to_numpy().astype(np.int32)
        values = rows['logits'].combine_chunks().flatten().to_numpy()
        yield labels, values.reshape(rows.num_rows, -1)


@contextlib.contextmanager
def _told_in_a_line(name: str) -> Iterator[None]:
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    raise UserError(
      f'metric {name} cannot be computed of labels and outputs: '
      f'{errors.one_line(error, 200)}'
    ) from error


def _number(name: str, value: Any) -> float:
  value = np.asarray(keras.ops.convert_to_numpy(value))
  if value.shape != ():
    raise UserError(
      f'metric {name} gives values of shape {value.shape}, expected one number: '
      "give it an average, 'macro' say"
    )
  return float(value)


def _state(metric: keras.metrics.Metric) -> list[np.ndarray]:
  return [to_numpy(one) for one in metric.variables]


def _restore(metric: keras.metrics.Metric, values: list[np.ndarray]) -> None:
  if not values:  # Its variables were made here.
    metric.reset_state()
  for variable, value in zip(metric.variables, values, strict=False):
    variable.assign(value)


def _description(metric: keras.metrics.Metric) -> Any:
  kind = type(metric)
  described = {'class': f'{kind.__module__}.{kind.__qualname__}', 'name': metric.name}
  try:
    config = keras.saving.serialize_keras_object(metric)['config']
  except Exception:  # It cannot be saved.
    return described
  return described | {'config': config}
