"""What surrounds work that takes TensorFlow, or long: a program's own way, or none."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from tfeval.utils.arguments import truth

if TYPE_CHECKING:
  from tfeval.utils.progress import Progress

_SURROUNDING: contextvars.ContextVar[Callable[[], AbstractContextManager[object]]] = (
  contextvars.ContextVar('surrounding', default=contextlib.nullcontext)
)


@contextlib.contextmanager
def surrounded(by: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
  """Where TensorFlow is imported and run inside of a context of the caller's."""
  token = _SURROUNDING.set(by)
  try:
    yield
  finally:
    _SURROUNDING.reset(token)


def tensorflow() -> AbstractContextManager[object]:
  """Returns the context in which TensorFlow is imported and run."""
  return _SURROUNDING.get()()


def progress_of(shown: bool | None) -> 'Progress':
  """Returns how progress is shown; see `choose_progress`.

  Raises:
    UserError: it is neither True nor False nor None.
  """
  from tfeval.utils.progress import choose_progress  # rich, which help does not need.

  return choose_progress(None if shown is None else truth('progress', shown))
