"""A model's step as a function of TensorFlow, and in threads where it waits."""

from collections.abc import Callable
from concurrent import futures
from typing import Any

import tensorflow as tf

from tfeval.engine import strategies
from tfeval.utils.ahead import THREAD_NAME


class Step:
  """Runs a function on the batch of each replica."""

  def __init__(
    self,
    function: Callable[[Any], Any],
    strategy: tf.distribute.Strategy,
    jit: bool,
    at_once: int = 1,
  ):
    """Prepares it.

    Args:
      function: of the inputs of a replica.
      strategy: where it runs.
      jit: whether XLA compiles it.
      at_once: how many of its calls are begun beside each other, each in a thread, as
        where it waits for another process; 1 where TensorFlow computes, which goes on
        by itself on devices.
    """
    self._call = _compiled(function, strategy, jit)
    self._threads = (
      futures.ThreadPoolExecutor(at_once, THREAD_NAME) if at_once > 1 else None
    )

  def __call__(self, inputs: Any) -> Any:
    return self._call(inputs)

  def start(self, inputs: Any) -> Any:
    """Begins a call; what it returns is for `done`."""
    if self._threads is None:
      return self._call(inputs)
    return self._threads.submit(self._call, inputs)

  def done(self, started: Any) -> Any:
    """Returns what a call that `start` began returns: devices may still be at it."""
    return started if self._threads is None else started.result()


def _compiled(
  function: Callable[[Any], Any], strategy: tf.distribute.Strategy, jit: bool
) -> Callable[[Any], Any]:
  if not jit or strategies.always_compiles(strategy):
    return tf.function(
      _Apart(lambda inputs: strategy.run(function, (inputs,))), autograph=False
    )
  compiled = tf.function(_Apart(function), jit_compile=True, autograph=False)
  # A program for each replica: inside of one function, or given as it is, `compiled`
  # would be placed on the first device, which cannot read the variables of others.
  return lambda inputs: strategy.run(lambda part: compiled(part), (inputs,))


class _Apart:
  """A function that TensorFlow knows from all others of the same code.

  It warns where functions of a code are traced often: here each is of another model.
  """

  def __init__(self, function: Callable[[Any], Any]):
    self._function = function

  def __call__(self, inputs: Any) -> Any:
    return self._function(inputs)
