"""The TFDS data set `sample`: a few real photos, labelled like ImageNet ReaL.

The photos are those that the scikit-image and scikit-learn wheels carry, so
that a whole evaluation can be run without ImageNet and without the network.
`tfeval/datasets/sample.tsv` has a row per photo: its SHA-256, one label as an
ImageNet annotator might have given it, the set of all classes that are seen
(Beyer et al., "Are we done with ImageNet?", 2020), and its source. The labels
were given by eye, never by a model.

Nine photos show that the machinery works; they say nothing about a model.

  import tensorflow_datasets as tfds
  import tfeval.datasets.sample  # registers the name
  ds = tfds.load('sample', split='validation')
"""

import csv
import dataclasses
import hashlib
import importlib.resources
import importlib.util
import io
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from tfeval.datasets.base import ImageDataset
from tfeval.datasets.options import DatasetConfig
from tfeval.utils.errors import UserError

_INSTALL = "pip install 'tfeval[demo]'"
# What a package is imported as, and what pip calls it.
_DISTRIBUTIONS = {'skimage': 'scikit-image', 'sklearn': 'scikit-learn'}


@dataclasses.dataclass(frozen=True)
class Photo:
  """One row of `sample.tsv`.

  Attributes:
    file_name: unique; the identity of the photo in predictions.
    package: import name of the package whose wheel has the file.
    path: of the file inside the package, with forward slashes.
    sha256: of the file's bytes, in hex.
    original: wnid of the single label.
    real: wnids of every class that is seen, ascending; may be empty.
    seen: what the photo shows.
    source: licence and author.
  """

  file_name: str
  package: str
  path: str
  sha256: str
  original: str
  real: tuple[str, ...]
  seen: str
  source: str

  def read(self) -> bytes:
    """Returns the file's bytes after checking that they are the labelled ones.

    Raises:
      UserError: if the package or the file is missing, or the file is another.
    """
    name = f'{self.package}/{self.path}'
    distribution = _DISTRIBUTIONS[self.package]
    again = f'pip uninstall {distribution}, then {_INSTALL}'
    try:
      data = (package_dir(self.package) / self.path).read_bytes()
    except OSError as e:
      raise UserError(f'sample: cannot read {name} ({e.strerror}): {again}') from e
    found = hashlib.sha256(data).hexdigest()
    if found != self.sha256:
      raise UserError(
        f'sample: {name} is not the photo that was labelled (SHA-256 '
        f'{found[:12]}..., expected {self.sha256[:12]}...): {again}'
      )
    return data


def photos() -> list[Photo]:
  """Returns the rows of `sample.tsv`, by file name.

  >>> [p.file_name for p in photos() if not p.real]
  ['flower.jpg']
  """
  table = importlib.resources.files('tfeval.datasets') / 'sample.tsv'
  lines = table.read_text(encoding='utf-8').splitlines()
  rows = csv.DictReader(lines, delimiter='\t', quoting=csv.QUOTE_NONE)
  return [
    Photo(**(row | {'real': tuple(filter(None, row['real'].split(',')))}))
    for row in rows
  ]


def package_dir(package: str) -> pathlib.Path:
  """Returns the folder of an installed package without importing it.

  Raises:
    UserError: if the package is not installed.
  """
  # Importing would load SciPy too; only the files are needed.
  spec = importlib.util.find_spec(package)
  if spec is None or not spec.submodule_search_locations:
    raise UserError(
      f'sample: {_DISTRIBUTIONS[package]}, whose photos it shows, is not '
      f'installed: {_INSTALL}'
    )
  return pathlib.Path(spec.submodule_search_locations[0])


class Sample(tfds.core.GeneratorBasedBuilder):
  """Real photos with features like `imagenet2012_real`."""

  name = 'sample'
  VERSION = tfds.core.Version('1.0.0')
  RELEASE_NOTES: ClassVar = {'1.0.0': 'Initial release.'}

  def _info(self) -> tfds.core.DatasetInfo:
    # The file that imagenet2012_real names too: wnids in ascending order.
    names_file = tfds.core.tfds_path('datasets/imagenet2012/labels.txt')
    label = tfds.features.ClassLabel(names_file=names_file)
    return tfds.core.DatasetInfo(
      builder=self,
      description='Real photos, labelled like ImageNet ReaL.',
      features=tfds.features.FeaturesDict(
        {
          # Without the encoding_format='jpeg' of imagenet2012_real: most photos
          # are PNG, and files are stored as they are whatever it says.
          'image': tfds.features.Image(),
          'original_label': label,
          'real_label': tfds.features.Sequence(
            tfds.features.ClassLabel(names_file=names_file)
          ),
          'file_name': tfds.features.Text(),
        }
      ),
      supervised_keys=('image', 'real_label'),
    )

  def _split_generators(self, dl_manager: tfds.download.DownloadManager):
    del dl_manager  # Nothing is downloaded.
    # All files are read before the first is written: TFDS would put its own
    # words around an error raised while it writes.
    data = {photo: photo.read() for photo in photos()}
    return {tfds.Split.VALIDATION: self._generate_examples(data)}

  def _generate_examples(self, data: dict[Photo, bytes]) -> Iterator[tuple[str, dict]]:
    for photo, image in data.items():
      yield (
        photo.file_name,
        {
          # A file object is copied; an array would be encoded anew.
          'image': io.BytesIO(image),
          'original_label': photo.original,
          'real_label': list(photo.real),
          'file_name': photo.file_name,
        },
      )


def open_sample(config: DatasetConfig) -> ImageDataset:
  """Opens it as any TFDS dataset, whose names have `Sample` once this is imported."""
  from tfeval.datasets.tfds import open_tfds  # The rest of this needs no TensorFlow.

  return open_tfds(config)
