"""Weights & Biases: a run of its own, beside whatever the program has."""

import contextlib
import importlib.util
import netrc
import os
import pathlib
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from tfeval.utils import environment
from tfeval.utils.errors import UserError

OFFLINE = 'offline'
# docs.wandb.ai, "Naming": what a project may not hold, and how long it may be.
_NO_PROJECT = re.compile(r'[/\\#?%:\s]')
_LONGEST_PROJECT, _LONGEST_ARTIFACT = 128, 128
_SECONDS = 30
# Of these a version takes what it knows.
_SETTINGS = {
  'silent': True,
  'console': 'off',
  'disable_git': True,
  'disable_code': True,
  'x_disable_stats': True,
  'init_timeout': _SECONDS,
  'finish_timeout': _SECONDS,
  'login_timeout': _SECONDS,
}


class WandbTracker:
  """A run in a project, or files of one that `wandb sync` sends later."""

  def __init__(self, where: str):
    if importlib.util.find_spec('wandb') is None:
      raise UserError("wandb is not installed: pip install 'tfeval[wandb]'")
    self._mode, self._project, self._run = 'online', where, None
    if where == OFFLINE:
      self._mode = OFFLINE
      self._project = os.environ.get('WANDB_PROJECT') or 'tfeval'
    elif _NO_PROJECT.search(where) or len(where) > _LONGEST_PROJECT:
      raise UserError(
        f'`log_to=wandb:{where}`: expected offline or the name of a project: without '
        f'/ \\ # ? % : and spaces, at most {_LONGEST_PROJECT} characters'
      )
    elif not _has_key():
      raise UserError(
        f'`log_to=wandb:{where}`: no key of W&B is here: `wandb login` first, or '
        'give wandb:offline'
      )

  def begin(self, name: str, config: Mapping[str, Any]) -> None:
    environment.set_here('WANDB_ERROR_REPORTING', 'false')
    import wandb

    known = wandb.Settings.model_fields
    settings = {key: value for key, value in _SETTINGS.items() if key in known}
    self._run = wandb.init(
      project=self._project,
      name=name,
      mode=self._mode,
      config=dict(config),
      # Not the run that the training may have open.
      reinit='create_new',
      settings=wandb.Settings(**settings),
    )
    # Steps of checkpoints may descend, which W&B's own may not.
    self._run.define_metric('step')
    self._run.define_metric('*', step_metric='step')

  def log(self, values: Mapping[str, float], step: int) -> None:
    self._run.log({**values, 'step': step})

  def store(self, files: Mapping[str, pathlib.Path], folder: str) -> None:
    import wandb

    name = re.sub(r'[^\w.-]', '_', folder or self._run.name or 'run', flags=re.ASCII)
    artifact = wandb.Artifact(f'tfeval-{name}'[:_LONGEST_ARTIFACT], 'tfeval-run')
    for inside, path in files.items():
      artifact.add_file(str(path), name=inside)
    self._run.log_artifact(artifact)

  def end(self, succeeded: bool) -> None:
    self._run.finish(exit_code=0 if succeeded else 1)


def _has_key() -> bool:
  """Whether W&B would ask for no key, which nobody may be there to type."""
  if os.environ.get('WANDB_MODE', 'online') != 'online':
    return True
  if any(map(os.environ.get, ('WANDB_API_KEY', 'WANDB_IDENTITY_TOKEN_FILE'))):
    return True
  url = os.environ.get('WANDB_BASE_URL') or 'https://api.wandb.ai'
  file = os.environ.get('NETRC') or os.path.expanduser('~/.netrc')
  with contextlib.suppress(OSError, netrc.NetrcParseError):
    return (
      netrc.netrc(file).authenticators(urllib.parse.urlsplit(url).netloc) is not None
    )
  return False
