"""How runs differ."""

import numpy as np

from tfeval.analysis import alignment, differences
from tfeval.runs import run

N = 30
LABELS = np.arange(N) % 7
REAL = [[] if i % 5 == 0 else [i % 7, 50 + i % 3] for i in range(N)]
PREDICTED = np.tile(np.arange(6), (N, 1))
IDS = [f'{i:04d}.JPEG' for i in range(N)]


def read(stored: run.Run) -> alignment.AlignedPredictions:
  return alignment.align_run(stored, stored.result['model']['name'], None, None)


def test_ids_the_first_ten_are_listed(store_run):
  whole = read(store_run('whole', PREDICTED, LABELS))
  fewer = read(store_run('fewer', PREDICTED[14:], LABELS[14:], ids=IDS[14:]))
  assert differences.ids_difference(whole, whole) is None
  assert differences.ids_difference(whole, fewer) == (
    f'14 of 30 ids of whole are not in fewer: {", ".join(IDS[:10])}, ... and 4 more'
  )


def test_labels(store_run):
  one = read(store_run('one', PREDICTED, LABELS, REAL))
  turned = read(store_run('turned', PREDICTED, LABELS, [r[::-1] for r in REAL]))
  assert differences.labels_difference(one, turned) is None
  wrong = [list(r) for r in REAL]
  wrong[8], wrong[10] = [1, 51], [3]
  other = read(store_run('other', PREDICTED, LABELS, wrong))
  assert differences.labels_difference(one, other) == (
    '2 of 30 images have other labels (real) in one than in other: 0008.JPEG, 0010.JPEG'
  )


def test_content(store_run):
  hashes = [bytes([i]) * 32 for i in range(N)]
  one = read(store_run('one', PREDICTED, LABELS, hashes=hashes))
  unknown = read(store_run('unknown', PREDICTED, LABELS))
  assert differences.content_difference(one, one) is None
  assert differences.content_difference(one, unknown) is None
  assert differences.content_remarks([one, one]) == []
  assert 'are stored of unknown' in differences.content_remarks([one, unknown])[0]
  other = read(store_run('other', PREDICTED, LABELS, hashes=[*hashes[:-1], bytes(32)]))
  assert differences.content_difference(one, other) == (
    '1 of 30 images have another content (SHA-256) in one than in other: 0029.JPEG'
  )


def test_protocols(store_run):
  def run_with(**protocol):
    return store_run('x', PREDICTED, LABELS, protocol=protocol)

  base = run_with(crop_fraction=0.875, resize_side=256, hash='1')
  assert (
    differences.protocol_difference(
      base, run_with(crop_fraction=0.875, size=299, resize_side=341, hash='2')
    )
    is None
  )
  assert (
    differences.protocol_difference(base, run_with(crop_fraction=1.0, hash='2'))
    == 'crop_fraction 0.875 and 1.0'
  )
  assert differences.protocol_difference(base, run_with(name='pil')) == (
    'name opencv and pil'
  )
