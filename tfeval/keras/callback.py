"""A Keras callback that evaluates while `model.fit` trains."""

import contextlib
import copy
import os
from collections.abc import Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.tracking import config_values, event_files, tracked, trackers
from tfeval.evaluation.waiting import WaitingEvaluator
from tfeval.keras import (
  callback_order,
  first_look,
  full_disk,
  in_fit,
  logged,
  schedule,
  steps,
)
from tfeval.keras.ema import check_averages, in_place_of_weights
from tfeval.keras.history import History
from tfeval.runs.run import Run
from tfeval.utils import errors, paths
from tfeval.utils.arguments import of_kind, path_text, truth, whole_number
from tfeval.utils.errors import UserError
from tfeval.utils.options import python_names

# In a fit these are other than for one evaluation: a model that has hardly learned
# shows what preflight takes for faults, and Keras shows progress of its own.
_IN_FIT = {'preflight': 'off', 'progress': False}


class EvaluateCallback(keras.callbacks.Callback):
  """Evaluates a model as `tfeval.evaluate` does, while it is trained.

      evaluate = tfeval.keras.EvaluateCallback(
          'imagenet2012_real', preprocess='tf', output_dir='evaluations')
      model.fit(images, epochs=90, callbacks=[
          evaluate,  # Before those that see its results.
          keras.callbacks.ModelCheckpoint(
              'best.keras', monitor='val_real_top1', mode='max', save_best_only=True)])

  It adds `val_top1`, `val_top5`, `val_real_top1` and `val_real_top5`, or `prefix` and
  each of `metrics`, to the logs of the batch after which it evaluated, and of the epoch
  in which it did so last. Keras calls callbacks in the order of the list: those behind
  it see them. Logs without an evaluation have none. What is in logs already, of
  `validation_data` say, stays, and a warning before the fit says so.

  Its input pipeline and its compiled step are made once. Steps are those that the
  optimizer counts (`iterations`): a fit that goes on has some already. Where a model
  trains with others than the one it was compiled with, batches are counted.

  Under a MirroredStrategy every replica evaluates. Under a MultiWorkerMirroredStrategy
  Keras' `fit` fails by itself: there, call `tfeval.evaluate` in a loop of your own.

  Attributes:
    history: a dict for each evaluation: `step` of the optimizer, `epoch` (from 0),
      `metrics` by their names in logs, `counts` of those that are counted,
      `[correct, count]`, and `run`, its directory inside `output_dir`, None unless it
      is the best one.
    prefix: of the names in logs.
    ema: whether averages of the weights are evaluated.
    output_dir: where the best run and `history.json` are, None for memory.
    best: the run with the highest `best_by`; None before the first.
  """

  def __init__(
    self,
    dataset: Any = 'imagenet2012_real',
    *,
    model: in_fit.Chosen = None,
    every_epochs: int | None = None,
    every_steps: int | None = None,
    metrics: Sequence[str | keras.metrics.Metric] | None = None,
    best_by: str | None = None,
    ema: bool = False,
    prefix: str = 'val_',
    output_dir: str | os.PathLike[str] | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    log_to: str | Sequence[str] | None = None,
    **how: Any,
  ):
    """Checks what can be checked before a fit.

    Args:
      dataset: a TFDS name, `folder:DIR`, or data of your own, see `tfeval.evaluate`.
      model: the model to evaluate in place of the one in training, such as the student
        of a distiller, a copy with averages, or an encoder with its probe; or a
        function that returns it of the one in training, before each evaluation.
      every_epochs: evaluates at the end of each so many epochs; by default of each
        one, unless `every_steps` is given.
      every_steps: evaluates after each so many steps.
      metrics: names as of `tfeval score --metrics`, `real_` before those against ReaL
        labels; `'loss'`, the mean of the compiled one over all images, without
        what layers add (regularisers, add_loss); `'f1'`, the mean of all classes;
        `keras.metrics.Metric`, which gets one-hot labels, or class indices if its name
        has `sparse` in it, and the outputs, of all images that have a label. By default
        top-1 and top-5 of all labels there are.
      best_by: the metric of which the best run is kept; by default the first.
      ema: whether to evaluate the optimizer's moving averages of the trainable
        weights, in place of these.
      prefix: of the names in logs. Several of these callbacks in one fit, for averages
        and weights or for several datasets, need one each.
      output_dir: of this callback alone; keeps the best run, in
        `step-00000012/RUN`, and `history.json`, which a fit with the same
        `output_dir` goes on after. By default runs are temporary, and the best one is
        gone with the callback.
      log_dir: scalars by step are written here, as TensorBoard reads them.
      log_to: `mlflow:URI`, `wandb:offline`, `wandb:PROJECT` or `tensorboard:DIR`, or
        several: values by step, the config, and at the end the files of the best run
        are logged there, as a run of its own for each fit.
      **how: other keywords of `tfeval.evaluate`; `preflight` is `'off'` and `progress`
        False by default.

    Raises:
      UserError: one that cannot be right.
    """
    super().__init__()
    known = {'name', 'progress', 'classes', *python_names(EvaluationConfig)}
    known -= {'output_dir', 'overwrite', 'adapt'}
    for key in how:
      if key not in known:
        raise errors.unknown('keyword of EvaluateCallback', key, known)
    if every_epochs is every_steps is None:
      every_epochs = 1
    self._every_epochs, self._every_steps = (
      value if value is None else whole_number(key, value)
      for key, value in (('every_epochs', every_epochs), ('every_steps', every_steps))
    )
    self._chosen, self._looks = in_fit.checked(model), 'preflight' not in how
    self._dataset, self._how, self.ema = dataset, _IN_FIT | how, truth('ema', ema)
    of_kind('best_by', best_by, str | None, 'the name of a metric')
    self._metrics = logged.LoggedMetrics(metrics, best_by, self._how)
    if not (isinstance(prefix, str) and prefix):
      raise UserError(f'prefix is {prefix!r}, expected the start of names in logs')
    self.prefix = prefix
    directory = path_text('output_dir', output_dir)
    self.output_dir = directory and paths.path(directory).resolve()
    self._log_dir = path_text('log_dir', log_dir)
    self._log_to = trackers.targets(log_to)
    self._series: tracked.Series | None = None
    self._evaluated_model: in_fit.EvaluatedModel | None = None
    self._writer: event_files.ScalarWriter | None = None
    self._steps = steps.Steps()
    self._evaluated = False
    self._kept: History | None = None

  # Keras 2 asks this of each callback, and reads what it logs where it need not be.
  _supports_tf_logs = True

  def _implements_train_batch_hooks(self) -> bool:
    return True

  def _implements_test_batch_hooks(self) -> bool:
    return False

  def _implements_predict_batch_hooks(self) -> bool:
    return False

  def __deepcopy__(self, memo: dict[int, Any]) -> Self:
    # As KerasTuner does for each trial. Data and models have no copies.
    shared = (self._dataset, self._chosen)
    memo |= {id(self): (found := type(self).__new__(type(self)))}
    memo |= {id(one): one for one in shared}
    vars(found).update(copy.deepcopy(vars(self), memo))
    return found

  @property
  def _evaluator(self) -> WaitingEvaluator:
    return self._evaluated_model.evaluator

  @property
  def history(self) -> list[dict[str, Any]]:
    return [] if self._kept is None else self._kept.entries

  @property
  def best(self) -> Run | None:
    return None if self._kept is None else self._kept.best

  def set_model(self, model: keras.Model) -> None:
    super().set_model(model)
    if isinstance(model.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
      raise UserError(
        "Keras' fit fails under MultiWorkerMirroredStrategy: train in a "
        'loop of your own, where every worker calls tfeval.evaluate'
      )

  def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
    model = self.model
    self._check_in_fit()
    self._close()  # That of a fit that did not come to its end.
    if self.ema:
      check_averages(model)
    if self._evaluated_model is None or self._evaluated_model.trained is not model:
      self._begin_model(model)
    self._evaluated_model.begin()
    self._metrics.open(self._evaluator, model, self._dataset)
    self._hidden = logged.hidden(self.prefix, self._metrics.names, model)
    if self._kept is None or self.output_dir is not None:
      best_by = self.prefix + self._metrics.best_by
      self._kept = History(self.output_dir, self._identity(), best_by)
    self._steps.go_on_after(self._kept.last_step)
    try:
      callback_order.check_order(
        self,
        schedule.Schedule.of_fit(
          self, self._every_epochs, self._every_steps, self._steps.step
        ),
      )
    except UserError:
      self._close()  # Another fit may take its directory.
      raise
    if self._log_dir is not None:
      self._writer = event_files.ScalarWriter(self._log_dir)
    self._series = tracked.Series(self._log_to, self._how.get('name') or model.name)

  def _begin_model(self, model: keras.Model) -> None:
    self._evaluated_model = in_fit.EvaluatedModel(
      model, self._chosen, self._dataset, self._how
    )
    self._steps, self._kept = steps.Steps(), None
    self._first_look = first_look.FirstLook(self._looks)
    self._stale = in_fit.Stale()

  def _identity(self) -> dict[str, Any] | None:
    """Returns what is evaluated, None as long as the model is not there."""
    if not self._evaluated_model.is_taken:
      return None
    found = self._evaluator.identity()
    return found | {'ema': self.ema, 'metrics': self._metrics.identity()}

  @property
  def logged(self) -> list[str]:
    """What is added to logs, from the beginning of a fit on."""
    names = [self.prefix + name for name in self._metrics.names]
    return [name for name in names if name not in self._hidden]

  def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
    if self._series is not None and self.best is not None:
      self._series.store(self.best)
    self._close(succeeded=True)

  def _close(self, succeeded: bool = False) -> None:
    if self._kept is not None:
      self._kept.close()
    if self._writer is not None:
      self._writer.close()
      self._writer = None
    if self._series is not None:
      self._series.close(succeeded)
      self._series = None

  def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
    self._check_in_fit()  # Which may validate.

  def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
    self._check_in_fit()

  def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
    self._check_in_fit()
    self._epoch, self._evaluated, self._values = epoch, False, {}
    self._steps.begin_epoch(self.model.optimizer)

  def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
    self._check_in_fit()
    self._evaluated = False
    if self._steps.is_due(batch, self._every_steps):
      self._evaluate()
      self._evaluated = True
      self._hidden |= logged.add(logs, self._values, self._hidden)

  def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
    self._check_in_fit()
    self._steps.end_epoch()
    is_due = self._every_epochs is not None and not (epoch + 1) % self._every_epochs
    is_new = not self.ema and callback_order.swaps_before(self)  # Since the last batch.
    if is_due and (is_new or not self._evaluated):
      self._evaluate(at_epoch_end=True)
    self._hidden |= logged.add(logs, self._values, self._hidden)

  def _check_in_fit(self) -> None:
    if not callback_order.is_in_fit(self.model):
      raise UserError(
        'EvaluateCallback works inside of model.fit only: elsewhere call '
        'tfeval.evaluate'
      )

  def _evaluate(self, at_epoch_end: bool = False) -> None:
    """Evaluates, and keeps what came out."""
    step = self._steps.step
    if self._evaluated_model.take():
      self._metrics.take(self._evaluator, self.model)
      self._kept.identify(self._identity())
    averages: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if self.ema and not (at_epoch_end and callback_order.swaps_before(self)):
      averages = in_place_of_weights(self.model)
    try:
      with averages:
        run = self._run(step)
        self._first_look.after(self._evaluator, run, step)
    except full_disk.ERRORS as error:
      self._values = full_disk.lost_values(error, self.logged, step)
      return
    if self._chosen is not None:
      self._stale.check(run, step)
    self._values, counts = self._metrics.score(run, self.prefix, step)
    self._keep(run, step, counts)

  def _run(self, step: int) -> Run:
    """Returns a run that is kept where there is room."""
    output_dir = None
    try:
      output_dir = self._kept.step_directory(step)
      return self._evaluator.evaluate(output_dir and str(output_dir))
    except errors.Interrupted as error:
      self._kept.discard(output_dir)
      raise KeyboardInterrupt from error  # It tells what is kept, and nothing is.
    except full_disk.ERRORS as error:
      self._kept.discard(output_dir)
      if self.output_dir is None:
        raise
      full_disk.tell(error, f'the predictions of step {step} are not kept')
      return self._evaluator.evaluate()

  def _keep(self, run: Run, step: int, counts: dict[str, list[int]]) -> None:
    entry = {
      'step': step,
      'epoch': self._epoch,
      'metrics': self._values,
      'counts': counts,
    }
    try:
      self._kept.add(entry, run)
    except full_disk.ERRORS as error:
      full_disk.tell(error, f'step {step} is not in history.json')
    if self._writer is not None:
      try:
        self._writer.write(self._values, step)
      except full_disk.OF_EVENTS as error:
        full_disk.tell(error, f'step {step} is not in {self._log_dir}')
    if self._series is not None:
      self._series.log(config_values.with_counts(self._values, counts), step, run)
