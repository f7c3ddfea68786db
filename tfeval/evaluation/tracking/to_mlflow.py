"""MLflow, by its client alone: no global state, no run that is active."""

import contextlib
import importlib.util
import logging
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tfeval.utils.errors import UserError

# What a tracking server or store is named by (mlflow.org, "Backend Stores").
_SERVERS = ('http', 'https', 'databricks', 'uc')
_DATABASES = ('sqlite', 'mysql', 'mssql', 'postgresql')
# Else a server that is not there is asked seven times, for minutes.
_BOUNDS = {
  'MLFLOW_HTTP_REQUEST_MAX_RETRIES': '1',
  'MLFLOW_HTTP_REQUEST_TIMEOUT': '15',
  'MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR': '1',
  # It reports to its makers by default.
  'MLFLOW_DISABLE_TELEMETRY': 'true',
}
_EXPERIMENT = 'MLFLOW_EXPERIMENT_NAME'
# mlflow/utils/validation.py: characters, and lengths of keys and values of params.
_NO_NAME = re.compile(r'[^\w./ :-]+')
_LONGEST_KEY, _LONGEST_VALUE, _AT_ONCE = 250, 500, 100
_NOISY = ('mlflow', 'alembic', 'urllib3', 'sqlalchemy')


class MlflowTracker:
  """A run in an experiment, `MLFLOW_EXPERIMENT_NAME` or tfeval."""

  def __init__(self, where: str):
    if importlib.util.find_spec('mlflow') is None:
      raise UserError("mlflow is not installed: pip install 'tfeval[mlflow]'")
    scheme, colon, _ = where.partition(':')
    known = scheme.partition('+')[0]
    if not colon or known not in (*_SERVERS, *_DATABASES, 'file'):
      raise UserError(
        f'`log_to=mlflow:{where}`: expected the URI of a store, such as '
        'sqlite:///mlflow.db or http://localhost:5000'
      )
    if known in _DATABASES and importlib.util.find_spec('sqlalchemy') is None:
      raise UserError(
        f"stores of {known} need sqlalchemy: pip install 'tfeval[mlflow]'"
      )
    folder = pathlib.Path(where.removeprefix('sqlite:///').partition('?')[0]).parent
    if known == 'sqlite' and not folder.is_dir():
      # MLflow would try for minutes.
      raise UserError(f'`log_to=mlflow:{where}`: {folder} is no folder: make it first')
    self._where, self._client, self._run = where, None, ''
    if known == 'file':
      self._check_folder()

  def _check_folder(self) -> None:
    """Checks that this MLflow takes folders, which later versions do not."""
    try:
      with _quiet():
        self._connected()
    except Exception as error:
      raise UserError(
        f'`log_to=mlflow:{self._where}`: this mlflow takes no folder: give '
        f'sqlite:///FILE.db ({str(error)[:100]})'
      ) from error

  def _connected(self) -> Any:
    if self._client is None:
      from mlflow import MlflowClient

      self._client = MlflowClient(self._where)
    return self._client

  def begin(self, name: str, config: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    with _quiet():
      client = self._connected()
      called = os.environ.get(_EXPERIMENT) or 'tfeval'
      found = client.get_experiment_by_name(called)
      experiment = found.experiment_id if found else client.create_experiment(called)
      self._run = client.create_run(experiment, run_name=name).info.run_id
      params = [
        Param(_name(key), str(value)[:_LONGEST_VALUE]) for key, value in config.items()
      ]
      for at in range(0, len(params), _AT_ONCE):
        client.log_batch(self._run, params=params[at : at + _AT_ONCE])

  def log(self, values: Mapping[str, float], step: int) -> None:
    import time

    from mlflow.entities import Metric

    now = int(1000 * time.time())
    metrics = [
      Metric(_name(key), float(value), now, step) for key, value in values.items()
    ]
    with _quiet():
      for at in range(0, len(metrics), _AT_ONCE):
        self._client.log_batch(self._run, metrics=metrics[at : at + _AT_ONCE])

  def store(self, files: Mapping[str, pathlib.Path], folder: str) -> None:
    with _quiet():
      for name, path in files.items():
        inside = '/'.join(filter(None, [folder, *name.split('/')[:-1]]))
        self._client.log_artifact(self._run, str(path), inside or None)

  def end(self, succeeded: bool) -> None:
    with _quiet():
      self._client.set_terminated(self._run, 'FINISHED' if succeeded else 'FAILED')


def _name(text: str) -> str:
  """Returns a name that MLflow takes: a path of words.

  >>> _name('real/top1@restricted'), _name('../a//b')
  ('real/top1_restricted', 'a/b')
  """
  parts = (_NO_NAME.sub('_', part).strip('.') for part in text.split('/'))
  return '/'.join(filter(None, parts))[:_LONGEST_KEY] or '_'


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Where nothing is logged, of tables that are made and of retries, and those are few.

  What the user has set holds, and what the process does with MLflow elsewhere is as it
  was.
  """
  added = {name: value for name, value in _BOUNDS.items() if name not in os.environ}
  os.environ.update(added)
  loggers = [logging.getLogger(name) for name in _NOISY]
  levels = [logger.level for logger in loggers]
  for logger in loggers:
    logger.setLevel(logging.CRITICAL)
  try:
    yield
  finally:
    for name in added:
      os.environ.pop(name, None)
    for logger, level in zip(loggers, levels, strict=True):
      logger.setLevel(level)
