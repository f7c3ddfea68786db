"""Files of strangers are regular and of a bounded size, or not opened."""

import os
import pathlib

import pytest

from tfeval.utils import untrusted
from tfeval.utils.errors import UserError


def test_a_file_is_read_whole_up_to_its_limit(tmp_path):
  path = tmp_path / 'a'
  path.write_bytes(b'12345')
  assert untrusted.read_bytes(path, 5) == b'12345'
  with pytest.raises(UserError, match='has 5 bytes or more, expected at most 4'):
    untrusted.read_bytes(path, 4)


@pytest.mark.parametrize(
  ('make', 'what'),
  [
    (os.mkfifo, 'a named pipe'),
    (os.mkdir, 'a directory'),
    (lambda path: os.symlink('/dev/zero', path), 'a device'),
  ],
)
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, make, what):
  path = tmp_path / 'a'
  make(path)
  for opens in (untrusted.open_file, untrusted.check_file):
    with pytest.raises(UserError, match=f'is {what}, expected a file'):
      opens(path)


def test_links_may_not_lead_out_of_a_directory(tmp_path):
  inside, outside = tmp_path / 'run', tmp_path / 'secret'
  inside.mkdir()
  outside.write_text('secret')
  (inside / 'file').write_text('own')
  (inside / 'own').symlink_to('file')
  (inside / 'out').symlink_to(outside)
  assert untrusted.read_bytes(inside / 'own', 100, inside) == b'own'
  with pytest.raises(UserError, match='is a link out of'):
    untrusted.read_bytes(inside / 'out', 100, inside)
  (tmp_path / 'link').symlink_to(inside)
  assert untrusted.read_bytes(tmp_path / 'link' / 'own', 100, tmp_path / 'link')


def test_a_file_that_grows_while_it_is_read_is_refused():
  # What /proc says of its size is 0.
  with pytest.raises(UserError, match='expected at most 10'):
    untrusted.read_bytes(pathlib.Path('/proc/self/status'), 10)
