"""Each named protocol as its own library does it, without a line of tfeval.

Decoding and resizing are the libraries'; sizes and crops are transcribed from the
sources that data/protocols.toml names.

A reference takes encoded bytes and the size of the model's input, in pixels, and
returns [size, size, 3], RGB, uint8 or float32.
"""

import io
import math

import cv2
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

# Pillow's and TensorFlow's own limits on large images are not what is compared.
Image.MAX_IMAGE_PIXELS = None


def opencv(
  data, size, dtype=np.uint8, ipp=False, fraction=0.875, kernel=cv2.INTER_CUBIC
):
  """The keras-applications README (2019): cv2.imread, cv2.resize, crop."""
  used = cv2.ipp.useIPP()
  cv2.ipp.setUseIPP(ipp)
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  side = int(size / fraction)
  height, width = image.shape[:2]
  short = min(height, width)
  image = cv2.resize(
    image.astype(dtype),
    (width * side // short, height * side // short),
    interpolation=kernel,
  )
  cv2.ipp.setUseIPP(used)
  y, x = (side // 2 - size // 2 for side in image.shape[:2])
  return image[y : y + size, x : x + size, ::-1]


def opencv_float(data, size):
  return opencv(data, size, np.float32)


def opencv_ipp(data, size):
  return opencv(data, size, ipp=True)


def pil(data, size, kernel=Image.BICUBIC, fraction=0.875):
  """torchvision's Resize and CenterCrop on PIL images, as timm composes them."""
  image = Image.open(io.BytesIO(data)).convert('RGB')
  width, height = image.size
  side = int(size / fraction)
  if width <= height:
    image = image.resize((side, int(side * height / width)), kernel)
  else:
    image = image.resize((int(side * width / height), side), kernel)
  left, top = (int(round((side - size) / 2.0)) for side in image.size)
  return np.asarray(image.crop((left, top, left + size, top + size)))


def hugging_face(data, size, fraction):
  """Resize and `center_crop` of transformers' image_transforms.py, by PIL images."""
  image = Image.open(io.BytesIO(data)).convert('RGB')
  side, short = round(size / fraction), min(image.size)
  image = image.resize([int(side * one / short) for one in image.size], Image.BICUBIC)
  sides = [max(one, size) for one in image.size]
  canvas = Image.new('RGB', sides)
  canvas.paste(
    image, [math.ceil((a - b) / 2) for a, b in zip(sides, image.size, strict=True)]
  )
  left, top = ((one - size) // 2 for one in sides)
  return np.asarray(canvas.crop((left, top, left + size, top + size)))


def pil_border(data, size, kernel=Image.BICUBIC, fraction=1.0, fill=(0, 0, 0)):
  """timm's ResizeKeepRatio by the long side and CenterCropOrPad, on PIL images."""
  image = Image.open(io.BytesIO(data)).convert('RGB')
  ratio = max(side / math.floor(size / fraction) for side in image.size)
  image = image.resize([round(side / ratio) for side in image.size], kernel)
  canvas = Image.new('RGB', [max(side, size) for side in image.size], tuple(fill))
  canvas.paste(image, [max(0, size - side) // 2 for side in image.size])
  left, top = (int(round((side - size) / 2.0)) for side in canvas.size)
  return np.asarray(canvas.crop((left, top, left + size, top + size)))


def squash(data, size, interpolation='nearest'):
  return keras.utils.img_to_array(
    keras.utils.load_img(
      io.BytesIO(data), target_size=(size, size), interpolation=interpolation
    ),
    dtype=np.uint8,
  )


def tf_bicubic(data, size, antialias=False, decode=None):
  """tf.image.resize after the short side, on what cv2 decodes."""
  if decode is None:
    image = cv2.imdecode(
      np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    )[..., ::-1]
  else:
    image = decode(data)
  side = int(size / 0.875)
  height, width = image.shape[:2]
  short = min(height, width)
  image = tf.image.resize(
    image,
    (height * side // short, width * side // short),
    'bicubic',
    antialias=antialias,
  ).numpy()
  y, x = ((side - size) // 2 for side in image.shape[:2])
  return image[y : y + size, x : x + size]


def slim(data, size):
  """inception_preprocessing.preprocess_for_eval, without its scaling to -1..1."""
  image = tf.image.convert_image_dtype(decode_jpeg_or_png(data), tf.float32)
  image = tf.image.central_crop(image, 0.875)
  return (
    255
    * tf.compat.v1.image.resize_bilinear(
      image[None], [size, size], align_corners=False
    )[0].numpy()
  )


def efficientnet(data, size):
  """preprocess_for_eval of tensorflow/tpu's EfficientNet, crop_padding 32."""
  is_jpeg = data[:3] == b'\xff\xd8\xff'
  image = None if is_jpeg else decode_jpeg_or_png(data)
  shape = tf.image.extract_jpeg_shape(data) if is_jpeg else tf.shape(image)
  side = tf.cast(
    (size / (size + 32)) * tf.cast(tf.minimum(shape[0], shape[1]), tf.float32), tf.int32
  )
  y, x = ((shape[0] - side) + 1) // 2, ((shape[1] - side) + 1) // 2
  image = (
    tf.image.decode_and_crop_jpeg(data, [y, x, side, side], channels=3)
    if is_jpeg
    else image[y : y + side, x : x + side]
  )
  return tf.compat.v1.image.resize_bicubic([image], [size, size])[0].numpy()


def convnext(data, size):
  """load_and_prepare of the notebook behind Keras' figures of ConvNeXt."""
  image = tf.image.decode_png(data, channels=3)
  side = int(size / 0.875)
  image = tf.image.resize(image, (side, side), method='bicubic')
  return tf.image.central_crop(image, 0.875).numpy()


def decode_jpeg_or_png(data):
  """As a script of the authors' time decodes, EXIF orientation ignored."""
  if data[:3] == b'\xff\xd8\xff':
    return tf.io.decode_jpeg(data, channels=3)
  return tf.io.decode_png(data, channels=3)


REFERENCES = {
  'opencv': opencv,
  'opencv_float': opencv_float,
  'opencv_ipp': opencv_ipp,
  'pil': pil,
  'tf': tf_bicubic,
  'squash': squash,
  'slim': slim,
  'efficientnet': efficientnet,
  'convnext': convnext,
}
