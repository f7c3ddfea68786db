"""A server of S3 on loopback, moto's, that can be made to behave badly.

`python s3_server.py` prints its port, and ends when its stdin does or after SECONDS.
`PUT /_faults` takes JSON, of `Faults`; `GET /_counts` says how often what was asked.
"""

import collections
import dataclasses
import json
import os
import sys
import threading
import time
import urllib.parse

from moto.moto_server.werkzeug_app import (
  DomainDispatcherApplication,
  MotoRequestHandler,
  create_backend_app,
)
from werkzeug.serving import make_server

SECONDS = 900
_BODY = '<Error><Code>{}</Code><Message>{}</Message></Error>'


@dataclasses.dataclass(frozen=True)
class Faults:
  """What the server does otherwise than a good one.

  Attributes:
    busy_every: each request of that number is answered 503, or 500.
    busy_always: all are.
    forbids_listing: as AWS without s3:ListBucket: 403 for lists and what is missing.
    forbids_reading: 403 for all but lists.
    forbids_all: 403 for everything.
    unknown_key: 403 for everything, as for credentials that are none.
    seconds: before each answer.
    full: 507 for whatever is written.
    ignores_conditions: If-None-Match is not looked at.
    refuses_conditions: 501 for If-None-Match.
    conflicts: as many requests with If-None-Match are answered 409.
    loses_created: what is written with If-None-Match is, and answered 500, once.
    breaks_off: as many answers to GET stop half way.
  """

  busy_every: int = 0
  busy_always: bool = False
  forbids_listing: bool = False
  forbids_reading: bool = False
  forbids_all: bool = False
  unknown_key: bool = False
  seconds: float = 0
  full: bool = False
  ignores_conditions: bool = False
  refuses_conditions: bool = False
  conflicts: int = 0
  loses_created: bool = False
  breaks_off: int = 0


class Server:
  """A WSGI application around that of moto."""

  def __init__(self):
    self._moto = DomainDispatcherApplication(create_backend_app)
    self._lock = threading.Lock()
    # As of AWS, what is asked with a condition happens at one moment; moto looks first
    # and writes then.
    self._one_write = threading.Lock()
    self.begin(Faults())

  def begin(self, faults: Faults) -> None:
    self.faults = faults
    self.counts = collections.Counter()
    self._busy, self._lost = 0, False
    self._conflicts, self._breaks = faults.conflicts, faults.breaks_off

  def __call__(self, environ, start_response):
    path, method = environ['PATH_INFO'], environ['REQUEST_METHOD']
    if path == '/_faults':
      size = int(environ['CONTENT_LENGTH'])
      self.begin(Faults(**json.loads(environ['wsgi.input'].read(size))))
      return _answer(start_response, '200 OK', b'')
    if path == '/_counts':
      return _answer(start_response, '200 OK', json.dumps(self.counts).encode())
    if path.startswith('/moto-api'):
      return self._moto(environ, start_response)
    # Unread, it would be taken for the next request.
    query = urllib.parse.parse_qs(environ['QUERY_STRING'], keep_blank_values=True)
    is_list = method == 'GET' and path.strip('/').count('/') == 0
    condition = method in ('PUT', 'POST') and 'HTTP_IF_NONE_MATCH' in environ
    with self._lock:
      name = 'LIST' if is_list else 'DELETES' if 'delete' in query else method
      self.counts[name] += 1
      refused = self._refusal(method, is_list, condition)
    time.sleep(self.faults.seconds)
    if refused:
      _drain(environ)
      return _answer(start_response, *_refusal(method, *refused))
    if self.faults.ignores_conditions:
      environ.pop('HTTP_IF_NONE_MATCH', None)
    return self._pass_on(environ, start_response, method, condition)

  def _refusal(self, method, is_list, condition):
    """Returns the status and code to refuse a request with, None to pass it on."""
    self._busy += 1
    faults = self.faults
    busy = faults.busy_every and self._busy % faults.busy_every == 0
    if busy or faults.busy_always:
      return [
        ('503 Slow Down', 'SlowDown'),
        ('503 Service Unavailable', 'ServiceUnavailable'),
        ('500 Internal Server Error', 'InternalError'),
      ][self._busy % 3]
    if faults.unknown_key:
      return '403 Forbidden', 'InvalidAccessKeyId'
    forbids = faults.forbids_listing if is_list else faults.forbids_reading
    if forbids or faults.forbids_all:
      return '403 Forbidden', 'AccessDenied'
    if faults.full and method in ('PUT', 'POST'):
      return '507 Insufficient Storage', 'XMinioStorageFull'
    if condition and faults.refuses_conditions:
      return '501 Not Implemented', 'NotImplemented'
    if condition and self._conflicts:
      self._conflicts -= 1
      return '409 Conflict', 'ConditionalRequestConflict'
    return None

  def _pass_on(self, environ, start_response, method, condition):
    seen = []

    def hear(status, headers, *_):
      seen[:] = [status, headers]

    if method in ('PUT', 'POST') and not self.faults.ignores_conditions:
      with self._one_write:
        body = b''.join(self._moto(environ, hear))
    else:
      body = b''.join(self._moto(environ, hear))
    status, headers = seen
    if self.faults.forbids_listing and status.startswith('404'):
      refusal = _refusal(method, '403 Forbidden', 'AccessDenied')
      return _answer(start_response, *refusal)
    with self._lock:
      loses = condition and self.faults.loses_created and not self._lost
      self._lost |= loses
      breaks = method == 'GET' and len(body) > 1 and self._breaks > 0
      self._breaks -= breaks
    if loses:
      refusal = _refusal(method, '500 Internal Server Error', 'InternalError')
      return _answer(start_response, *refusal)
    start_response(status, headers)
    return [body[: len(body) // 2]] if breaks else [body]


def _drain(environ):
  environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))


def _refusal(method, status, code):
  return status, b'' if method == 'HEAD' else _BODY.format(code, 'no').encode()


def _answer(start_response, status, body):
  start_response(status, [('Content-Length', str(len(body)))])
  return [body]


def _end_with_stdin():
  sys.stdin.read()
  os._exit(0)


def main():
  server = make_server(
    '127.0.0.1', 0, Server(), threaded=True, request_handler=MotoRequestHandler
  )
  threading.Thread(target=_end_with_stdin, daemon=True).start()
  threading.Timer(SECONDS, os._exit, [1]).start()
  print(server.server_port, flush=True)
  server.serve_forever()


if __name__ == '__main__':
  main()
