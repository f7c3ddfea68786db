"""One model's evaluation on several hosts: each stores a share, host 0 joins them."""

import contextlib
import logging
from typing import Any

from tfeval.evaluation import manifest, recorder
from tfeval.evaluation.hosts import agreement, shares
from tfeval.evaluation.job import Job
from tfeval.evaluation.preflight import preflight
from tfeval.runs import predictions, run, run_directory
from tfeval.runs.result_file import PREDICTIONS
from tfeval.utils import errors, paths, progress, untrusted
from tfeval.utils.errors import BeingWritten, UserError

_LOG = logging.getLogger('tfeval')
# Images that host 0 looks at again, spread over all parts.
_SAMPLE = 64


class SharedJob(Job):
  """A job of one host among several, which `result` makes one run of."""

  def __init__(self, *args: Any):
    """Plans the share of this host; see `Job`.

    Raises:
      UserError: as `Job`, hosts could not tell that their models are the same, or the
        share is a link to elsewhere.
    """
    super().__init__(*args)
    why = manifest.why_unidentifiable(self.manifest)
    if why is not None:
      raise UserError(
        f'{self._model.name}: {why}: several hosts could not tell that theirs is the '
        'same'
      )
    self._hosts = self.runtime.hosts
    self._share = self.directory / self._hosts.directory()
    untrusted.check_inside(self._share, self.directory)
    self._described = agreement.describe_host(self.manifest, self._hosts)
    self._is_to_join = False

  def find_run(self) -> run.Run | None:
    found = super().find_run()
    if found and not self._hosts.index:
      self._remove_shares()
    return found

  def _remove_shares(self) -> None:
    """Removes the shares of a complete run, those too that a kill has left."""
    # Another process of a host may look at its share right now, and finds the run.
    with contextlib.suppress(BeingWritten):
      run_directory.remove_shares(self.directory)

  def start(self, sample: preflight.Sample | None) -> None:
    self._check_agreement()
    super().start(sample)

  def _check_agreement(self) -> None:
    agreement.check_agreement(self.directory, self._described, self._hosts)

  @property
  def _written_directory(self) -> paths.Path:
    return self._share if self._hosts.index else self.directory

  def _open_store(self) -> None:
    """Opens the store of this host, unless its share is done."""
    done = manifest.is_done(self._share, self._described) and shares.is_whole(
      self._share, self.shard, not self.skip_errors
    )
    if not self._hosts.index:
      self._begin_run(self.directory, self.manifest, resumed=False)
    if not done:
      self._open_recorder(self._share, self._described)

  def finalize(self) -> None:
    """Marks the share of this host as done."""
    hosts, share = self._hosts, self._share
    if self.recorder:
      self.recorder.flush()
      seconds = self._elapsed()
      shares.finish_share(share, self.shard, self.recorder.added, seconds)
    self._is_to_join = not hosts.index
    if hosts.index and self.runtime.progress is not progress.hidden:
      _LOG.info(
        'the %d images of host %d are done in %s: host 0 joins them',
        len(self.shard),
        hosts.index,
        share,
      )
      if not (self.directory / hosts.directory(0)).is_dir():
        _LOG.warning(
          'nothing of host 0 is in %s yet: it has to share this `output_dir`',
          self.directory,
        )

  def _unlock(self) -> None:
    # Until it has joined them nobody else may remove the shares.
    if not self._is_to_join:
      super()._unlock()

  def result(self) -> run.Run:
    """Returns the run of all hosts: host 0 waits for them and makes it.

    Raises:
      UserError: a host does not finish in time, or runs something else.
      Interrupted: Ctrl-C or SIGTERM; what was evaluated is kept.
    """
    try:
      if self.run is None:
        self.run = self._wait_for_run() if self._hosts.index else self._join()
    finally:
      self._locks.close()
    return self.run

  def _join(self) -> run.Run:
    """Waits for all hosts and makes one run of their shares."""
    directory, hosts = self.directory, self._hosts
    images = self.runtime.dataset.num_examples
    name, others = f'{self.request.label}: other hosts', images - len(self.shard)
    try:
      with self.runtime.progress(name, others) as advance:
        agreement.wait(
          directory,
          self._described,
          hosts,
          self.config.hosts.host_timeout,
          advance,
        )
    except KeyboardInterrupt as error:
      raise errors.Interrupted(
        f'all is kept in {directory}: the same command waits for the other hosts again'
      ) from error
    if self.find_run():
      return self.run
    self._check_agreement()
    positions = shares.merge_shares(directory, self.manifest, hosts, images)
    store = directory / PREDICTIONS
    # Of the shares of other hosts too, whose data may be others.
    parts = predictions.listed_parts(store)
    each = -(-_SAMPLE // max(1, len(parts)))
    recorder.check_same_images(self.runtime.dataset, store, parts, each)
    joined = self._complete(positions, *shares.timing(directory, hosts))
    self._remove_shares()
    return joined

  def _wait_for_run(self) -> run.Run:
    """Waits until host 0 has joined the shares."""
    agreement.wait_for_run(self.directory, self._hosts, self.config.hosts.host_timeout)
    joined = run.load_run(self.directory)
    other = manifest.difference(joined.result, self.manifest)
    if other:
      key, theirs, ours = other
      raise UserError(
        f'{self.directory} was joined of another experiment: {key} is '
        f'{theirs!r} there and {ours!r} here: choose another '
        '`output_dir`'
      )
    return joined


def make_job(request, model, protocol, config, runtime, step=None, steps=None) -> Job:
  """Returns the job of this host, be it one of several; arguments are those of `Job`.

  Raises:
    UserError: the model cannot be evaluated as the config says.
  """
  made = SharedJob if runtime.hosts.count > 1 else Job
  return made(request, model, protocol, config, runtime, step, steps)
