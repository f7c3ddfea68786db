"""Whether runs that stand in one column are of the same images."""

from collections.abc import Sequence

from tfeval.analysis.across.places import full_name, place_of
from tfeval.runs.run import Run
from tfeval.utils.errors import UserError


def check(runs: Sequence[Run], allow: bool) -> list[str]:
  """Returns remarks on runs of a part of a set.

  Args:
    runs: on any sets.
    allow: whether those on a set may be of unlike images.

  Raises:
    UserError: they are, and may not.
  """
  by_set: dict[tuple[str, tuple[str, str] | None], list[Run]] = {}
  for run in runs:
    place = place_of(run)
    by_set.setdefault((place.name, place.part), []).append(run)
  remarks = []
  for (name, _), those in by_set.items():
    first, *others = those
    for other in others:
      if _images(first) == _images(other):
        continue
      unlike = (
        f'{name}: {full_name(first)} is of {first.result.dataset.evaluated:,} images, '
        f'{full_name(other)} of {other.result.dataset.evaluated:,}, or of others'
      )
      if not allow:
        raise UserError(f'{unlike}: leave one out, or give `allow=data`')
      remarks.append(f'UNLIKE IMAGES: {unlike}')
    remarks += [
      f'{name}, {full_name(run)}: {caveat}' for run in those for caveat in _parts(run)
    ]
  return remarks


def _images(run: Run) -> tuple[object, object]:
  dataset = run.result.dataset
  return dataset.content_digest, dataset.label_digest


def _parts(run: Run) -> list[str]:
  """Returns what is said where images of a set are missing."""
  dataset = run.result.dataset
  found = [f'{dataset.subset} only'] if dataset.subset else []
  return found + [note for note in dataset.notes if ' has ' in note]
