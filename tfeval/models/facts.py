"""What is known of a model before it is loaded."""

import csv
import dataclasses
import importlib.resources
from collections.abc import Iterator, Mapping

from tfeval.utils.shown import Shown


@dataclasses.dataclass(frozen=True)
class ModelFacts:
  """One row of `models.tsv`, or weights of another framework.

  A row is a constructor, or a variant that has own weights.

  Two figures may stand beside each other. The *published* one is what users of these
  weights know: Keras' own measurement where there is one, else what Keras or the
  authors state. The *native* one is the authors' own. They differ because the
  protocols do. Percent are of the 50,000 validation images of ImageNet 2012.

  Attributes:
    name: a specification, such as `MobileNet:alpha=0.25,input_shape=[128,128,3]`.
    module: has `preprocess_input` and, unless `keras.applications` alone has it, the
      constructor.
    input_size: side of the input in pixels.
    preprocess: `caffe`, `tf`, `torch`, `lite`, or `identity` where the model
      rescales inside.
    parameters: number of weights with 1000 classes, trainable or not.
    multiply_adds: of one image at `input_size`, in convolutions and dense layers;
      a multiplication with its addition is one, biases are none. None: not known.
    published_top1: percent, None if there is no figure.
    published_top5: percent, None if there is no figure.
    published_source: who says so.
    published_protocol: a specification for `protocol.resolve`, the recipe behind the
      figure; None if that is not known.
    native_top1: percent, None if there is no figure.
    native_top5: percent, None if there is no figure.
    native_protocol: the authors' recipe as a specification; None if it is not known
      or no protocol of tfeval is equal to it.
    native_source: who says so, and what the recipe is if it is no protocol.
    weights_file: name of the file, as Keras stores it.
    weights_hash: `md5:` or `sha256:` and hexadecimal digits; None where Keras checks
      no hash.
    traps: what has gone wrong before, a sentence each.
  """

  name: str
  module: str
  input_size: int
  preprocess: str
  parameters: int
  multiply_adds: int | None
  published_top1: float | None
  published_top5: float | None
  published_source: str
  published_protocol: str | None
  native_top1: float | None
  native_top5: float | None
  native_protocol: str | None
  native_source: str
  weights_file: str
  weights_hash: str | None
  traps: tuple[str, ...]


class Models(Shown, tuple[ModelFacts, ...]):
  """Models, each with what is known of it."""

  DOCUMENT = 'tfeval.reports.page.of_models:document'


def lines(name: str) -> Iterator[Mapping[str, str]]:
  """Yields the rows of a table beside this file, by the names of its columns."""
  path = importlib.resources.files('tfeval.models') / name
  yield from csv.DictReader(
    path.read_text('utf-8').splitlines(),
    delimiter='\t',
    quoting=csv.QUOTE_NONE,
    strict=True,
  )
