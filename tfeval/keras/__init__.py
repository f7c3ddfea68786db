"""tfeval inside Keras' training code: metrics that count, and a callback."""

from tfeval.keras.callback import EvaluateCallback
from tfeval.keras.metrics import RealTop1, RealTopK, TopK

__all__ = ['EvaluateCallback', 'RealTop1', 'RealTopK', 'TopK']
