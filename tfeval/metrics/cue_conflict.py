"""Shape or texture: by which of two cues images are told that have both.

Source: Geirhos et al., "ImageNet-trained CNNs are biased towards texture" (2019,
arXiv:1811.12231), section 2.2: of images with the shape of one class and the texture of
another, shape decisions over all decisions for either.
"""

import dataclasses

import numpy as np

from tfeval.metrics import intervals


@dataclasses.dataclass(frozen=True)
class CueDecisions:
  """Decisions about images whose shape and texture are of different classes.

  Attributes:
    shape: images told by their shape.
    texture: images told by their texture.
    count: all images; the others were told as something else.
    same: images that were left out: both cues are of one class.
  """

  shape: int
  texture: int
  count: int
  same: int

  @property
  def shape_bias(self) -> float | None:
    """Shape over shape and texture, in [0, 1]; None without such decisions."""
    decided = self.shape + self.texture
    return self.shape / decided if decided else None

  @property
  def shape_bias_interval(self) -> tuple[float, float] | None:
    """Its 95 % Wilson interval."""
    decided = self.shape + self.texture
    return intervals.wilson(self.shape, decided) if decided else None

  @property
  def decided(self) -> float | None:
    """The share of images told by either, in [0, 1]; None without images."""
    return (self.shape + self.texture) / self.count if self.count else None

  @property
  def decided_interval(self) -> tuple[float, float] | None:
    """Its 95 % Wilson interval."""
    if not self.count:
      return None
    return intervals.wilson(self.shape + self.texture, self.count)


def cue_decisions(
  decision: np.ndarray, shape: np.ndarray, texture: np.ndarray
) -> CueDecisions:
  """Counts decisions.

  Args:
    decision: int [n], the class that each image was told to be.
    shape, texture: int [n], the classes of its cues.

  Raises:
    ValueError: shapes disagree.

  >>> cue_decisions(np.array([1, 2, 3, 4]), np.array([1, 1, 1, 4]),
  ...               np.array([2, 2, 2, 4]))
  CueDecisions(shape=1, texture=1, count=3, same=1)
  """
  decision, shape, texture = map(np.asarray, (decision, shape, texture))
  if not decision.shape == shape.shape == texture.shape == (len(decision),):
    raise ValueError(
      f'decisions {decision.shape}, shapes {shape.shape} and textures {texture.shape} '
      'are not one for each image'
    )
  differ = shape != texture
  return CueDecisions(
    int(np.count_nonzero(differ & (decision == shape))),
    int(np.count_nonzero(differ & (decision == texture))),
    int(np.count_nonzero(differ)),
    int(np.count_nonzero(~differ)),
  )
