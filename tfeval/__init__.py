"""tfeval: exact evaluation of image classifiers on ImageNet with TensorFlow."""

__version__ = '0.1.0'
