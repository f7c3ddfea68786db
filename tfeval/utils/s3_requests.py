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

from tfeval.utils import s3_errors
from tfeval.utils.errors import UserError

_Answer = TypeVar('_Answer')
# Between rounds, on the average; in between a store that grows has split its load.
_WAITS = (1, 2, 4, 8)


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
  except s3_errors.PastItsEnd:
    return memoryview(b''), start, version


def _tried(url: str, call: Callable[[Any], Coroutine[Any, Any, _Answer]]) -> _Answer:
  started, tries = time.monotonic(), 0
  for wait in (*_WAITS, None):
    try:
      return _run(url, call)
    except s3_errors.Busy as error:
      tries += 1 + s3_errors.retries(error.__cause__)
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
  # What begins with an underscore is fsspec's interface for coroutines.
  store = _file_system(url)
  # Late: most commands need none of them.
  import asyncio

  import aiohttp
  import botocore.exceptions

  future = asyncio.run_coroutine_threadsafe(call(store), store.loop)
  try:
    return future.result()
  except (OSError, EOFError, ValueError, aiohttp.ClientError) as error:
    raise s3_errors.as_os_error(error, url) from s3_errors.origin(error)
  except botocore.exceptions.BotoCoreError as error:
    raise s3_errors.as_os_error(error, url) from error
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
