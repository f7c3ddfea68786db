"""Datasets by name: TFDS, the packaged sample, and folders of images."""

from tfeval.datasets.base import ImageDataset
from tfeval.evaluation.config import FOLDER


def open_dataset(
  name: str,
  *,
  split: str = 'validation',
  data_dir: str | None = None,
  manual_dir: str | None = None,
  real_labels: str | None = None,
  limit: int | None = None,
) -> ImageDataset:
  """Opens a dataset by name; see `tfds_source.open_tfds` and `folder.open_folder`.

  Args:
    name: `folder:DIR` or a TFDS name (`sample` is ours).
    split: any TFDS split or slice; not used for folders.
    data_dir: where prepared TFDS datasets lie; TFDS' default if None.
    manual_dir: holds `ILSVRC2012_img_val.tar` and perhaps `real.json`.
    real_labels: path of `real.json`, or None.
    limit: take only the first so many examples.

  Returns:
    The dataset, ready to be read.

  Raises:
    UserError: it cannot be opened; says why and what to do.
  """
  # Imported late: TensorFlow and TFDS take seconds.
  if name.startswith(FOLDER):
    from tfeval.datasets import folder

    return folder.open_folder(name.removeprefix(FOLDER), real_labels, limit)
  from tfeval.datasets import tfds

  return tfds.open_tfds(name, split, data_dir, manual_dir, real_labels, limit)
