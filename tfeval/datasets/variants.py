"""Test sets of the field: what each is, and by which rule its authors count.

Facts stand in `variants.toml`. Nothing here imports TensorFlow.
"""

import dataclasses
import functools
import importlib.resources
import logging
import os
import re
import tomllib

from tfeval.metrics.entry import ALL
from tfeval.utils import errors, paths
from tfeval.utils.errors import UserError
from tfeval.utils.shown import Shown

_LOG = logging.getLogger('tfeval')
NATURAL, ROBUST, CLEAN, SUBSET, FACTORS = KINDS = (
  'natural',
  'robust',
  'clean',
  'subset',
  'factors',
)
# How images lie in a folder as their authors publish them.
WNIDS, NUMBERS, OBJECTNET, CORRUPTIONS, TINY, CUE_CONFLICT, PARQUET = (
  'wnids',
  'numbers',
  'objectnet',
  'corruptions',
  'tiny',
  'cue_conflict',
  'parquet',
)
# Of the protocols: that of a test set's authors.
AUTHORS = 'authors'


@dataclasses.dataclass(frozen=True)
class Variant:
  """A test set.

  Attributes:
    name: what `--dataset` calls it.
    title: what readers do.
    kind: of `KINDS`; what has factors alone has no images.
    tfds: its name in TFDS, '' where TFDS does not build it.
    configs: of TFDS, the default first.
    images: how many it has, 0 where that is not one number.
    layout: how images lie in a folder of them, '' where no folder is read.
    class_set: of `labels.class_sets`; '' where it has all 1000 classes.
    rule: the class rule of its authors.
    label: the feature of TFDS that is the label, '' for the usual one.
    id_key: the feature of TFDS that tells its images apart, a whole number; '' for the
      usual one.
    unlabelled: whether its images are of none of the classes.
    corruptions: the names of those that a set is made of.
    ready: the side of its images where they are cropped already, 0 where not.
    protocol: that of its authors, '' where they have none of their own.
    clean: the rule under which validation images are its clean partner, '' for none.
    paper, source, licence: of the set.
    traps: what goes wrong with it.
    anchors: published figures.
  """

  name: str
  title: str
  kind: str
  paper: str
  source: str
  licence: str
  tfds: str = ''
  configs: tuple[str, ...] = ()
  images: int = 0
  layout: str = ''
  class_set: str = ''
  rule: str = 'all'
  label: str = ''
  id_key: str = ''
  unlabelled: bool = False
  corruptions: tuple[str, ...] = ()
  ready: int = 0
  protocol: str = ''
  clean: str = ''
  traps: tuple[str, ...] = ()
  anchors: tuple[str, ...] = ()

  @property
  def comes_from(self) -> str:
    """Where its images are taken from, as `--dataset` is given them."""
    ways = [self.name] if self.tfds else []
    if self.layout:
      ways.append(f'{self.name}:{"FILES" if self.layout == PARQUET else "DIR"}')
    return ' or '.join(ways)


class Variants(Shown, tuple[Variant, ...]):
  """Test sets, each with what is known of it."""

  DOCUMENT = 'tfeval.reports.page.of_datasets:document'


@functools.cache
def variants() -> dict[str, Variant]:
  """Returns all sets by name, in the order of the file."""
  path = importlib.resources.files('tfeval.datasets') / 'variants.toml'
  lists = ('configs', 'traps', 'anchors', 'corruptions')
  found = {}
  for name, fields in tomllib.loads(path.read_text('utf-8')).items():
    values = {k: tuple(v) if k in lists else v for k, v in fields.items()}
    found[name] = Variant(name, **values)
  return found


def get(name: str) -> Variant:
  """Returns a set by its name, with a configuration behind it or without.

  Raises:
    UserError: there is none.
  """
  known, _, config = name.partition('/')
  if known not in variants():
    raise errors.unknown('test set', name, variants())
  found = variants()[known]
  if config and config not in found.configs:
    raise errors.unknown(f'configuration of {known}', config, found.configs)
  return found


def of_dataset(name: str) -> Variant | None:
  """Returns the set that a dataset is, by what stands behind `--dataset`.

  >>> of_dataset('imagenet_v2/topimages:3.0.0').title
  'ImageNet-V2'
  >>> of_dataset('folder:val') is None
  True
  """
  return variants().get(re.split('[:/]', name)[0])


def first_rule(name: str) -> str:
  """Returns the rule that a set's authors count by, `all` of other datasets.

  >>> first_rule('imagenet_r'), first_rule('folder:val')
  ('restricted', 'all')
  """
  variant = of_dataset(name)
  return ALL if variant is None else variant.rule


def rule_in(name: str, rule: str) -> str:
  """Returns what a rule is called in runs on a dataset: that of a set is its own there.

  >>> rule_in('imagenet_a', 'imagenet_a'), rule_in('imagenet2012', 'imagenet_a')
  ('restricted', 'imagenet_a')
  """
  variant = of_dataset(name)
  return variant.rule if variant is not None and variant.class_set == rule else rule


def directory_of(name: str) -> str | None:
  """Returns the folder or files that a set is to be read from; None: TFDS builds it.

  >>> directory_of('objectnet:photos'), directory_of('imagenet_v2:3.0.0')
  ('photos', None)
  """
  variant, (_, _, where) = of_dataset(name), name.partition(':')
  if variant is None or not variant.layout or not where:
    return None
  if variant.tfds and not os.path.exists(os.path.expanduser(where)):
    # A version of TFDS, or a folder that is not there.
    is_version = re.fullmatch(r'[\d.*]+', where) is not None
    return None if is_version else where
  return where


def config_of(name: str) -> str | None:
  """Returns the configuration that stands in the name of a dataset, None without.

  >>> config_of('imagenet_v2/topimages:photos'), config_of('imagenet_v2:/photos')
  ('topimages', None)
  """
  target = name.partition(':')[0]
  return target.partition('/')[2] or None


def run_name(name: str) -> str | None:
  """Returns what runs on a set are called that lies in a folder; None for others.

  >>> run_name('imagenet_c:/data/c/fog/3'), run_name('objectnet:/data/o')
  ('imagenet_c_fog_3', 'objectnet')
  >>> run_name('imagenet_v2/topimages:/data/top')
  'imagenet_v2_topimages'
  """
  variant, where = of_dataset(name), directory_of(name)
  if variant is None or where is None:
    return None
  if variant.layout != CORRUPTIONS:
    return '_'.join(filter(None, (variant.name, config_of(name))))
  parts = paths.absolute(where).split(os.sep)[-2:]
  return '_'.join([variant.name, *parts])


def protocol_of(name: str, asked: str, default: str) -> str:
  """Returns the protocol for a dataset.

  Args:
    name: the dataset's.
    asked: the protocol that was asked for; `authors`: that of the set's authors.
    default: what is asked for where nothing is said.

  Raises:
    UserError: it is no test set whose authors have one.
  """
  variant = of_dataset(name)
  if asked == AUTHORS:
    if variant is None or not variant.protocol:
      known = ', '.join(v.name for v in variants().values() if v.protocol)
      raise UserError(
        f'`protocol={AUTHORS}`: of {name} no preprocessing of its authors is known: '
        f'give another one, or a set of {known}'
      )
    return variant.protocol
  if variant is None or not variant.ready:
    return asked
  if asked == default:
    return variant.protocol
  if 'crop=none' not in asked:
    _LOG.warning(
      '%s has images of %d pixels, cropped already: `protocol=%s` resizes and crops '
      'them once more',
      name,
      variant.ready,
      asked,
    )
  return asked
