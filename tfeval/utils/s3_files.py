"""What fsspec answers for: s3://, of AWS or of any server that speaks its protocol.

Where the server is and who asks is for botocore to find: AWS_ENDPOINT_URL,
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, files below ~/.aws, roles of
machines. Nothing that a store said is kept: other processes write there too. Folders
are names with something below them; nobody makes one.

**A store that forbids listing** answers 403 for an object that is missing, as AWS does:
what it answers so counts as missing, which is told once.
"""

import functools
import io
import logging
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator
from typing import Any

from tfeval.utils import s3_errors, s3_requests
from tfeval.utils.s3_requests import asked, split

_LOG = logging.getLogger('tfeval')
# Read at once: most files whole, with one request.
_WINDOW = 8 << 20
_MOST_REMOVED = 1000  # Of DeleteObjects.
_TOKEN = 'tfeval-created-by'


def is_directory(url: str, only: bool | None = None) -> bool | None:
  """Says what is there; see `remote_path.Store`."""
  _, key = split(url)
  if only is not True and key:
    try:
      asked('head_object', url)
      return False
    except FileNotFoundError:
      if only is False:
        return None
    except PermissionError as error:
      return _is_directory_at_least(url, error)
  elif only is False:
    return None
  try:
    return _has_something(url) or None
  except FileNotFoundError:
    return None
  except PermissionError as error:
    _check_unlisted(url, error)
    return None


def _is_directory_at_least(url: str, forbidden: PermissionError) -> bool | None:
  """Says what is there where an object may not be read, or is missing.

  Raises:
    PermissionError: as given: of who may list, what is missing is said to be so.
  """
  try:
    if _has_something(url):
      return True
  except FileNotFoundError:
    return None
  except PermissionError as error:
    _check_unlisted(url, error)
    return None
  raise forbidden


def _check_unlisted(url: str, error: PermissionError) -> None:
  """Tells, once, that a bucket may not be listed; raises what is of credentials."""
  if s3_errors.is_of_credentials(error):
    raise error
  _tell_unlisted(split(url)[0])


def listed(url: str) -> list[str]:
  start, found = len(_prefix(url)), set()
  for page in _pages(url, Delimiter='/'):
    found |= {one['Prefix'][start:] for one in page.get('CommonPrefixes', [])}
    found |= {one['Key'][start:] for one in page.get('Contents', [])}
  if not found and split(url)[1]:
    raise s3_errors.missing(url)
  return sorted(found - {''})


def below(url: str) -> list[str]:
  start, found = len(_prefix(url)), set()
  for key in _keys(url):
    parts = key[start:].rstrip('/').split('/')
    found |= {'/'.join(parts[: i + 1]) for i in range(len(parts))}
  return [f'{url}/{name}' for name in sorted(found - {''})]


def make_directory(url: str) -> None:
  """Checks, once, that there is the bucket, as far as it may be asked."""
  _check_bucket(url[: len(url) - len(split(url)[1])])


@functools.cache
def _check_bucket(url: str) -> None:
  try:
    _has_something(url)
  except PermissionError as error:
    if s3_errors.is_of_credentials(error):
      raise


def remove(url: str) -> None:
  """Removes an object; whether there was one is not said."""
  asked('delete_object', url)


def rename(url: str, target: str) -> None:
  bucket, key = split(url)
  asked('copy_object', target, CopySource={'Bucket': bucket, 'Key': key})
  asked('delete_object', url)


def remove_tree(url: str) -> None:
  keys = list(_keys(url))
  for start in range(0, len(keys), _MOST_REMOVED):
    doomed = [{'Key': key} for key in keys[start : start + _MOST_REMOVED]]
    answer = asked(
      'delete_objects', url, Key=None, Delete={'Objects': doomed, 'Quiet': True}
    )
    s3_errors.check_removed(url, answer)


def write(url: str, content: bytes) -> None:
  s3_requests.put(url, content)


def create(url: str, content: bytes) -> bool:
  """Writes an object unless there is one: of any number of processes one alone.

  The server decides (If-None-Match). One that ignores that is asked before whether
  there is one, and one that refuses it is not asked for it again: of two that begin at
  once both may have written.
  """
  if _token(url) is not None:
    return False
  token = secrets.token_hex(16)
  try:
    s3_requests.put(url, content, Metadata={_TOKEN: token}, mode='create')
  except FileExistsError:
    # An answer that was lost has had the same written twice: then it is ours.
    return _token(url) == token
  except s3_errors.NotImplementedByServer:
    s3_requests.put(url, content)
  return True


def copy(url: str, local: pathlib.Path) -> None:
  with Reader(url) as source, open(local, 'wb') as target:
    shutil.copyfileobj(source, target, _WINDOW)


class Reader(io.RawIOBase):
  """Reads an object in windows, all of one version of it."""

  def __init__(self, url: str):
    self._url = url
    self._position = 0
    self._start, self._window = 0, memoryview(b'')
    try:
      found = s3_requests.read(url, 0, _WINDOW)
    except PermissionError as error:
      if _is_directory_at_least(url, error) is None:
        raise s3_errors.missing(url) from error
      raise
    self._window, self._size, self._version = found

  def readable(self) -> bool:
    return True

  def seekable(self) -> bool:
    return True

  def readinto(self, buffer) -> int:
    if self._position >= self._size:
      return 0
    if not self._start <= self._position < self._start + len(self._window):
      stop = min(self._size, self._position + _WINDOW)
      self._window, _, _ = s3_requests.read(
        self._url, self._position, stop, self._version
      )
      self._start = self._position
    offset = self._position - self._start
    content = self._window[offset : offset + len(buffer)]
    buffer[: len(content)] = content
    self._position += len(content)
    return len(content)

  def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
    before = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
    self._position = max(0, before[whence] + offset)
    return self._position

  def tell(self) -> int:
    return self._position


def _token(url: str) -> str | None:
  """Returns who has created an object, '' if it does not say; None without object."""
  try:
    return asked('head_object', url).get('Metadata', {}).get(_TOKEN, '')
  except FileNotFoundError:
    return None
  except PermissionError as error:
    if s3_errors.is_of_credentials(error):
      raise
    return None  # The condition of what is written decides.


def _prefix(url: str) -> str:
  _, key = split(url)
  return f'{key}/' if key else ''


def _has_something(url: str) -> bool:
  page = asked('list_objects_v2', url, Key=None, Prefix=_prefix(url), MaxKeys=1)
  return bool(page.get('Contents')) or not split(url)[1]


def _pages(url: str, **parameters: Any) -> Iterator[dict]:
  parameters.update(Key=None, Prefix=_prefix(url))
  while True:
    page = asked('list_objects_v2', url, **parameters)
    yield page
    if not page.get('IsTruncated'):
      return
    parameters['ContinuationToken'] = page['NextContinuationToken']


def _keys(url: str) -> Iterator[str]:
  for page in _pages(url):
    yield from (one['Key'] for one in page.get('Contents', []))


@functools.cache
def _tell_unlisted(bucket: str) -> None:
  _LOG.warning(
    's3://%s may not be listed (s3:ListBucket): what may not be read there counts as '
    'missing',
    bucket,
  )
