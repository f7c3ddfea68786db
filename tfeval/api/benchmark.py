"""`tfeval.benchmark`."""

from typing import TYPE_CHECKING, Any

from tfeval import datasets
from tfeval.api import around, requests
from tfeval.utils.arguments import whole_number
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.engine.benchmark.report import BenchmarkReport

# What no stage that is measured has.
WITHOUT = ('on_error', 'tf_data_service', 'feed')
PARTS = ('model', 'protocol', 'dataset', 'devices', 'inputs')
MOST_IMAGES = 1 << 24


def benchmark(
  model: Any,
  *,
  weights: Any = 'imagenet',
  images: int = 512,
  progress: bool | None = None,
  **given: Any,
) -> 'BenchmarkReport':
  """Measures on this machine where the time of an evaluation goes.

  Args:
    model: the name of a model, or one in memory.
    weights: of a model by name.
    images: how many images to measure each stage over, 4 batches at least.
    progress: whether to show progress on stderr; by default if that is a terminal.
    **given: `dataset`, `batch_size`, `protocol` and others, as
      `tfeval benchmark --help` lists them.

  Raises:
    UserError: the data or the model are at fault, or a value is none.
  """
  images = whole_number('images', images, most=MOST_IMAGES)
  config = requests.config(given, WITHOUT)
  request, *more = requests.requests(model, weights, [config])
  if more:
    raise UserError(f'{len(more) + 1} `model` were given: benchmark takes one')
  datasets.check(config.dataset)
  show = around.progress_of(progress)
  with around.tensorflow():
    from tfeval.evaluation import evaluate  # TensorFlow: seconds.

    return evaluate.measure(request, config, images, show)
