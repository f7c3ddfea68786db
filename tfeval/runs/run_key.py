"""What a run measured, in one readable name."""

import dataclasses
import os
import pathlib

from tfeval.runs.result_file import Manifest
from tfeval.utils import paths, spec


@dataclasses.dataclass(frozen=True)
class RunKey:
  """What a run measured. Whatever names a run is made from it.

  >>> key = RunKey('/models/mine.keras', 'none', 'imagenet2012', 'validation',
  ...              protocol='opencv at 224 pixels')
  >>> key.model_name, key.directory_name
  ('mine.keras', 'mine.keras@none')
  >>> key.title
  'mine.keras on imagenet2012 validation, protocol opencv at 224 pixels'

  Attributes:
    model: as it was asked for: a name with its options, a path or a URL.
    weights: likewise; None where they are not known.
    dataset: its name.
    split: of the dataset; empty where it is not known.
    subset: what of the split, such as `'the first 6 examples'`; None: all of it.
    protocol: as it is asked for, and the size of its pixels.
    compute: the dtype and what else changes the last digits; None where it is not
      known.
  """

  model: str
  weights: str | None = None
  dataset: str = ''
  split: str = ''
  subset: str | None = None
  protocol: str = ''
  compute: str | None = None

  @classmethod
  def of(cls, manifest: Manifest) -> 'RunKey':
    """Returns what a manifest or a result names."""
    dataset, protocol, compute = manifest.dataset, manifest.protocol, manifest.compute
    ways = [name for name in ('jit', 'tf32') if getattr(compute, name)]
    size = '' if protocol.size is None else f' at {protocol.size} pixels'
    return cls(
      manifest.model.name,
      manifest.model.weights,
      dataset.name,
      dataset.split,
      dataset.subset,
      protocol.text + size,
      None if compute.dtype is None else ' '.join([compute.dtype, *ways]),
    )

  @property
  def model_name(self) -> str:
    """What readers call the model: of a file its name without the folders."""
    if os.path.isabs(self.model) or paths.is_url(self.model):
      return os.path.basename(self.model.rstrip(os.sep))
    return self.model

  @property
  def text(self) -> str:
    """The model, and after `@` which weights, where these are not its own."""
    return self.model + self._at_weights

  @property
  def directory_name(self) -> str:
    """The name of its directory; other weights of a model have one of their own."""
    return spec.parse(self.model_name).directory_name() + self._at_weights

  @property
  def _at_weights(self) -> str:
    if self.weights in (None, 'imagenet'):
      return ''
    return f'@{pathlib.PurePath(self.weights).name}'

  @property
  def title(self) -> str:
    """What was evaluated on what, and how."""
    on = f'{self.dataset} {self.split}'.rstrip()
    return f'{self.model_name} on {on}, protocol {self.protocol}'
