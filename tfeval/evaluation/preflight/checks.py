"""Looks at a model's outputs for a few images before the long run.

What is found is nothing that stops a run: it is what makes its result meaningless.
Thresholds were set by experiment on 128 photos with the published weights of
MobileNet(alpha=0.25) and EfficientNet-Lite0, each with every preprocessing; they are
far from what healthy models show, so faults that cost little are not found.
"""

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfeval.datasets.labels import imagenet, orders
from tfeval.engine.out_of_memory import is_out_of_memory
from tfeval.evaluation.preflight import feeding, label_order, normalisation
from tfeval.evaluation.preflight.finding import Finding, application
from tfeval.evaluation.preflight.probe import ProbeResult, match_classes
from tfeval.models import table
from tfeval.models.backend import STATISTICS
from tfeval.models.keras.preprocessor import preprocessor_of
from tfeval.models.keras.wrap import MEMORY
from tfeval.models.model import Model, of_space
from tfeval.models.options import (
  BACKGROUND,
  CLASS_MAPS,
  LOGITS,
  PROBABILITIES,
  SIGMOID,
)
from tfeval.preprocess.protocol import requested_size
from tfeval.utils import errors

MOST_IMAGES = 128
_BATCH = 32
# Fewer classes than this among the examples tell nothing: folders come class by class,
# and a good model may predict one class for all of the first.
_FEWEST_CLASSES = 10
# Largest change of any output between images over the spread of the outputs: at least
# 0.08 of ten applications with random weights, about 1 with trained ones.
_CONSTANT = 1e-3
# Hits that tell at which end the background class is.
_FEWEST_HITS = 10
# What a model that is better than chance has at least (of few classes, more than
# chance), and how sure that must be.
_LOW_ACCURACY, _TOO_FEW = 0.05, 0.01


def check_model(
  model: Model,
  pixels: np.ndarray,
  labels: np.ndarray,
  batch_size: int = 32,
  are_pixels: bool = True,
  training: bool = False,
) -> list[Finding]:
  """Looks for faults in how a model is fed and read.

  Args:
    model: its function is called without being traced: that would take longer than
      the few batches here. It may return any number of outputs.
    pixels: uint8 or float32 [n, size, size, 3] in [0, 255], or encoded images, bytes
      [n], where it takes these; the first 128 are used.
    labels: int64 [n], -1 for none.
    batch_size: images at once, at most.
    are_pixels: whether values are in [0, 255]; else no other preprocessing is tried.
    training: whether the model is being trained: that it guesses, or predicts the same
      for all images, is nothing then. Of every model in memory another preprocessing
      is found by what training does not explain alone, see `feeding.compare`.

  Returns:
    What was found, most certain first; nothing where there are no images.
  """

  def forward(images: tf.Tensor) -> np.ndarray:
    return np.concatenate(list(_outputs(model, images, batch_size)))

  # Folders come class by class: the first few are to be of many classes all the same.
  order = np.random.default_rng(0).permutation(min(len(labels), MOST_IMAGES))
  dtype = tf.string if model.takes_encoded else tf.float32
  images = tf.constant(pixels[order], dtype)
  labels = np.asarray(labels[order], np.int64)
  side = 0 if model.takes_encoded else images.shape[1]
  size = [] if model.takes_encoded else _size(model, side)
  if not len(labels):
    return size
  try:
    outputs = forward(model.preprocess(images))
  except Exception as error:  # The model may be anyone's.
    return [_refusal(model, side, error)]
  broken = _broken(model, outputs)
  if broken:
    return [broken, *size]
  known = labels >= 0
  # One class may lack images, or have labels that are taken for none.
  fewest = min(_FEWEST_CLASSES, max(2, model.outputs - 1))
  if len(set(labels[known])) < fewest:
    known[:] = False
  sure = _kind(model, outputs)
  backend = model.backend
  if STATISTICS in backend.capabilities and normalisation.is_untrained(backend.model):
    given = match_classes(outputs[known], labels[known], model)
    found = [*_width(model, outputs, None), *sure, *size]
    if found or training:
      return found
    return _collapsed(outputs, labels, np.zeros_like(known)) or _chance(
      model, given, True
    )
  fed: list[Finding] = []
  # What a model preprocesses itself is as it was in its training.
  if are_pixels and preprocessor_of(backend.model) is None:
    given, fed = feeding.compare(
      model,
      forward,
      images[known] if known.any() else images,
      labels[known],
      outputs[known],
      training or model.weights == MEMORY,
    )
  else:
    given = match_classes(outputs[known], labels[known], model)
  if given.order is None:
    sure += label_order.check(model, outputs[known], labels[known])
  sure = [*_width(model, outputs, given), *sure, *_order(model, given), *fed]
  if training:
    return [*sure, *size]
  if not sure:
    sure = _collapsed(outputs, labels, known)
  return [*sure, *size] or _chance(model, given, False)


