"""Which of the 1000 classes test sets have, by the lists of their authors.

The lists stand in `class_sets.tsv`, of each set in the order of its labels. Sources:
`thousand_k_to_200` of hendrycks/natural-adv-examples (imagenet_a, imagenet_o) and
`imagenet_r_wnids` of hendrycks/imagenet-r; objectnet_to_imagenet_1k.json of ObjectNet;
TFDS' label files (imagenette, imagewang) and fastai/imagenette (imagewoof);
imagenet100.txt of HobbitLong/CMC; mini_imagenet_indices.txt of timm; wnids.txt of Tiny
ImageNet; MSCOCO_to_ImageNet_category_mapping.txt of rgeirhos/texture-vs-shape, of which
the 1000 classes are kept.
"""

import csv
import dataclasses
import functools
import hashlib
import importlib.resources

from tfeval.datasets.labels import imagenet
from tfeval.metrics.competition import MAX, MEAN, Rule
from tfeval.metrics.entry import ALL
from tfeval.utils import errors

# Their images have a clean partner: validation images of the same classes.
PARTNERS = ('imagenet_a', 'imagenet_r', 'imagenet_o', 'objectnet')
# Of cue conflict the authors recommend the mean of a category's probabilities.
_REDUCE = {'cue_conflict': MEAN}


@dataclasses.dataclass(frozen=True)
class ClassSet:
  """Classes of a test set.

  Attributes:
    name: the set's.
    names: what its classes are called there: wnids, or names of its own.
    wnids: for each those of ImageNet that mean it.
  """

  name: str
  names: tuple[str, ...]
  wnids: tuple[tuple[str, ...], ...]

  @functools.cached_property
  def groups(self) -> tuple[tuple[int, ...], ...]:
    """The same as indices of the 1000 classes, ascending in each."""
    index = imagenet.label_space().index_of_id
    return tuple(tuple(sorted(index[one] for one in group)) for group in self.wnids)

  @property
  def digest(self) -> str:
    """SHA-256 over its classes in their order."""
    lines = (f'{n}\t{",".join(w)}' for n, w in zip(self.names, self.wnids, strict=True))
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()

  def rule(self, name: str, partner: bool = False, reduce: str | None = None) -> Rule:
    """Returns the rule under which its classes compete.

    Args:
      name: of the rule.
      partner: whether it is for images of another set.
      reduce: see `Rule`; by default as its authors have it.
    """
    groups = tuple(sorted(self.groups))
    reduce = reduce or _REDUCE.get(self.name, MAX)
    return Rule(name, groups, reduce, partner, self.name)

  def rule_of_all(self) -> Rule:
    """Returns the rule `all`: other classes compete as well, whatever a model says."""
    return self.rule(ALL, reduce=MAX)


@functools.cache
def partner_rules() -> tuple[Rule, ...]:
  """Returns the rules of other test sets that validation images are ranked under."""
  return tuple(read(name).rule(name, partner=True) for name in PARTNERS)


@functools.cache
def _rows() -> dict[str, dict[str, list[str]]]:
  path = importlib.resources.files('tfeval.datasets.labels') / 'class_sets.tsv'
  found: dict[str, dict[str, list[str]]] = {}
  for row in csv.DictReader(path.read_text('utf-8').splitlines(), delimiter='\t'):
    of_set = found.setdefault(row['set'], {})
    of_set.setdefault(row['class'] or row['wnid'], []).append(row['wnid'])
  return found


def names() -> list[str]:
  """Returns the names of all sets."""
  return list(_rows())


@functools.cache
def read(name: str) -> ClassSet:
  """Returns a set by its name.

  Raises:
    UserError: there is none.

  >>> found = read('objectnet')
  >>> len(found.names), found.names[0], found.groups[0]
  (113, 'alarm_clock', (409, 530))
  """
  if name not in _rows():
    raise errors.unknown('class set', name, names())
  rows = _rows()[name]
  return ClassSet(name, tuple(rows), tuple(tuple(group) for group in rows.values()))
