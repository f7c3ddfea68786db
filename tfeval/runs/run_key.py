"""What a run measured, in one readable name."""

import dataclasses
import os
from collections.abc import Sequence

from tfeval.runs.result_file import Manifest
from tfeval.utils import paths, spec

# The weights that a model comes with, or has in memory.
_OWN_WEIGHTS = (None, 'imagenet', 'memory')
_BETWEEN = '+'

# The protocol of models that are handed encoded images.
_ENCODED = 'encoded'


@dataclasses.dataclass(frozen=True)
class RunKey:
  """What a run measured. Whatever names a run is made from it.

  >>> key = RunKey('/models/mine.keras', 'none', 'imagenet2012', 'validation',
  ...              protocol='opencv', size=224)
  >>> key.model_name, key.text
  ('mine.keras', '/models/mine.keras@none')
  >>> key.title
  'mine.keras on imagenet2012 validation, protocol opencv at 224 pixels'

  Attributes:
    model: as it was asked for: a name with its options, a path or a URL.
    weights: likewise; None where they are not known.
    dataset: its name.
    split: of the dataset; empty where it is not known.
    subset: what of the split, such as `'the first 6 examples'`; None: all of it.
    protocol: as it is asked for.
    size: of its pixels; None where it is not known.
    compute: the dtype and what else changes the last digits; None where it is not
      known.
    part: which signature and graph of a SavedModel; None for the usual ones.
    feed: how the model was fed otherwise than it wants; None: it was not.
    adapt: how it was adapted to the images; None: it was not.
    corruption: how images were corrupted, where the protocol does not say it; None:
      they were not, or it does.
    labels: the path of a file of labels that were taken for the dataset's; None for
      its own.
  """

  model: str
  weights: str | None = None
  dataset: str = ''
  split: str = ''
  subset: str | None = None
  protocol: str = ''
  size: int | None = None
  compute: str | None = None
  labels: str | None = None
  part: str | None = None
  feed: str | None = None
  adapt: str | None = None
  corruption: str | None = None

  @classmethod
  def of(cls, manifest: Manifest) -> 'RunKey':
    """Returns what a manifest or a result names."""
    dataset, protocol, compute = manifest.dataset, manifest.protocol, manifest.compute
    adaptation = manifest.model.adaptation
    ways = [name for name in ('jit', 'tf32') if getattr(compute, name)]
    return cls(
      manifest.model.name,
      manifest.model.weights,
      dataset.name,
      dataset.split,
      dataset.subset,
      protocol.text,
      protocol.size,
      None if compute.dtype is None else ' '.join([compute.dtype, *ways]),
      feed=manifest.model.feed,
      adapt=None if adaptation is None else adaptation.text,
    )

  @property
  def model_name(self) -> str:
    """What readers call the model: of a file its name without the folders.

    Behind it stands how it was adapted, if it was.
    """
    adapted = '' if self.adapt is None else f' +{self.adapt}'
    return _components(self.model)[-1] + adapted

  @property
  def text(self) -> str:
    """The model, and after `@` which weights, where these are not its own."""
    if self.weights in _OWN_WEIGHTS:
      return self.model
    return f'{self.model}@{_components(self.weights)[-1]}'

  @property
  def title(self) -> str:
    """What was evaluated on what, and how."""
    return f'{self.model_name} {self.circumstances}'

  @property
  def circumstances(self) -> str:
    """On what the model was evaluated, and how."""
    dataset = f'{self.dataset} {self.split}'.rstrip()
    if self.protocol == _ENCODED:
      return f'on {dataset}, decoded by the model'
    size = '' if self.size is None else f' at {self.size} pixels'
    fed = '' if self.feed is None else f', fed {self.feed}'
    return f'on {dataset}, protocol {self.protocol}{size}{fed}'


def directory_names(keys: Sequence[RunKey]) -> list[str]:
  """Returns names for the directories of runs, the shortest that tell them apart.

  Args:
    keys: of the runs of a command, with only what differs from the default; paths are
      absolute.

  Returns:
    For each the model, after `-` a part of it that is not the usual one, after `@`
    weights that are not its own, and after `+` each what is not the default: letters,
    digits and `._=-+@` only. Of paths the last component, with those before it where it
    takes them to tell two apart.

  >>> directory_names([RunKey('ResNet50'), RunKey('ResNet50', dataset='imagenet_v2',
  ...                                             subset='limit=100', size=160)])
  ['ResNet50', 'ResNet50+imagenet_v2+limit=100+size=160']
  >>> directory_names([RunKey('/exp1/best.keras'), RunKey('/exp2/best.keras')])
  ['exp1_best.keras', 'exp2_best.keras']
  """
  models, weights, datasets, labels = (
    _shortest([getattr(key, name) or '' for key in keys])
    for name in ('model', 'weights', 'dataset', 'labels')
  )
  return [
    _directory_name(key, *ends)
    for key, *ends in zip(keys, models, weights, datasets, labels, strict=True)
  ]


def _directory_name(
  key: RunKey, model: str, weights: str, dataset: str, labels: str
) -> str:
  at_weights = '' if key.weights in _OWN_WEIGHTS else f'@{_safe(weights)}'
  parts = [
    dataset,
    f'split={key.split}' if key.split else '',
    key.subset or '',
    f'labels={labels}' if labels else '',
    key.protocol,
    '' if key.corruption is None else f'corruption={key.corruption}',
    '' if key.size is None else f'size={key.size}',
    *(key.compute or '').split(),
    '' if key.feed is None else f'feed={key.feed}',
    '' if key.adapt is None else f'adapt={key.adapt}',
  ]
  part = f'-{_safe(key.part)}' if key.part else ''
  return _BETWEEN.join(
    [_safe(model) + part + at_weights, *map(_safe, filter(None, parts))]
  )


def _safe(text: str) -> str:
  return spec.Spec(text, text).directory_name()


def _shortest(names: Sequence[str]) -> list[str]:
  """Returns of each path the fewest last components that no other one ends in."""
  split = {name: _components(name) for name in names}

  def end(name: str) -> str:
    mine = split[name]
    others = [parts for other, parts in split.items() if other != name]
    for count in range(1, len(mine) + 1):
      if all(parts[-count:] != mine[-count:] for parts in others):
        return '/'.join(mine[-count:])
    return '/'.join(mine)

  return [end(name) for name in names]


def _components(name: str) -> list[str]:
  """Returns those of a path or URL; of any other name itself."""
  kind, colon, rest = name.partition(':')
  if colon and os.path.isabs(rest):  # The path of a dataset behind its kind.
    return [part for part in rest.split('/') if part] or [kind]
  if os.path.isabs(name) or paths.is_url(name):
    return [part for part in name.split('/') if part] or [name]
  return [name]