def _outputs(model: Model, images: tf.Tensor, size: int) -> Iterator[np.ndarray]:
  """Yields outputs of so many images at once, of half where memory runs out."""
  start = 0
  while start < len(images):
    try:
      found = model.function(images[start : start + size])
      yield np.asarray(tf.cast(found, tf.float32))
    except (tf.errors.OpError, MemoryError) as error:
      if size == 1 or not is_out_of_memory(error):
        raise
      size = max(1, size // 2)
      continue
    start += size


def _refusal(model: Model, side: int, error: Exception) -> Finding:
  fixed, _ = model.backend.input_spec.sides
  if fixed in (None, side):  # What it raises is all that is known.
    what = 'encoded images' if model.takes_encoded else f'images of {side} x {side}'
    return Finding(
      'forward pass',
      f'{model.name} fails on {what}: {errors.one_line(error)}',
      'scores',
      'mend what it raises',
    )
  return Finding(
    'input size',
    f'{model.name} refuses images of {side} x {side} ({errors.one_line(error, 120)})',
    f'{fixed} x {fixed}',
    f'give `input_size={fixed}`, or a `protocol` without another size',
  )


def _size(model: Model, side: int) -> list[Finding]:
  """Compares the size with those that the table knows for the model."""
  spec = application(model)
  row = table.find_facts(spec) if spec else None
  if row is None:
    return []
  sizes = {row.input_size} | {
    requested_size(protocol) or row.input_size
    for protocol in (row.published_protocol, row.native_protocol)
    if protocol
  }
  if side in sizes:
    return []
  return [
    Finding(
      'input size',
      f'images of {side} x {side}',
      f'{" or ".join(map(str, sorted(sizes)))} for {row.name}',
      f'give `input_size={row.input_size}`, or leave the size out; tfeval '
      f'models `filter={spec.target}` lists variants',
      doubtful=True,
    )
  ]


def _broken(model: Model, outputs: np.ndarray) -> Finding | None:
  """Returns what leaves nothing else to be looked at."""
  width = model.outputs
  known = (width, width + 1) if _is_imagenet(model) else (width,)
  if outputs.ndim != 2 or outputs.shape[1] not in known:
    background = f' or, with a background class, ({known[-1]},)' * (len(known) > 1)
    return Finding(
      'classes',
      f'{model.name} returns {outputs.shape[1:]} for an image',
      f'({width},){background}',
      f'{table.give_class_map(model.name, "FILE")}, or, of several heads, '
      '`output_name`',
    )
  finite = np.isfinite(outputs).all(axis=1)
  if not finite.all():
    return Finding(
      'outputs',
      f'NaN or infinity for {int((~finite).sum())} of {len(finite)} images',
      'finite numbers',
      'check the weights and `preprocess`',
    )
  return None


def _width(
  model: Model, outputs: np.ndarray, given: ProbeResult | None
) -> list[Finding]:
  if outputs.shape[1] == model.outputs:
    return []
  if given is not None and given.count >= _FEWEST_HITS:
    where = given.order.removeprefix('background_')
    saw = (
      f'{outputs.shape[1]} outputs, the {where} of them a background class by '
      f'{given.count} hits of {len(given.hits)}'
    )
    fix = table.give_class_map(model.name, given.order)
  else:
    saw = (
      f'{outputs.shape[1]} outputs, the first or the last of them a background class'
    )
    fix = (
      f'{table.give_class_map(model.name, BACKGROUND[0])} (as in TF-Slim), '
      f'or with {BACKGROUND[1]}'
    )
  return [Finding('classes', saw, str(model.outputs), fix)]


def _kind(model: Model, outputs: np.ndarray) -> list[Finding]:
  # As in predict.py: half-precision softmax passes. No logits are all positive with
  # a sum of 1 by chance.
  total = outputs.sum(axis=1)
  is_probabilities = outputs.min() >= 0 and abs(total - 1).max() < 1e-2
  if model.output == SIGMOID and outputs.min() >= 0 and outputs.max() <= 1:
    return []
  if is_probabilities == (model.output == PROBABILITIES):
    return []
  saw = (
    f'outputs from {outputs.min():.4g} to {outputs.max():.4g} that sum to '
    f'{total.min():.4g} to {total.max():.4g}'
  )
  seen = PROBABILITIES if is_probabilities else LOGITS
  fix = (
    f'give `output={seen}`'
    if not application(model)
    else f'let {model.name} be built without its softmax'
  )
  return [Finding('output', saw, f'{model.output}, as declared', fix)]


def _order(model: Model, given: ProbeResult) -> list[Finding]:
  if given.order is None or given.order in BACKGROUND:
    return []
  expected = 'the order of the sorted wnids, as Keras and TFDS have it'
  if model.as_returned is not None:
    expected = f'that of {of_space(model.as_returned.space)}'
  elif not _is_imagenet(model):
    expected = f'that of {of_space(model.label_space)}'
  return [
    Finding(
      'class order',
      f'the outputs of {model.name} are in the order {given.order}: {given.count} hits '
      f'of {len(given.hits)} in that order, {given.expected_count} in the expected one',
      expected,
      _right_order(model, given.order),
    )
  ]


def _right_order(model: Model, order: str) -> str:
  """Returns how to say that outputs are in an order."""
  whole = _is_imagenet(model) and model.as_returned is None
  if whole and order in CLASS_MAPS:
    return table.give_class_map(model.name, order)
  if order not in orders.SHIFTED:
    return (
      f'{table.give_class_map(model.name, "FILE")}, a file with an id or name for each '
      'output, in the order that it returns them in'
    )
  if model.class_map in BACKGROUND:
    first, last = BACKGROUND
    return table.give_class_map(model.name, last if model.class_map == first else first)
  head = 'its head has a background class at one end and lacks a class at the other'
  if whole:
    return (
      f'{head}: keep all 1001 outputs and '
      f'{table.give_class_map(model.name, BACKGROUND[0])} or '
      f'{BACKGROUND[1]}'
    )
  return (
    f'{head}, or its labels were off by one: keep all outputs and give '
    '`class_map=FILE`, a file with an id or name for each, `-` for none'
  )


def _collapsed(
  outputs: np.ndarray, labels: np.ndarray, known: np.ndarray
) -> list[Finding]:
  if len(outputs) < 2:
    return []
  change, spread = np.ptp(outputs, axis=0).max(), np.ptp(outputs)
  answers = set(outputs.argmax(axis=1).tolist())
  if change <= _CONSTANT * spread:
    saw = f'the same outputs for all {len(outputs)} images, up to {change:.2g}'
  elif known.any() and len(answers) == 1:
    saw = (
      f'output {answers.pop()} is the highest for all {len(outputs)} images of '
      f'{len(set(labels[known]))} classes'
    )
  else:
    return []
  return [
    Finding(
      'outputs',
      saw,
      'outputs that depend on the image',
      'check the weights, `preprocess` and `dtype`',
    )
  ]


def _is_imagenet(model: Model) -> bool:
  return model.label_space.digest == imagenet.label_space().digest


def _chance(model: Model, given: ProbeResult, untrained: bool) -> list[Finding]:
  """Says that a model guesses, where it can be told from one that is only bad."""
  n, hits = len(given.hits), given.count
  low = max(_LOW_ACCURACY, 1 / model.outputs)
  likely = sum(math.comb(n, k) * low**k * (1 - low) ** (n - k) for k in range(hits + 1))
  if likely >= _TOO_FEW:
    return []
  saw = f'{hits} hits of {n}' + untrained * (
    ', and every bias and moving mean is zero as before training'
  )
  return [
    Finding(
      'accuracy',
      f'the model answers at chance: {saw}',
      'more hits, unless the dataset was chosen against the model',
      f'check `weights`{", `class_map`" * (not application(model))}, and the labels of '
      'the dataset',
      doubtful=True,
    )
  ]
