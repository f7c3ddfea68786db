"""Clusters of Ray: one of others that is there, or one of this machine for a while."""

import contextlib
import importlib.util
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from tfeval.utils import environment
from tfeval.utils.errors import UserError, one_line

_LOCAL, _CLIENT = 'local', 'ray://'
_CLIENT_PORT = 10001
_SECONDS = 10
# The least that Ray takes is 75 MB; nothing large goes through it.
_OBJECT_STORE = 100 << 20
# RFC 9113, 3.4: what begins a connection of HTTP/2, and an empty SETTINGS frame, which
# its server answers with its own.
_PREFACE = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Any]:
  """Where Ray can be used; what it prints is in its own logs.

  Args:
    address: `auto`, HOST:PORT or ray://HOST:PORT of a cluster, which is left running;
      None: one is started here and ended afterwards.

  Yields:
    The module `ray`.

  Raises:
    UserError: it is not installed, or the cluster cannot be reached.
  """
  ray = _module()
  with open(os.devnull, 'w') as nowhere, contextlib.redirect_stdout(nowhere):
    if ray.is_initialized():
      yield ray  # Whoever has connected this process will want to go on with it.
      return
    _check(address)
    try:
      with _same_signals():
        _connect(ray, address)
      yield ray
    finally:
      # Of a cluster of others this ends the connection alone.
      ray.shutdown()


def _module() -> Any:
  if importlib.util.find_spec('ray') is None:
    raise UserError("ray is not installed: pip install 'tfeval[ray]'")
  # Read when it is imported, and by what it starts: nobody is told who uses it.
  environment.set_here('RAY_USAGE_STATS_ENABLED', '0')
  import ray

  return ray


def _connect(ray: Any, address: str | None) -> None:
  quiet = {'log_to_driver': False, 'logging_level': logging.ERROR}
  try:
    if address is None:
      ray.init(
        _LOCAL, include_dashboard=False, object_store_memory=_OBJECT_STORE, **quiet
      )
    else:
      ray.init(address, **quiet)
  except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
    if address is None:
      raise UserError(f'Ray cannot start on this machine: {one_line(error)}') from error
    why = 'none runs here' if address == 'auto' else one_line(error)
    raise _unreachable(address, why) from error
  except SystemExit as error:
    # Its threads of C++ end a process that has waited for a cluster.
    raise _unreachable(address or _LOCAL, 'nothing answered') from error


@contextlib.contextmanager
def _same_signals() -> Iterator[None]:
  """Where SIGTERM stays what it was: Ray would end the process without storing."""
  handler = signal.getsignal(signal.SIGTERM)
  try:
    yield
  finally:
    if threading.current_thread() is threading.main_thread():
      signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)


def _check(address: str | None) -> None:
  """Checks that a server answers: Ray itself would try for minutes."""
  if address in (None, 'auto'):
    return
  assert address is not None
  host, _, port = address.removeprefix(_CLIENT).partition('/')[0].rpartition(':')
  if not host and address.startswith(_CLIENT):
    host, port = port, str(_CLIENT_PORT)
  if not host or not port.isdigit():
    raise UserError(
      f'`ray_address={address[:200]}` is no address: give auto, HOST:PORT or '
      'ray://HOST:PORT'
    )
  try:
    with socket.create_connection((host.strip('[]'), int(port)), _SECONDS) as opened:
      if os.environ.get('RAY_USE_TLS', '0') in ('', '0'):
        opened.sendall(_PREFACE)
        if opened.recv(9)[3:4] != bytes([_SETTINGS]):
          raise ValueError('what answers is no server of Ray')
  except TimeoutError as error:
    raise _unreachable(address, f'no answer within {_SECONDS} s') from error
  except OSError as error:
    raise _unreachable(address, error.strerror or one_line(error)) from error
  except (ValueError, OverflowError) as error:
    raise _unreachable(address, one_line(error)) from error


def _unreachable(address: str, why: str) -> UserError:
  return UserError(
    f'no cluster of Ray can be reached at `ray_address={address[:200]}` ({why[:300]}): '
    'start it first, or leave it out for one of this machine'
  )


def gpus_of_worker(ray: Any, asked: float | None) -> float:
  """Returns how many GPUs a worker gets: one where the cluster has any."""
  if asked is not None:
    return asked
  return 1.0 if ray.cluster_resources().get('GPU') else 0.0


def room(ray: Any, cpus: float, gpus: float) -> int:
  """Returns how many workers fit into the cluster as it is, whoever else uses it."""
  count = 0
  for node in ray.nodes():
    if node['Alive']:
      has = node['Resources']
      fits = [
        has.get(name, 0) / needed
        for name, needed in (('CPU', cpus), ('GPU', gpus))
        if needed
      ]
      count += int(min(fits) + 1e-6) if fits else 1
  return count


def described(ray: Any) -> str:
  """Returns what a cluster has, for messages."""
  has = ray.cluster_resources()
  nodes = sum(node['Alive'] for node in ray.nodes())
  return f'{nodes} nodes with {has.get("CPU", 0):g} CPUs, {has.get("GPU", 0):g} GPUs'
