"""The 1000 classes of ILSVRC2012 and the labels of its validation images.

Classes are indexed 0 to 999 in the order of their sorted WordNet ids (wnid),
the order in which keras.applications and TFDS number them.
"""

import csv
import functools
import importlib.resources
import importlib.util
import pathlib
import re

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import json_text, paths
from tfeval.utils.errors import UserError

NUM_VALIDATION = 50_000
# With the wnid behind it as Hugging Face's archive has it, saved again or renamed.
_VALIDATION_NAME = re.compile(
  r'ILSVRC2012_val_([0-9]{8})(?:_n[0-9]{8})?(?:\.(?:jpe?g|jpe|jfif|png))?',
  re.IGNORECASE,
)
# `n01440764_10026.JPEG` of the training images, `ILSVRC2012_val_00000001_n01751748`.
_WNID_IN_NAME = re.compile(
  r'(?:^|(?<=[_-]))(n[0-9]{8})(?=[_.-]|$)', re.IGNORECASE | re.ASCII
)


@functools.cache
def _classes() -> list[dict[str, str]]:
  """Returns the class table (source: the ILSVRC2012 development kit)."""
  path = importlib.resources.files('tfeval.datasets.labels') / 'classes.tsv'
  return list(csv.DictReader(path.read_text('utf-8').splitlines(), delimiter='\t'))


@functools.cache
def label_space() -> LabelSpace:
  """Returns the 1000 classes in the order of their sorted wnids.

  >>> len(label_space()), label_space().class_ids[0], label_space().class_names[0]
  (1000, 'n01440764', 'tench')
  """
  ids, names = (tuple(row[key] for row in _classes()) for key in ('wnid', 'name'))
  return LabelSpace('ilsvrc2012', ids, names)


def ilsvrc_ids() -> tuple[int, ...]:
  """Returns the ids 1 to 1000 of the ILSVRC2012 development kit, in our order."""
  return tuple(int(row['ilsvrc_id']) for row in _classes())


def validation_name(number: int) -> str:
  """Returns the file name of validation image `number` (1 to 50,000).

  >>> validation_name(1)
  'ILSVRC2012_val_00000001.JPEG'
  """
  return f'ILSVRC2012_val_{number:08d}.JPEG'


def validation_number(file_name: str) -> int | None:
  """Returns the number in a validation image's file name, or None.

  >>> validation_number('ILSVRC2012_val_00050000.JPEG')
  50000
  >>> validation_number('ILSVRC2012_val_00000001_n01751748.jpg')
  1
  >>> validation_number('cat.jpg') is None
  True
  """
  match = _VALIDATION_NAME.fullmatch(file_name)
  number = int(match[1]) if match else 0
  return number if 1 <= number <= NUM_VALIDATION else None


def classes_of_file(file_name: str) -> dict[str, int]:
  """Returns the classes that the name of a file says, each with what says it.

  Of validation images their number does, of others the wnids in the name. Where they
  are several, the name contradicts itself.

  >>> classes_of_file('n01443537_10026.JPEG'), classes_of_file('cat.jpg')
  ({'n01443537': 1}, {})
  """
  number = validation_number(file_name)
  found = {}
  if number is not None:
    found[f'image {number}'] = original_validation_labels()[number - 1]
  for wnid in _WNID_IN_NAME.findall(file_name):
    index = label_space().index_of_id.get(wnid.lower())
    if index is not None:
      found[wnid] = index
  return found


@functools.cache
def original_validation_labels() -> tuple[int, ...]:
  """Returns the 50,000 class indices, image 1 first, as TFDS packages them.

  Found without importing TFDS, which takes seconds.

  Raises:
    UserError: tensorflow-datasets is missing or its list is not as expected.
  """
  found = importlib.util.find_spec('tensorflow_datasets')
  if found is None or not found.submodule_search_locations:
    raise UserError('tensorflow-datasets is not installed: pip install tfeval')
  path = (
    pathlib.Path(found.submodule_search_locations[0])
    / 'datasets/imagenet2012/validation_labels.txt'
  )
  if not path.is_file():
    raise UserError(f'{path} is missing: reinstall tensorflow-datasets')
  index = label_space().index_of_id
  wnids = path.read_text('utf-8').split()
  if len(wnids) != NUM_VALIDATION or not index.keys() >= set(wnids):
    raise UserError(
      f'{path}: {len(wnids)} labels, expected {NUM_VALIDATION} wnids: '
      'reinstall tensorflow-datasets'
    )
  return tuple(index[wnid] for wnid in wnids)


def load_real_labels(path: str | paths.Path) -> tuple[tuple[int, ...], ...]:
  """Reads ReaL labels: a list of class indices for each validation image.

  Source: Beyer et al., "Are we done with ImageNet?" (arXiv:2006.07159),
  `real.json` of google-research/reassessed-imagenet, image 1 first.

  Args:
    path: the JSON file.

  Returns:
    50,000 tuples of class indices in [0, 1000); an empty one has no label.

  Raises:
    UserError: the file is missing or is not such a list.
  """
  path = paths.path(path)
  try:
    content = json_text.read(path)
  except OSError as error:
    raise UserError(f'cannot read ReaL labels {path}: {error.strerror}') from error
  except UserError as error:
    raise UserError(
      f'{error}: expected real.json of google-research/reassessed-imagenet'
    ) from error
  if not isinstance(content, list) or len(content) != NUM_VALIDATION:
    seen = f'{len(content)} entries' if isinstance(content, (list, dict)) else 'no list'
    raise UserError(
      f'{path}: {seen}, expected a list of {NUM_VALIDATION} lists of '
      'class indices, one for each validation image'
    )
  count = len(label_space())
  for number, labels in enumerate(content, 1):
    if not isinstance(labels, list) or not all(
      type(label) is int and 0 <= label < count for label in labels
    ):
      raise UserError(
        f'{path}: the entry of image {number} is {str(labels)[:40]}, '
        f'expected a list of integers from 0 to {count - 1}'
      )
  return tuple(tuple(labels) for labels in content)
