"""Which images are evaluated."""

import dataclasses

from tfeval.datasets.labels.spaces import AUTO, FORMS
from tfeval.utils.options import option

ON_ERROR = FAIL, SKIP = ('fail', 'skip')


@dataclasses.dataclass(frozen=True)
class DatasetConfig:
  """A dataset, and what to do with images of it that cannot be decoded."""

  GROUP = 'Data'

  name: str = option(
    'imagenet2012_real',
    'imagenet2012, imagenet2012_real, sample, folder:DIR, parquet:FILES, '
    'webdataset:SHARDS, tfrecord:FILES, npz:FILE, or any TFDS name with images and a '
    'class label; behind it what holds for it alone, such as :split=test,limit=100.',
    name='dataset',
  )
  split: str | None = option(
    None,
    "A TFDS split or slice: 'validation[:10%]' (default: validation, else test, else "
    'the only one).',
  )
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
  labels: str | None = option(
    None,
    'Labels of the images of folder:DIR that lie in no class folders, by file name or '
    'in validation order: .csv, .tsv, .txt, .lst, .json, .npy or .parquet.',
    is_path=True,
  )
  class_folders: str = option(
    AUTO,
    'What class folders of folder:DIR are. auto: classes of ImageNet if all are called '
    'so, else classes of their own; name: of their own; index, ilsvrc_id: numbers of '
    "ImageNet's classes, 0 to 999 or those of its development kit.",
    choices=FORMS,
  )
  limit: int | None = option(
    None,
    'Evaluate only the first N examples; the result is marked as partial.',
    least=1,
    most=1 << 40,
  )
  sample: str | None = option(
    None,
    'Evaluate a sample by id, of so many examples or of such a share (0.1): the same '
    'whatever the order or the hosts, a smaller one within a larger one; the result is '
    'marked as partial.',
  )
  only: str | None = option(
    None,
    'Evaluate only the images whose ids a file lists, a line each or a JSON list; the '
    'result is marked as partial.',
    is_path=True,
  )
  on_error: str = option(
    FAIL,
    'fail: stop at an image that cannot be decoded; skip: go on without it and list it '
    'in the result.',
    choices=ON_ERROR,
    identifies=True,
  )
