"""tfeval inside Keras' training code: metrics that count, and a callback."""

import importlib.util
import os

from tfeval.keras.callback import EvaluateCallback

# As TensorFlow chooses what `tf.keras` is.
_is_legacy = os.environ.get('TF_USE_LEGACY_KERAS') in ('1', 'true', 'True')
if _is_legacy and importlib.util.find_spec('tf_keras') is not None:
  from tfeval.keras.legacy import RealTop1, RealTopK, TopK
else:
  from tfeval.keras.metrics import RealTop1, RealTopK, TopK

__all__ = ['EvaluateCallback', 'RealTop1', 'RealTopK', 'TopK']
