"""Time limits on calls that have none of their own."""

import threading
from collections.abc import Callable
from typing import Any


def within(seconds: float, function: Callable[[], Any]) -> Any:
  """Returns what a function returns if it does so in time.

  Args:
    seconds: how long to wait for it, of wall time.
    function: is called in a thread of its own, which goes on if it is late and
      ends with the process.

  Raises:
    TimeoutError: it is late. What the function raises is raised here.

  >>> within(10, lambda: 'answer')
  'answer'
  """
  returned: list[Any] = []
  raised: list[BaseException] = []

  def run():
    try:
      returned.append(function())
    except BaseException as error:
      raised.append(error)

  thread = threading.Thread(target=run, daemon=True)
  thread.start()
  thread.join(seconds)
  if returned:
    return returned[0]
  raise raised[0] if raised else TimeoutError(f'no answer within {seconds:g} s')
