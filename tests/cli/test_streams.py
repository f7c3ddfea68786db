"""stdout, stderr and stdin that are closed or full, and little address space."""

import pathlib
import subprocess
import sys

import pytest

COMMAND = f'{sys.executable} -m tfeval'
FAILS = 'models --filter=nothing-is-called-so'
WORKS = 'protocols'


def shell(text):
  return subprocess.run(
    ['bash', '-c', text], capture_output=True, text=True, timeout=120, check=False
  )


def test_a_result_that_cannot_be_printed_is_told():
  ended = shell(f'{COMMAND} {WORKS} >&-')
  assert ended.returncode == 2
  assert ended.stderr == 'tfeval: stdout is closed: leave it open, or >/dev/null\n'
  ended = shell(f'{COMMAND} {WORKS} >/dev/full')
  assert ended.returncode == 2
  assert ended.stderr.startswith('tfeval: cannot print the result: No space left on')
  assert ended.stderr.count('\n') == 1


@pytest.mark.parametrize('closed', ['2>&-', '<&-', '<&- 2>&-', '2>/dev/full'])
def test_what_stands_beside_the_result_may_be_lost(closed):
  ended = shell(f'{COMMAND} {WORKS} {closed}')
  assert (ended.returncode, ended.stderr) == (0, '')
  assert ended.stdout == shell(f'{COMMAND} {WORKS}').stdout
  assert shell(f'{COMMAND} {FAILS} {closed}').returncode == 2


def test_with_nothing_open_the_exit_code_remains():
  assert shell(f'{COMMAND} {WORKS} <&- >&- 2>&-').returncode == 2
  assert shell(f'{COMMAND} {WORKS} <&- >/dev/null 2>&-').returncode == 0


def test_too_little_address_space_is_told_before_work(tmp_path):
  ended = shell(
    f'ulimit -v 3000000; {COMMAND} evaluate --model=MobileNet --weights=none '
    f'--dataset=sample --output_dir={tmp_path / "runs"}'
  )
  assert ended.returncode == 2
  assert 'the address space is limited to 3,072,000,000 bytes' in ended.stderr
  assert ended.stderr.count('\n') == 1
  assert not (tmp_path / 'runs').exists()


@pytest.mark.slow
@pytest.mark.parametrize('closed', ['2>&-', '<&- 2>&-', '2>/dev/full'])
def test_no_evaluation_fails_because_its_progress_cannot_be_shown(tmp_path, closed):
  runs = tmp_path / 'runs'
  ended = shell(
    f'{COMMAND} evaluate --model=MobileNet:alpha=0.25 --weights=none --dataset=sample '
    f'--preflight=off --output_dir={runs} {closed}'
  )
  assert ended.returncode == 0
  assert len(list(pathlib.Path(runs).glob('*/result.json'))) == 1
