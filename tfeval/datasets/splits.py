"""Which split of a dataset is evaluated where none is asked for."""

from collections.abc import Collection

# What test sets of the field are called; of two that are there the first.
_OF_EVALUATION = ('validation', 'test')


def of_evaluation(names: Collection[str]) -> str | None:
  """Returns the split that a dataset is evaluated on, None where that is not clear.

  >>> of_evaluation(['test', 'train', 'validation']), of_evaluation(['train', 'test'])
  ('validation', 'test')
  >>> of_evaluation(['lab']), of_evaluation(['a', 'b'])
  ('lab', None)
  """
  found = [name for name in _OF_EVALUATION if name in names]
  if found:
    return found[0]
  return next(iter(names)) if len(names) == 1 else None
