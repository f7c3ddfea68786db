"""Which images are evaluated."""

import dataclasses

from tfeval.utils.options import option

ON_ERROR = FAIL, SKIP = ('fail', 'skip')


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
  """A dataset, and what to do with images of it that cannot be decoded."""

  GROUP = 'Images'

  name: str = option(
    'imagenet2012_real',
    'imagenet2012, imagenet2012_real, sample, folder:DIR, parquet:FILES, '
    'webdataset:SHARDS, tfrecord:FILES, npz:FILE, or any TFDS name with images and a '
    'class label.',
    name='dataset',
  )
  split: str = option('validation', "A TFDS split or slice: 'validation[:10%]'.")
  data_dir: str | None = option(
    None, 'Where prepared TFDS datasets lie (default: that of TFDS).', is_path=True
  )
  manual_dir: str | None = option(
    None,
    'Directory of ILSVRC2012_img_val.tar and, for use without network, real.json.',
    is_path=True,
  )
  real_labels: str | None = option(
    None, 'real.json, for datasets without ReaL labels.', is_path=True
  )
  limit: int | None = option(
    None,
    'Evaluate only the first N examples; the result is marked as partial.',
    least=1,
    most=1 << 40,
  )
  on_error: str = option(
    FAIL,
    'fail: stop at an image that cannot be decoded; skip: go on without it and list it '
    'in the result.',
    choices=ON_ERROR,
    identifies=True,
  )
