"""tfeval inside Keras' training code: metrics that count."""

from tfeval.keras.metrics import RealTop1, RealTopK, TopK

__all__ = ['RealTop1', 'RealTopK', 'TopK']
