"""What the library logs, as users of the command line and of the library see it."""

import logging
import os
import subprocess
import sys

import pytest

from tfeval import cli
from tfeval.cli import command_flags, console, protocols
from tfeval.metrics.registry import METRICS
from tfeval.utils.errors import UserError
from tfeval.utils.registry import Registry

LOGGER = logging.getLogger('tfeval')


def test_commands_show_what_is_logged(monkeypatch, tfeval):
  def run(flags, arguments):
    LOGGER.info('100 %% of %s', 'it')
    LOGGER.warning('odd')
    LOGGER.debug('a detail')
    return 0

  monkeypatch.setattr(protocols, 'run', run)
  before = LOGGER.handlers, LOGGER.level, LOGGER.propagate
  for _ in range(2):  # No line comes twice.
    assert tfeval('protocols') == (0, '', 'tfeval: 100 % of it\ntfeval: warning: odd\n')
  assert (LOGGER.handlers, LOGGER.level, LOGGER.propagate) == before
  assert cli.main(['nothing']) == 2
  assert (LOGGER.handlers, LOGGER.level, LOGGER.propagate) == before


def test_parameters_are_shown_as_flags(monkeypatch, tfeval):
  def run(flags, arguments):
    LOGGER.info('`overwrite` imports again')
    raise UserError('give `model=a:b` or `weights`, no `input_shape`')

  monkeypatch.setattr(protocols, 'run', run)
  assert tfeval('protocols') == (
    2,
    '',
    'tfeval: --overwrite imports again\n'
    'tfeval: give --model=a:b or --weights, no `input_shape`\n',
  )


def test_library_warns_and_is_silent_else():
  code = (
    'import logging, tfeval\nlogger = logging.getLogger("tfeval")\n'
    'logger.info("done")\nlogger.warning("odd")'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], check=True, capture_output=True, text=True
  )
  assert (done.stdout, done.stderr) == ('', 'odd\n')


def test_no_package_is_loaded_to_show_a_message(monkeypatch):
  def fail(*_):
    raise AssertionError('loaded')

  monkeypatch.setattr(Registry, '_load', fail)
  monkeypatch.setattr(METRICS, '_entry_points', {'torn': None})
  command_flags._all_flags.cache_clear()
  assert command_flags.with_dashes('`metric=torn`') == '--metric=torn'


def test_silence_is_of_both_streams_and_of_descriptors(capfd):
  with console.silent():
    print('of Python')
    print('of Python', file=sys.stderr)
    os.write(2, b'of C++\n')
  print('heard')
  os.write(2, b'heard\n')
  with pytest.raises(UserError, match='why'), console.silent():
    raise UserError('why')
  os.write(2, b'again\n')
  assert capfd.readouterr() == ('heard\n', 'heard\nagain\n')


def test_who_wants_to_see_all_does(capfd, monkeypatch):
  monkeypatch.setattr(command_flags, 'verbose', lambda: True)
  with console.silent():
    os.write(2, b'of C++\n')
  assert capfd.readouterr() == ('', 'of C++\n')
