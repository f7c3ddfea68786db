"""What is refused when a dataset is opened, held to be one short line."""

import os
import subprocess
import sys

import pytest

from tfeval.datasets import open_dataset
from tfeval.utils.errors import UserError

IMAGE = b'\xff\xd8\xff image'
PHOTOS = [(f'{n:02d}.jpg', IMAGE + bytes([n]) * 2000) for n in range(6)]
LABELS = [0, 1, 2, 0, 1, 2]
NAMES = ['ant', 'bee', 'cat']


def refused(words, name, **options):
  """Opens a dataset that is refused with some words; returns all that is said."""
  with pytest.raises(UserError, match=words) as caught:
    open_dataset(name, **options)
  assert '\n' not in str(caught.value)
  assert len(str(caught.value)) < 900
  return str(caught.value)


# Each of its arguments are flags; whoever imports TensorFlow gets an ImportError.
_WITHOUT_TENSORFLOW = """
import sys
sys.modules['tensorflow'] = sys.modules['keras'] = None
from tfeval import cli
for text in sys.argv[1:]:
  print(cli.main(['evaluate', '--model=MobileNet', *text.split()]), flush=True)
"""


def refused_before_tensorflow(expected, cwd, **environ):
  """Runs `evaluate` with flags, each refused with some words in a line of its own.

  Args:
    expected: the words by the flags.
    cwd: an empty directory, which stays empty.
    **environ: of the process.
  """
  done = subprocess.run(
    [sys.executable, '-c', _WITHOUT_TENSORFLOW, *expected],
    capture_output=True,
    text=True,
    cwd=cwd,
    env={**os.environ, 'COLUMNS': '80', **environ},
  )
  assert done.stdout.split() == ['2'] * len(expected), done.stderr
  lines = done.stderr.splitlines()
  assert len(lines) == len(expected), done.stderr
  for line, words in zip(lines, expected.values(), strict=True):
    assert line.startswith('tfeval: ') and words in line, line
  assert not list(cwd.iterdir())
