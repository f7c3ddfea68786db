"""What timm publishes of the same weights on test sets."""

import dataclasses
import functools
import re
from collections.abc import Mapping

from tfeval.utils import fact_table

# Ports of these weights to Keras, see `efficientnet_lite`.
_LITE = re.compile(r'EfficientNetLite([0-4])')
_TIMM = 'timm:'


@dataclasses.dataclass(frozen=True)
class PublishedOnSets:
  """Figures of a model.

  Attributes:
    name: in timm.
    input_size, crop: of the images, which a run need not share.
    top1: in [0, 1], by the name of the set.
  """

  name: str
  input_size: int
  crop: float
  top1: Mapping[str, float]


@functools.cache
def _rows() -> dict[str, PublishedOnSets]:
  found = {}
  for row in fact_table.rows('tfeval.models', 'timm_test_sets.tsv'):
    about = row['model'], int(row['input_size']), float(row['crop'])
    sets = {key: row[key] for key in row if key not in ('model', 'input_size', 'crop')}
    top1 = {name: float(text) / 100 for name, text in sets.items() if text}
    found[row['model']] = PublishedOnSets(*about, top1)
  return found


def of_model(name: str) -> PublishedOnSets | None:
  """Returns the figures of the weights that a model of ours has, None if not known.

  Args:
    name: as it was asked for.

  >>> round(of_model('EfficientNetLite0').top1['imagenet_r'], 5)
  0.36033
  >>> round(of_model('timm:resnet50.tv_in1k').top1['imagenet_sketch'], 5)
  0.24064
  >>> of_model('ResNet50') is None
  True
  """
  if lite := _LITE.fullmatch(name):
    return _rows().get(f'tf_efficientnet_lite{lite[1]}.in1k')
  return _rows().get(name.removeprefix(_TIMM)) if name.startswith(_TIMM) else None
