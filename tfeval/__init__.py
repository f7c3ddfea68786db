"""tfeval: exact evaluation of image classifiers on ImageNet with TensorFlow.

model = tfeval.load_model('MobileNet:alpha=0.25')
scores = model(pixels)

run = tfeval.evaluate(my_keras_model, preprocess='tf')

run = tfeval.load_run('tfeval_runs/ResNet50')
run.score(labels=['original', 'real.json'], metrics=['top1', 'ece'])
tfeval.compare('tfeval_runs/ResNet50', 'tfeval_runs/VGG16').to_pandas()

Each command of the command line is a function of the same name and flags.
"""

import importlib
from typing import Any

__version__ = '0.1.0'
# Imported when they are asked for: TensorFlow takes seconds, Arrow half of one.
_MODULES = {
  'CheckFailed': 'tfeval.utils.errors',
  'DataError': 'tfeval.utils.errors',
  'Evaluator': 'tfeval.evaluation.evaluator',
  'Interrupted': 'tfeval.utils.errors',
  'Model': 'tfeval.models.model',
  'Run': 'tfeval.runs.run',
  'UserError': 'tfeval.utils.errors',
  'benchmark': 'tfeval.api.benchmark',
  'build_dataset': 'tfeval.engine.build_dataset',
  'compare': 'tfeval.api.compare',
  'ensemble': 'tfeval.api.ensemble',
  'evaluate': 'tfeval.evaluation.evaluator',
  'explain': 'tfeval.api.explain',
  'import_predictions': 'tfeval.api.import_predictions',
  'join': 'tfeval.api.pieces',
  'leaderboard': 'tfeval.api.compare',
  'list_datasets': 'tfeval.api.listing',
  'list_models': 'tfeval.api.listing',
  'load_model': 'tfeval.models.loading',
  'load_run': 'tfeval.runs.run',
  'over_seeds': 'tfeval.api.over_seeds',
  'plan': 'tfeval.api.plan',
  'predict': 'tfeval.api.predict',
  'relabel': 'tfeval.api.relabel',
  'report': 'tfeval.api.report',
  'shift': 'tfeval.api.shift',
  'sweep': 'tfeval.api.sweep',
  'verify': 'tfeval.api.verify',
  'work': 'tfeval.api.pieces',
}
_PACKAGES = {'errors': 'tfeval.utils.errors', 'keras': 'tfeval.keras'}
__all__ = sorted([*_MODULES, *_PACKAGES])  # noqa: PLE0605


def __getattr__(name: str) -> Any:
  if name in _PACKAGES:
    return importlib.import_module(_PACKAGES[name])
  if name not in _MODULES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
  return [*__all__, '__version__']
