"""tfeval: exact evaluation of image classifiers on ImageNet with TensorFlow.

model = tfeval.load_model('MobileNet:alpha=0.25')
scores = model(pixels)

run = tfeval.evaluate(my_keras_model, preprocess='tf')

run = tfeval.load_run('tfeval_runs/ResNet50')
run.score(labels=['original', 'real.json'], metrics=['top1', 'ece'])
"""

import importlib
from typing import Any

__version__ = '0.1.0'
__all__ = [
  'CheckFailed',
  'DataError',
  'Evaluator',
  'Interrupted',
  'Model',
  'Run',
  'UserError',
  'build_dataset',
  'errors',
  'evaluate',
  'keras',
  'load_model',
  'load_run',
]
# Imported when they are asked for: TensorFlow takes seconds, Arrow half of one.
_MODULES = {
  'Model': 'tfeval.models.model',
  'load_model': 'tfeval.models.loading',
  'build_dataset': 'tfeval.engine.build_dataset',
  'evaluate': 'tfeval.evaluation.evaluator',
  'Evaluator': 'tfeval.evaluation.evaluator',
  'Run': 'tfeval.runs.run',
  'load_run': 'tfeval.runs.run',
  'UserError': 'tfeval.utils.errors',
  'DataError': 'tfeval.utils.errors',
  'Interrupted': 'tfeval.utils.errors',
  'CheckFailed': 'tfeval.utils.errors',
}
_PACKAGES = {'errors': 'tfeval.utils.errors', 'keras': 'tfeval.keras'}


def __getattr__(name: str) -> Any:
  if name in _PACKAGES:
    return importlib.import_module(_PACKAGES[name])
  if name not in _MODULES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
  return sorted({*globals(), *_MODULES, *_PACKAGES})
