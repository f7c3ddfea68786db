"""`python -m tfeval`."""

import sys

from tfeval import cli

if __name__ == '__main__':
  sys.exit(cli.main())
