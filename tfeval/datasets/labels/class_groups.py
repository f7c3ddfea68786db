"""Groups of ImageNet's classes, for figures in which 1000 have no room.

`class_groups.tsv` cuts the hierarchy of WordNet 3.0 as the development kit of
ILSVRC2012 holds it (`meta.mat`: `children`): from the root down every synset of more
than 130 classes is split into its children, the largest first, those of fewer than 25
classes staying with what is left of the parent, which is called `other ...`; a class
with several parents belongs to the first of them.
"""

import functools

import numpy as np

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.utils import fact_table


@functools.cache
def _group_of_wnid() -> dict[str, str]:
  rows = fact_table.rows('tfeval.datasets.labels', 'class_groups.tsv')
  return {row['wnid']: row['group'] for row in rows}


def groups_of(space: LabelSpace) -> tuple[tuple[str, ...], np.ndarray] | None:
  """Returns the groups of classes, None where one is no class of ILSVRC2012.

  Args:
    space: the classes.

  Returns:
    Names, those of the first classes first, and int64 [classes], the group of each.

  >>> from tfeval.datasets.labels import imagenet
  >>> names, of = groups_of(imagenet.label_space())
  >>> names[:3], names[of[207]]
  (('fish or amphibian', 'bird', 'reptile'), 'dog or other canine')
  """
  known = _group_of_wnid()
  if not all(one in known for one in space.class_ids):
    return None
  found = [known[one] for one in space.class_ids]
  names = tuple(dict.fromkeys(found))
  at = {name: i for i, name in enumerate(names)}
  return names, np.array([at[name] for name in found], np.int64)
