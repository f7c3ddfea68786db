"""Labels of TFDS' imagenet2012_multilabel, left of the wall: TFDS reads them."""

import hashlib

import numpy as np
import tensorflow_datasets as tfds

from tfeval.datasets.labels.label_table import LabelTable
from tfeval.utils import arrow, errors
from tfeval.utils.errors import UserError

NAME = 'imagenet2012_multilabel'


def load(data_dir: str | None) -> LabelTable:
  """Reads the labels of a prepared imagenet2012_multilabel.

  Source: Shankar et al., "Evaluating Machine Accuracy on ImageNet", ICML 2020,
  20,000 validation images. As its authors recommend, a prediction counts that is marked
  correct or unclear, and problematic images do not count: they have no label here.

  Args:
    data_dir: where prepared datasets lie; TFDS' own default if None.

  Raises:
    UserError: it is not prepared, or cannot be read.
  """
  try:
    builder = tfds.builder(NAME, data_dir=data_dir)
    if not builder.is_prepared():
      raise UserError(
        f'{NAME} is not prepared in {builder.data_dir}: run tfds build {NAME} '
        '`manual_dir=DIR`, DIR with ILSVRC2012_img_val.tar, or give another `data_dir`'
      )
    features = dict.fromkeys(
      ('file_name', 'correct_multi_labels', 'unclear_multi_labels', 'is_problematic'),
      True,
    )
    examples = list(
      tfds.as_numpy(
        builder.as_dataset(
          split='validation', decoders=tfds.decode.PartialDecoding(features)
        )
      )
    )
  except UserError:
    raise
  except Exception as error:  # TFDS and TensorFlow raise many types.
    raise UserError(f'cannot read {NAME}: {errors.one_line(error)}') from error
  sets = [
    np.concatenate([example['correct_multi_labels'], example['unclear_multi_labels']])
    if not example['is_problematic']
    else np.empty(0, np.int64)
    for example in examples
  ]
  ids = arrow.strings([example['file_name'].decode() for example in examples])
  values = np.concatenate([*sets, []]).astype(np.int32)
  sizes = np.array([len(one) for one in sets], np.int64)
  content = [*map(str, ids.to_pylist()), values.tobytes().hex(), sizes.tobytes().hex()]
  return LabelTable(
    ids, values, sizes, hashlib.sha256('\n'.join(content).encode()).hexdigest()
  )
