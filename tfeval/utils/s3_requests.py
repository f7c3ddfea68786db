"""Requests to S3 through fsspec: sent again where that helps, errors of Python.

A server that answers 429 or 5xx, or breaks off, is asked again: by botocore at once
(AWS_MAX_ATTEMPTS and AWS_RETRY_MODE, 5 times where nothing is set), and so in some
rounds with longer waits between them. About a minute later it is an error.
"""

import errno
import functools
import os
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tfeval.utils import errors
from tfeval.utils.errors import UserError

_Answer = TypeVar('_Answer')
# Between rounds, on the average; in between a store that grows has split its load.
_WAITS = (1, 2, 4, 8)
_BUSY = (408, 429, 500, 502, 503, 504)
# What a server says whose disks or whose user's share of them are full: MinIO, Ceph.
_FULL = ('XMinioStorageFull', 'QuotaExceeded', 'InsufficientStorage')
_ADVICE = (
  'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and see that they '
  'may read and write there'
)


class NotImplementedByServer(OSError):
  """The server does not know what it was asked for."""


class _Busy(OSError):
  """What may go well a little later."""


def split(url: str) -> tuple[str, str]:
  """Returns the bucket and the key of a URL.

  >>> split('s3://bucket/runs/a.json')
  ('bucket', 'runs/a.json')
  """
  bucket, _, key = url.partition('://')[2].partition('/')
  return bucket, key


def asked(method: str, url: str, **parameters: Any) -> dict:
  """Returns what a store answers.

  Args:
    method: of botocore's client.
    url: of the object.
    **parameters: beside `Bucket` and `Key`; `Key=None`: the request has none.

  Raises:
    OSError: see `remote_path.Store`.
  """
  bucket, key = split(url)
  given = {'Bucket': bucket, 'Key': key, **parameters}
  given = {name: value for name, value in given.items() if value is not None}
  return _tried(url, lambda store: store._call_s3(method, **given))


def put(url: str, content: bytes, mode: str = 'overwrite', **parameters: Any) -> None:
  """Writes an object, from 100 MB on in several requests; it appears with the last.

  Args:
    url: of the object.
    content: all of it.
    mode: `create`: unless there is one.
    **parameters: of `put_object`.

  Raises:
    FileExistsError: there is one, under `create`.
    NotImplementedByServer: it knows no condition.
    OSError: see `remote_path.Store`.
  """
  path = '/'.join(split(url))
  _tried(url, lambda store: store._pipe_file(path, content, mode=mode, **parameters))


def read(
  url: str, start: int, stop: int, version: str | None = None
) -> tuple[memoryview, int, str | None]:
  """Reads a range of an object.

  Returns:
    The bytes, how many the object has, and which version of it that was.

  Raises:
    OSError: see `remote_path.Store`; it is no longer the version that was given.
  """
  bucket, key = split(url)

  async def ranged(store) -> tuple[memoryview, int, str | None]:
    given = {} if version is None else {'IfMatch': version}
    answer = await store._call_s3(
      'get_object', Bucket=bucket, Key=key, Range=f'bytes={start}-{stop - 1}', **given
    )
    body = answer['Body']
    try:
      content = memoryview(await body.read())
    finally:
      body.close()
    size = answer.get('ContentRange', '').rpartition('/')[2]
    if not size.isdecimal():  # It has sent all there is.
      return content[start:stop], len(content), answer.get('ETag')
    return content, int(size), answer.get('ETag')

  try:
    return _tried(url, ranged)
  except FileExistsError as error:
    raise OSError(errno.ESTALE, 'it was replaced while it was read', url) from error
  except _PastItsEnd:
    return memoryview(b''), start, version


class _PastItsEnd(OSError):
  """A range was asked for that an object does not have, as of an empty one."""


def missing(url: str) -> FileNotFoundError:
  """Returns the error for an object that is not there."""
  return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url)


def check_removed(url: str, answer: dict) -> None:
  """Checks what `delete_objects` says of each object.

  Raises:
    OSError: one is still there.
  """
  for one in answer.get('Errors', []):
    said = f'{one.get("Code")} {one.get("Message")}'
    if one.get('Code') == 'AccessDenied':
      raise PermissionError(errno.EACCES, f'{said}: {_ADVICE}', url)
    raise OSError(errno.EIO, said, url)


def is_of_credentials(error: PermissionError) -> bool:
  """Whether the store did not know who asks, not only what for."""
  return _said(error.__cause__)[1] not in ('AccessDenied', '403', 'Forbidden')


