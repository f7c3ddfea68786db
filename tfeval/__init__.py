"""tfeval: exact evaluation of image classifiers on ImageNet with TensorFlow.

    model = tfeval.load_model('MobileNet:alpha=0.25')
    scores = model(pixels)
"""

import importlib
from typing import Any

__version__ = '0.1.0'
__all__ = ['Model', 'load_model']
# Imported when they are asked for: TensorFlow takes seconds.
_MODULES = {'Model': 'tfeval.models.model', 'load_model': 'tfeval.models.loading'}


def __getattr__(name: str) -> Any:
  if name not in _MODULES:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
  return sorted({*globals(), *_MODULES})
