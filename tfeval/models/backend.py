"""What turns a batch of preprocessed images into a model's outputs."""

import abc
import dataclasses
import pathlib
import types
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from tfeval.datasets.labels.spaces import LabelSpace

# What a backend can do beside computing outputs: tell the statistics of its batch
# normalisation, take the values of a checkpoint, and tell what layers return meanwhile;
# all by `Backend.model`.
STATISTICS, VALUES, FEATURES = 'batch statistics', 'values', 'features'


@dataclasses.dataclass(frozen=True)
class InputSpec:
  """What a model is fed: float32 images, the channels last.

  What differs from that in a model is made of these by its backend.

  Attributes:
    shape: (batch, height, width, channels), None for each that is free; None where
      nothing is known.
    encoded: whether it is fed encoded images in place of these: string [n], the bytes
      of files, which it decodes itself.
    dtype: what these images become; of whole numbers they are rounded.
    channels_first: whether they are transposed.
  """

  shape: tuple[int | None, ...] | None = None
  encoded: bool = False
  dtype: str = 'float32'
  channels_first: bool = False

  @property
  def sides(self) -> tuple[int | None, int | None]:
    """Height and width in pixels, None where they are free or not known."""
    if not isinstance(self.shape, tuple) or len(self.shape) != 4:
      return None, None
    return self.shape[1], self.shape[2]

  @property
  def channels(self) -> int | None:
    """How many channels images have, None where they are free or not known."""
    if not isinstance(self.shape, tuple) or len(self.shape) != 4:
      return None
    return self.shape[3]


class Backend(abc.ABC):
  """Runs a model of one framework. What is known of images and classes is `Model`'s.

  Attributes:
    input_spec: what it is fed.
    capabilities: what else it can do, see above.
    model: the framework's own object, None where it has no layers that can be read.
    output_space: the classes of its outputs, None where these are only counted.
    parameters: how many weights it has; None where that cannot be known.
    dtype: what it computes in; several joined by `+`.
    calls_at_once: how many calls go on beside each other where each waits for something
      outside of this process; 1 where TensorFlow computes.
    told_protocol: the recipe of its weights, as a specification for `protocol.resolve`,
      where its framework tells it.
    activations: `'softmax'` or `'sigmoid'` by the names of outputs that end in one, of
      a file that tells its operators; empty where `model` has layers that tell it.
    no_protocol: why that has none, in words; empty where nothing is known.
    tells_classes: whether `output_space` is what its framework tells, in words that
      need not be those of the dataset.
  """

  input_spec: InputSpec
  capabilities: frozenset[str] = frozenset()
  model: Any = None
  output_space: LabelSpace | None = None
  parameters: int | None = None
  dtype: str = 'unknown'
  calls_at_once: int = 1
  told_protocol: str | None = None
  activations: Mapping[str, str] = types.MappingProxyType({})
  no_protocol: str = ''
  tells_classes: bool = False

  @abc.abstractmethod
  def __call__(self, images: Any) -> Any:
    """Returns the outputs for a batch: [n, outputs], several in a list or by name.

    Args:
      images: float32 [n, height, width, 3], preprocessed.
    """

  @abc.abstractmethod
  def describe(self) -> dict[str, Any]:
    """Returns `versions` and `devices` of the process that it runs in, for JSON."""

  def hardware(self) -> Mapping[str, Any] | None:
    """Returns what computes it, where that is another process.

    Returns:
      `kind`: `'CPU'`, `'GPU'` or `'TPU'`; `name`: of the device, where it is no CPU of
      this host; perhaps `cuda` and `cudnn`, versions. None where nobody knows. Empty:
      the devices of this process.
    """
    return {}

  def cpu_seconds(self) -> float:
    """Returns the CPU time of other processes that computed it so far, in seconds."""
    return 0.0

  @abc.abstractmethod
  def outputs(self) -> Mapping[str, Any]:
    """Returns what it tells of its outputs before it runs, by name; may be empty."""

  def fingerprint(self, sources: Sequence[pathlib.Path] = ()) -> str | None:
    """Returns a SHA-256 that values, layers and code have alone, None for none.

    Args:
      sources: files that say how the model computes and what it is fed.
    """
    return None

  def architecture_sha256(self) -> str | None:
    """Returns a SHA-256 of what it computes, its values aside; None for none."""
    return None

  def own_code(self) -> Hashable:
    """Returns a value that changes when code or attributes of the user's do."""
    return None

  def layers_sha256(self) -> str | None:
    """Returns a SHA-256 of its layers and the shapes of its values; None for none.

    Other than `architecture_sha256` it knows nothing of attributes: a model has it as
    long as it is trained, whatever its layers count.
    """
    return None

  def trace_key(self) -> Hashable:
    """Returns a value that changes when a step has to be traced again."""
    return None
