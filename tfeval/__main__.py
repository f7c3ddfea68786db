"""The `tfeval` command, and `python -m tfeval`."""

import sys
import threading

from tfeval.utils import supervision


def main() -> None:
  """Runs the command of `sys.argv` and ends the process with its exit code."""
  supervision.run(_run)


def _run() -> int:
  try:
    from tfeval import cli
    from tfeval.utils import ahead, termination

    code = cli.main()
  except KeyboardInterrupt:
    # Before the command could take it.
    print('tfeval: interrupted', file=sys.stderr)
    return 130
  at_work = termination.LOADING_THREAD, ahead.THREAD_NAME
  if any(thread.name.startswith(at_work) for thread in threading.enumerate()):
    # In C++, where Python cannot end it; nothing waits for its result any more.
    sys.stdout.flush()
    sys.stderr.flush()
    supervision.end(code)
  return code


if __name__ == '__main__':
  main()
