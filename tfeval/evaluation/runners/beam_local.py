"""The Python runner of Beam on this machine. Imported where Beam is installed.

`DirectRunner` may be another program, which is downloaded; this is always the one in
Python. That waits for ever for a process of its workers that was ended, or says that a
channel was closed. Here the pipeline ends with `WorkerEnded` then, and can be run
again: pieces that are done are left out.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import grpc
from apache_beam.portability import python_urns
from apache_beam.portability.api import (
  beam_fn_api_pb2,
  beam_provision_api_pb2,
  endpoints_pb2,
)
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from google.protobuf import json_format, text_format

_URN = 'tfeval:environment:worker_process:v1'
_COMMAND = (sys.executable, '-m', 'apache_beam.runners.worker.sdk_worker_main')
# How often the end of a worker is told to whoever may wait for it.
_SECONDS = 0.5
# How many times a process that was told to end is looked at before it is ended.
_PATIENCE = 40


class WorkerEnded(RuntimeError):
  """A process of a worker was ended, such as by who watches over memory."""


class LocalRunner(fn_runner.FnApiRunner):
  """Runs pipelines in this process, or in several of this machine."""

  def run_pipeline(self, pipeline: Any, options: Any) -> Any:
    """Runs a pipeline to its end.

    Raises:
      WorkerEnded: a process of a worker was ended.
    """
    # As `DirectRunner` does: workers are told the options.
    encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
    information = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
    self._provision_info = fn_runner.ExtendedProvisionInfo(information)
    _ended.clear()
    try:
      with _threads_in_silence():
        return super().run_pipeline(pipeline, options)
    except Exception as error:
      # Whoever notices first that it is gone says it in words of its own.
      if _ended:
        raise WorkerEnded(_ended[0]) from error
      raise

  def run_stages(self, stage_context: Any, stages: Any) -> Any:
    for one in stage_context.components.environments.values():
      if one.urn == python_urns.SUBPROCESS_SDK:
        one.urn = _URN
    return super().run_stages(stage_context, stages)


@contextlib.contextmanager
def _threads_in_silence() -> Iterator[None]:
  """Shows no tracebacks of Beam's threads for what the end of a process causes."""
  before = threading.excepthook

  def hook(told: threading.ExceptHookArgs) -> None:
    if not issubclass(told.exc_type, grpc.RpcError):
      before(told)

  threading.excepthook = hook
  try:
    yield
  finally:
    threading.excepthook = before


@worker_handlers.WorkerHandler.register_environment(_URN, bytes)
class _ProcessHandler(worker_handlers.GrpcWorkerHandler):
  """A process of a worker, whose end is told to who waits for what it does."""

  def __init__(self, command: bytes, state: Any, provision_info: Any, server: Any):
    super().__init__(state, provision_info, server)
    del command
    self._stopped = threading.Event()

  def start_worker(self) -> None:
    """Starts the process."""
    self._output = tempfile.TemporaryFile()
    self._process = subprocess.Popen(
      _COMMAND,
      env=os.environ | self._told(),
      stdin=subprocess.DEVNULL,
      stdout=self._output,
      stderr=self._output,
    )
    _started.append(self._process)
    self._thread = threading.Thread(target=self._watch, daemon=True)
    self._thread.start()

  def _told(self) -> dict[str, str]:
    """Returns the variables by which the process finds this one."""
    options = self.provision_info.provision_info.pipeline_options
    control = endpoints_pb2.ApiServiceDescriptor(url=self.control_address)
    logs = self.logging_api_service_descriptor()
    return {
      'CONTROL_API_SERVICE_DESCRIPTOR': text_format.MessageToString(control),
      'LOGGING_API_SERVICE_DESCRIPTOR': text_format.MessageToString(logs),
      'PIPELINE_OPTIONS': json_format.MessageToJson(options),
      'WORKER_ID': self.worker_id,
    }

  def _watch(self) -> None:
    code = self._process.wait()
    if not code or self._stopped.is_set():
      return  # It was told to.
    _ended.append(f'process {self._process.pid} ended with {code}{self._said(code)}')
    while True:
      # Again and again: more may be asked of it until the pipeline ends.
      for asked, future in list(self.control_conn._futures_by_id.items()):
        future.set(
          beam_fn_api_pb2.InstructionResponse(instruction_id=asked, error=_ended[0])
        )
      if self._stopped.wait(_SECONDS):
        return

  def _said(self, code: int) -> str:
    """Returns the last lines of a program that failed; a signal lets it say nothing."""
    if code < 0:
      return ''
    self._output.seek(0)
    lines = self._output.read().decode(errors='replace').split('\n')
    return ''.join(f': {line.strip()[:200]}' for line in lines[-3:] if line.strip())

  def close(self) -> None:
    """Ends the process; where another one was ended, in the midst of its work."""
    if _ended:
      self._process.kill()
    try:
      super().close()
    except Exception:
      if not _ended:
        raise
    finally:
      self.stop_worker()

  def stop_worker(self) -> None:
    """Waits for the end of the process, which was told to end."""
    if self._stopped.is_set():
      return
    for _ in range(_PATIENCE):
      try:
        self._process.wait(_SECONDS)
        break
      except subprocess.TimeoutExpired:
        if _ended:
          break
    self._process.kill()
    self._process.wait()
    self._stopped.set()
    self._thread.join()
    _started.remove(self._process)
    self._output.close()


_started: list[subprocess.Popen[bytes]] = []
# What became of processes that nobody told to end, in the pipeline that runs.
_ended: list[str] = []


def end_workers() -> None:
  """Ends the processes that were started from here."""
  for process in list(_started):
    process.kill()
