"""Variables of the environment that this process has otherwise than its user gave them.

Libraries read some when they are imported. Processes of other frameworks that are
started from here want them as they were: `of_user`.
"""

import os

# None: it was not set.
_given: dict[str, str | None] = {}


def set_here(name: str, value: str) -> None:
  """Sets a variable for this process.

  >>> set_here('TFEVAL_EXAMPLE', 'here')
  >>> os.environ['TFEVAL_EXAMPLE'], 'TFEVAL_EXAMPLE' in of_user()
  ('here', False)
  """
  _given.setdefault(name, os.environ.get(name))
  os.environ[name] = value


def of_user() -> dict[str, str]:
  """Returns the environment without what `set_here` changed."""
  found = dict(os.environ)
  for name, value in _given.items():
    found.pop(name, None)
    if value is not None:
      found[name] = value
  return found
