"""What a reader of a linear probe must know beside its figures."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow.compute as pc

from tfeval.analysis.stored_features import StoredFeatures

CORAL = 'coral'


def on_classes(
  source: StoredFeatures,
  target: StoredFeatures,
  labels: np.ndarray,
  truth: np.ndarray,
  counted: np.ndarray,
) -> Iterator[str]:
  """Yields what is to be said of classes that one side lacks.

  Args:
    source, target: what the runs store.
    labels: int [n], of the source's images that have one.
    truth: int [m], of the target in the source's label space, as of `label_in`.
    counted: bool [m], images whose class the source has.
  """
  here, single = np.unique(labels, return_counts=True)
  alone = int((~np.isin(here, truth)).sum())
  if alone:
    yield (
      f'{alone:,} of {len(here):,} classes of {source.name} have no image in '
      f'{target.name}: they stay answers, since which they are is not known without '
      'labels'
    )
  lacking = (truth != -1) & ~counted
  if lacking.any():
    classes = len(np.unique(target.labels[lacking]))
    yield (
      f'{int(lacking.sum()):,} images of {target.name} are not counted: {source.name} '
      f'has no image of their {classes:,} classes'
    )
  if (once := int((single == 1).sum())) > 0:
    yield (
      f'{once:,} classes have one image in {source.name}: held out, it cannot be hit'
    )


def on_features(
  source: StoredFeatures,
  fitted: np.ndarray,
  asked: np.ndarray,
  alignments: Sequence[str],
) -> Iterator[str]:
  """Yields what is to be said of constant features, and of few images.

  Args:
    source: what its run stores.
    fitted, asked: float64 [n, d] and [m, d], features that are not constant.
    alignments: names of those that were asked for.
  """
  dimension = fitted.shape[1]
  if dimension < source.values.shape[1]:
    yield (
      f'{source.values.shape[1] - dimension:,} of {source.values.shape[1]:,} features '
      f'are constant in {source.name} and were left out'
    )
  if min(len(fitted), len(asked)) <= dimension:
    what = 'the probe is held back by its L2 penalty'
    if CORAL in alignments:
      what += ', covariances are of lower rank and filled up by + I'
    yield (
      f'{len(fitted):,} and {len(asked):,} images for {dimension:,} features: {what}'
    )


def on_images(source: StoredFeatures, target: StoredFeatures) -> Iterator[str]:
  """Yields what is to be said of images that are on both sides."""
  known = source.hashes.drop_null()
  same = pc.is_in(target.hashes.drop_null(), known)
  count = pc.sum(same).as_py() or 0
  named = pc.sum(pc.is_in(target.ids, source.ids)).as_py() or 0
  if count:
    yield (
      f'{count:,} images of {target.name} are images of {source.name}: the probe has '
      'seen them, and its figure is too good'
    )
  elif named:
    yield (
      f'{named:,} images of {target.name} are called as images of {source.name}: if '
      'they are made of these, the figure is too good'
    )
