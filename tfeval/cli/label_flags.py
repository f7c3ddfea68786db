"""The flags that say what rows are counted against, shared by several commands."""


def define_labels(definer, default: list[str], by_default: str) -> None:
  """Defines `--labels`.

  Args:
    definer: defines flags.
    default: its value where it is not given.
    by_default: what that means.
  """
  definer.multi_string(
      'labels', default, 'original (of the TFDS package), real (that the rows carry), '
      'or the path of .json (real.json), .npy or .csv labels by file name or in '
      f'validation order; {by_default}.')


def define_subset(definer) -> None:
  """Defines `--keep` and `--omit`."""
  definer.string('keep', None, 'A list of ids, one on each line: metrics of these '
                 'images alone, beside those of all.')
  definer.string('omit', None, 'A list of ids: metrics without these images, beside '
                 'those of all.')
