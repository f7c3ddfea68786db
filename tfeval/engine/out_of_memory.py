"""How TensorFlow, XLA and CUDA say that memory is too small."""

import re

import tensorflow as tf

_WORDS = re.compile(
  'RESOURCE_EXHAUSTED|(?i:out.of.memory)|OOM when allocating|ALLOC_FAILED'
)


def is_out_of_memory(error: Exception) -> bool:
  """Returns whether an error is one of these ways, or that of Python."""
  return isinstance(error, (tf.errors.ResourceExhaustedError, MemoryError)) or (
    isinstance(error, tf.errors.OpError) and _WORDS.search(error.message) is not None
  )