def _tried(url: str, call: Callable[[Any], Coroutine[Any, Any, _Answer]]) -> _Answer:
  started, tries = time.monotonic(), 0
  for wait in (*_WAITS, None):
    try:
      return _run(url, call)
    except _Busy as error:
      tries += 1 + _retries(error.__cause__)
      if wait is None:
        raise OSError(
          error.errno,
          f'{error.strerror}, at the last of {tries} tries in '
          f'{time.monotonic() - started:.0f} s',
          url,
        ) from error
      time.sleep(wait * random.uniform(0.5, 1.5))
  raise AssertionError


def _run(url: str, call: Callable[[Any], Coroutine[Any, Any, _Answer]]) -> _Answer:
  store = _file_system(url)
  # Late: most commands need none of them.
  import asyncio

  import aiohttp
  import botocore.exceptions

  future = asyncio.run_coroutine_threadsafe(call(store), store.loop)
  try:
    return future.result()
  except (OSError, EOFError, ValueError, aiohttp.ClientError) as error:
    raise _as_os_error(error, url) from _origin(error)
  except botocore.exceptions.BotoCoreError as error:
    raise _as_os_error(error, url) from error
  except BaseException:
    # What Ctrl-C has left half way may not be stored after what is written next.
    future.cancel()
    raise


def _file_system(url: str):
  known = tuple(sorted(one for one in os.environ.items() if one[0].startswith('AWS_')))
  try:
    return _made_file_system(os.getpid(), known)
  except ImportError as error:
    raise UserError(f"{url} needs s3fs: pip install 'tfeval[s3]'") from error


@functools.cache
def _made_file_system(process: int, environment: tuple):
  """Returns fsspec's file system of this process, which a fork may not share."""
  import s3fs

  made = s3fs.S3FileSystem(
    skip_instance_cache=True,
    use_listings_cache=False,
    config_kwargs={'read_timeout': 60},
  )
  made.retries = 1  # `_tried` has rounds of its own, for other errors too.
  return made


def _origin(error: BaseException) -> BaseException:
  """Returns what botocore raised, of which s3fs has made one of Python's."""
  cause = error.__cause__
  return cause if cause is not None and hasattr(cause, 'response') else error


def _said(error: BaseException | None) -> tuple[int | None, str]:
  """Returns the status of HTTP and the code of S3 of an answer."""
  response = getattr(error, 'response', None) or {}
  status = response.get('ResponseMetadata', {}).get('HTTPStatusCode')
  return status, str(response.get('Error', {}).get('Code', ''))


def _line(error: BaseException) -> str:
  status, code = _said(error)
  if status is None:
    return errors.one_line(error, 200)
  said = getattr(error, 'response', {})['Error'].get('Message') or ''
  words = [str(status), '' if code == str(status) else code, said]
  return errors.one_line(Exception(f'it answers {" ".join(filter(None, words))}'), 200)


def _retries(error: BaseException | None) -> int:
  response = getattr(error, 'response', None) or {}
  return response.get('ResponseMetadata', {}).get('RetryAttempts', 0)


def _as_os_error(error: Exception, url: str) -> OSError:
  """Returns what to raise instead; it says in a line what happened."""
  origin = _origin(error)
  (status, code), line = _said(origin), _line(origin)
  if code == 'NoSuchBucket':
    return FileNotFoundError(errno.ENOENT, f'no bucket {split(url)[0]}', url)
  if status == 404:
    return missing(url)
  if code in _FULL or status == 507:
    return OSError(errno.ENOSPC, f'the store is full: {line}', url)
  if status in (401, 403) or _lacks_credentials(origin):
    return PermissionError(errno.EACCES, f'{line}: {_ADVICE}', url)
  if status == 412:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), url)
  if status == 416:
    return _PastItsEnd(errno.EINVAL, line, url)
  if status == 501:
    return NotImplementedByServer(errno.ENOSYS, line, url)
  # Of 409 two writers with a condition have met, and neither has written.
  if status in (*_BUSY, 409) or _has_broken_off(origin):
    return _Busy(errno.EBUSY, line, url)
  return OSError(errno.EIO, line, url)


def _lacks_credentials(error: BaseException) -> bool:
  import botocore.exceptions as known

  return isinstance(
    error,
    known.NoCredentialsError
    | known.PartialCredentialsError
    | known.CredentialRetrievalError
    | known.ProfileNotFound
    | known.SSOError
    | known.TokenRetrievalError,
  )


def _has_broken_off(error: BaseException) -> bool:
  """Whether an answer stopped half way: that nobody answers botocore tries enough."""
  import aiohttp
  import botocore.exceptions as known

  return isinstance(
    error,
    EOFError
    | aiohttp.ClientPayloadError
    | known.IncompleteReadError
    | known.ResponseStreamingError
    | known.ConnectionClosedError,
  )
