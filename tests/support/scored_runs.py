"""Runs made of scores, stored as an evaluation stores them."""

import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics import competition
from tfeval.runs import predictions, run
from tfeval.runs.result_file import ClassesSection
from tfeval.runs.run_classes import IMAGENET, RunClasses

CLASSES = 1000


def random_scores(n: int, seed: int, labels: np.ndarray, right: float = 0.6):
  """float32 [n, 1000], logits of which a share is right; some of the rest are sure."""
  draw = np.random.default_rng(seed)
  scores = draw.normal(0, 1, (n, CLASSES)).astype(np.float32)
  scores[np.arange(n), labels] += np.where(draw.random(n) < right, 6, 1).astype('f')
  wrong = draw.integers(0, CLASSES, n)
  scores[np.arange(n), wrong] += draw.uniform(0, 7, n).astype(np.float32)
  return scores


def store(
  directory: pathlib.Path,
  scores: np.ndarray,
  labels: np.ndarray,
  real: list[list[int]] | None = None,
  *,
  ids: list[str] | None = None,
  hashes: list[bytes] | None = None,
  output: str = 'logits',
  store_logits: bool = False,
  seed: int = 0,
  dataset=(),
  space: LabelSpace | None = None,
  restricted: Sequence[int] | None = None,
) -> run.Run:
  """Stores a complete run; its rows stand in an order that the seed draws."""
  classes = RunClasses(space or IMAGENET.space, space or IMAGENET.space)
  matched = {}
  if restricted is not None:
    rule = competition.singles('restricted', restricted)
    classes = dataclasses.replace(classes, rules=(rule,))
    matched = {'matched': {'by': 'class', 'restricted': [*restricted]}}
  n = len(scores)
  order = np.random.default_rng(seed).permutation(n)
  ids = ids or [f'{i:05d}.JPEG' for i in range(n)]
  hashes = hashes or [i.to_bytes(32, 'big') for i in range(n)]
  writer = predictions.Writer(
    directory / 'predictions',
    store_logits,
    max(1, n // 4),
    min(20, scores.shape[1]),
    space=scores.shape[1],
    rules=classes.kept_by_rule,
  )
  for start in range(0, n, 64):
    at = order[start : start + 64]
    writer.write(
      predictions.make_rows(
        [ids[i] for i in at],
        [hashes[i] for i in at],
        labels[at],
        None if real is None else [real[i] for i in at],
        scores[at],
        output,
        store_logits,
        classes.competition,
      )
    )
  writer.flush()
  section = {} if space is None else {'classes': ClassesSection.of(space)}
  manifest = {
    'schema_version': 1,
    'model': {'name': directory.name, 'output': output, **matched},
    'dataset': {
      'name': 'photos',
      'split': '',
      'partial': False,
      'expected': n,
      **section,
      **dict(dataset),
    },
    'protocol': {'name': 'opencv', 'spec': 'opencv', 'size': 224},
    'store': {'logits': store_logits, 'classes': min(20, scores.shape[1])},
  }
  run.files.write_json(directory / 'manifest.json', manifest)
  summary = run.summarize(
    predictions.read_parts(directory / 'predictions'),
    request=run.SummaryRequest(classes=classes),
  )
  run.finish(directory, manifest, summary, {}, {'seconds': 1.0})
  return run.load_run(directory)
