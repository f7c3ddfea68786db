"""What S3 and botocore say went wrong, as errors of Python in one line."""

import errno
import os

from tfeval.utils import errors

_BUSY = (408, 429, 500, 502, 503, 504)
# What a server says whose disks or whose user's share of them are full: MinIO, Ceph.
_FULL = ('XMinioStorageFull', 'QuotaExceeded', 'InsufficientStorage')
# Of credentials, answered with status 400.
_OLD_TOKEN = ('ExpiredToken', 'InvalidToken', 'TokenRefreshRequired')
_ADVICE = (
  'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and see that they '
  'may read and write there'
)


class NotImplementedByServer(OSError):
  """The server does not know what it was asked for."""


class Busy(OSError):
  """What may go well a little later."""


class PastItsEnd(OSError):
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


def origin(error: BaseException) -> BaseException:
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


def retries(error: BaseException | None) -> int:
  response = getattr(error, 'response', None) or {}
  return response.get('ResponseMetadata', {}).get('RetryAttempts', 0)


def as_os_error(error: Exception, url: str) -> OSError:
  """Returns what to raise instead; it says in a line what happened."""
  cause = origin(error)
  (status, code), line = _said(cause), _line(cause)
  if code == 'NoSuchBucket':
    return FileNotFoundError(errno.ENOENT, f'no bucket {url.split("/")[2]}', url)
  if status == 404:
    return missing(url)
  if code in _FULL or status == 507:
    return OSError(errno.ENOSPC, f'the store is full: {line}', url)
  is_refused = status in (401, 403) or code in _OLD_TOKEN
  if is_refused or _lacks_credentials(cause):
    return PermissionError(errno.EACCES, f'{line}: {_ADVICE}', url)
  if status == 412:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), url)
  if status == 416:
    return PastItsEnd(errno.EINVAL, line, url)
  if status == 501:
    return NotImplementedByServer(errno.ENOSYS, line, url)
  # Of 409 two writers with a condition have met, and neither has written.
  if status in (*_BUSY, 409) or _has_broken_off(cause):
    return Busy(errno.EBUSY, line, url)
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
