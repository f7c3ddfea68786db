"""A server of S3 for tests, in a process of its own."""

import dataclasses
import json
import pathlib
import secrets
import subprocess
import sys
import urllib.request

import pytest


@dataclasses.dataclass(frozen=True)
class S3:
  """A server with an empty bucket.

  Attributes:
    address: of the server.
    url: of the bucket.
  """

  address: str
  url: str

  def faults(self, **faults) -> None:
    """Makes the server behave badly; see `Faults` of s3_server.py."""
    self._ask('/_faults', json.dumps(faults).encode(), 'PUT')

  def counts(self) -> dict[str, int]:
    """Returns how often what was asked since `faults`."""
    return json.loads(self._ask('/_counts'))

  def _ask(self, path, body=None, method='GET') -> bytes:
    request = urllib.request.Request(self.address + path, body, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
      return answer.read()


@pytest.fixture(scope='session')
def s3_address():
  """The address of a server on loopback."""
  pytest.importorskip('moto')
  pytest.importorskip('s3fs')
  script = pathlib.Path(__file__).with_name('s3_server.py')
  process = subprocess.Popen(
    [sys.executable, script],
    text=True,
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
  )
  try:
    yield f'http://127.0.0.1:{int(process.stdout.readline())}'
  finally:
    process.stdin.close()
    process.wait(60)


@pytest.fixture
def s3(s3_address, monkeypatch):
  """A bucket of its own, which this process and its children find."""
  for name, value in {
    'AWS_ENDPOINT_URL': s3_address,
    'AWS_ACCESS_KEY_ID': 'somebody',
    'AWS_SECRET_ACCESS_KEY': 'knows',
    'AWS_DEFAULT_REGION': 'us-east-1',
    'AWS_EC2_METADATA_DISABLED': 'true',
  }.items():
    monkeypatch.setenv(name, value)
  bucket = f'b{secrets.token_hex(8)}'
  found = S3(s3_address, f's3://{bucket}')
  found.faults()
  found._ask(f'/{bucket}', b'', 'PUT')
  yield found
  found.faults()
