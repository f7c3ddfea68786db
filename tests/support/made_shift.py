"""Made features with known truth: ten classes, and shifts of every kind planted."""

import numpy as np
from scipy import special

from tfeval.analysis.shift.side import Side
from tfeval.runs import predictions, run

CLASSES, DIMENSIONS = 10, 32
# Classes differ in these alone.
_TELLING = 16
# A model is too sure of itself by so much.
_OVERCONFIDENT = 1.5
SKEWED = np.array([0.3, 0.2, 0.15, 0.1, 0.08, 0.06, 0.05, 0.03, 0.02, 0.01])


def _means() -> np.ndarray:
  means = np.zeros((CLASSES, DIMENSIONS))
  means[:, :_TELLING] = np.random.default_rng(1234).standard_normal((CLASSES, _TELLING))
  return 3.1 * means / np.linalg.norm(means, axis=1, keepdims=True)


MEANS = _means()


def draw(n, seed, priors=None, moved=0.0, selected=0.0, relabelled=0.0) -> Side:
  """Draws images of a model that knows the source exactly, but for its temperature.

  Args:
    n: how many images.
    seed: of what is drawn.
    priors: of the classes; equal by default. Others are a prior shift.
    moved: by how much twelve features move that tell nothing of classes, and
    selected: how much rather images with a large first feature are taken: covariate
      shifts, which leave the classes at equal features what they were.
    relabelled: the share of labels that are those of the next class: a concept shift.
  """
  random = np.random.default_rng(seed)
  labels = random.choice(CLASSES, 4 * n if selected else n, p=priors)
  features = MEANS[labels] + random.standard_normal((len(labels), DIMENSIONS))
  if selected:
    chance = special.expit(selected * features[:, 0])
    taken = np.flatnonzero(random.random(len(labels)) < chance)[:n]
    features, labels = features[taken], labels[taken]
  features[:, -12:] += moved
  other = random.random(n) < relabelled
  labels = np.where(other, (labels + 1) % CLASSES, labels)
  logits = features @ MEANS.T - 0.5 * np.square(MEANS).sum(axis=1)
  log_probs = special.log_softmax(_OVERCONFIDENT * logits, axis=1)
  order = np.argsort(-log_probs, axis=1)
  predicted = order[:, 0]
  return Side(
    'made',
    np.array([f'{seed}-{i:05d}' for i in range(n)]),
    predicted,
    predicted == labels,
    np.ones(n, bool),
    labels,
    features.astype(np.float16),
    'penultimate',
    np.take_along_axis(log_probs, order, axis=1),
    log_probs,
  )


def store(
  directory,
  side,
  logits=True,
  features=True,
  dimension=None,
  layer=None,
  dataset='folder:/not/there',
  hashes=None,
):
  """Stores a side as a run of its own, and returns it."""
  n, classes = len(side), side.log_probs.shape[1]
  kept = np.asarray(side.features)[:, :dimension] if features else None
  size = kept.shape[1] if features else 0
  writer = predictions.Writer(
    directory / 'predictions', logits, n, min(classes, 20), space=classes, features=size
  )
  writer.write(
    predictions.make_rows(
      side.ids.tolist(),
      hashes or [bytes(32)] * n,
      np.where(side.labelled, side.labels, -1),
      None,
      side.log_probs.astype(np.float32),
      'logits',
      logits,
      features=kept,
    )
  )
  writer.flush()
  manifest = {
    'schema_version': 1,
    'model': {'name': 'made', 'output': 'logits', 'weights_sha256': 'aa'},
    'dataset': {
      'name': dataset,
      'split': '',
      'partial': False,
      'expected': n,
      'classes': {'name': 'made', 'ids': [f'class{i}' for i in range(classes)]},
    },
    'protocol': {'name': 'opencv', 'spec': 'opencv', 'size': 224},
    'store': {
      'logits': logits,
      'classes': min(classes, 20),
      **(
        {'features': {'layer': layer or side.layer, 'dimension': size}}
        if features
        else {}
      ),
    },
  }
  run.files.write_json(directory / 'manifest.json', manifest)
  found = run.summarize(predictions.read_parts(directory / 'predictions'))
  return run.finish(directory, manifest, found, {}, {'finished': '', 'seconds': 1.0})
