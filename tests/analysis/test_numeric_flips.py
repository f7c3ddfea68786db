"""Flipped answers against a count over single rows."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import tfeval as tfeval_package
from tfeval.analysis import comparison, numeric_flips
from tfeval.runs import result_file

N = 120
RANDOM = np.random.default_rng(0)
LABELS = np.where(RANDOM.random(N) < 0.1, -1, RANDOM.integers(0, 4, N))
REAL = [
  RANDOM.choice(4, RANDOM.integers(0, 4), replace=False).tolist() for _ in range(N)
]
FULL = np.stack([RANDOM.permutation(4) for _ in range(N)])
OTHER = np.where(RANDOM.random((N, 1)) < 0.3, FULL[:, [1, 0, 2, 3]], FULL)
WEIGHTS = {'weights_sha256': 'a' * 64, 'weights': 'imagenet'}


def count(reference, other, labels):
  """Flipped, right to wrong, wrong to right: dicts of first classes and label sets."""
  assert reference.keys() == other.keys() == labels.keys()
  found = [0, 0, 0]
  for name, wanted in labels.items():
    a, b = reference[name], other[name]
    found[0] += a != b
    found[1] += bool(wanted) and a in wanted and b not in wanted
    found[2] += bool(wanted) and a not in wanted and b in wanted
  return tuple(found)


@pytest.fixture
def store(store_run):
  def store(directory, predicted, model=WEIGHTS, protocol=(), **compute):
    run = store_run(
      'net',
      predicted,
      LABELS,
      REAL,
      model=model,
      protocol=protocol,
      where=directory,
      seed=len(directory),
    )
    how = {'devices': ['CPU:0'], 'dtype': 'float32', 'tf32': False, 'jit': False}
    computed = result_file.ComputeSection.from_json(
      {'versions': {'keras': '3.15.1'}, **how, **compute}
    )
    result = run.result.replaced(compute=computed)
    return dataclasses.replace(run, result=result)

  return store


def test_flips_against_a_count_by_hand(store):
  runs = [
    store('half', OTHER, dtype='bfloat16', devices=['CPU:0', 'CPU:1']),
    store('full', FULL, model={**WEIGHTS, 'weights': '/a/file.h5'}),
  ]
  (found,) = comparison.compare(runs, metric='top1').flips
  assert (found.reference, found.other) == (1, 0)
  assert found.differences == [
    ('devices', '1 x CPU', '2 x CPU'),
    ('dtype', 'float32', 'bfloat16'),
  ]
  for one, sets in zip(
    found.flips, ([[label] * int(label >= 0) for label in LABELS], REAL), strict=True
  ):
    by_hand = count(
      dict(enumerate(FULL[:, 0])), dict(enumerate(OTHER[:, 0])), dict(enumerate(sets))
    )
    assert (one.flipped, one.hits.first, one.hits.second) == by_hand
    assert one.images == N
    assert min(by_hand) > 0 and by_hand[0] > by_hand[1] + by_hand[2]


def test_the_reference_is_the_most_precise(store):
  runs = [
    store('jit', FULL, jit=True),
    store('tf32', FULL, tf32=True),
    store('plain', FULL),
    store('again', FULL),
    store('half', FULL, dtype='bfloat16'),
  ]
  found = numeric_flips.find_variants(comparison.compare(runs).aligned, ['original'])
  assert [(one.reference, one.other) for one in found] == [
    (2, 0),
    (2, 1),
    (2, 3),
    (2, 4),
  ]
  assert found[2].differences == []
  found = numeric_flips.find_variants(
    comparison.compare([runs[4], runs[1]]).aligned, ['original']
  )
  assert [(one.reference, one.other) for one in found] == [(1, 0)]


@pytest.mark.parametrize(
  'other',
  [
    {'model': {**WEIGHTS, 'weights_sha256': 'b' * 64}},
    {'model': {**WEIGHTS, 'class_map': 'name'}},
    {'model': {**WEIGHTS, 'weights_sha256': None}},
    {'protocol': {'name': 'pil'}},
  ],
)
def test_another_model_or_protocol_flips_nothing(store, other):
  runs = [
    store('one', FULL),
    store('two', OTHER, **other),
    store('three', OTHER, **other),
  ]
  known = other.get('model', WEIGHTS)['weights_sha256'] is not None
  assert [(one.reference, one.other) for one in comparison.compare(runs).flips] == (
    [(1, 2)] if known else []
  )


@pytest.mark.slow
def test_bfloat16_and_xla_on_photos(tfeval, shared_data, standin_dir, tmp_path):
  """The counts of XLA, on one device and two, are those without it."""
  del shared_data  # Where the weights are.
  flags = {
    'plain': [],
    'half': ['--dtype=mixed_bfloat16'],
    'jit': ['--jit'],
    'two': ['--jit', '--devices=2'],
  }
  runs = {}
  for name, own in flags.items():
    # A process of its own: devices are settled once.
    subprocess.run(
      [
        sys.executable,
        '-m',
        'tfeval',
        'evaluate',
        '--model=MobileNet:alpha=0.25',
        f'--manual_dir={standin_dir}',
        f'--data_dir={tmp_path / "tfds"}',
        '--preflight=off',
        '--limit=40',
        '--batch_size=20',
        f'--output_dir={tmp_path / name}',
        *own,
      ],
      check=True,
      capture_output=True,
    )
    runs[name] = tmp_path / name / 'MobileNet_alpha=0.25'
  results = {name: tfeval_package.load_run(path) for name, path in runs.items()}
  assert [results[name].result['compute']['jit'] for name in flags] == [
    False,
    False,
    True,
    True,
  ]
  assert results['plain'].metrics == results['jit'].metrics == results['two'].metrics
  code, out, _ = tfeval('compare', *runs.values(), '--json')
  assert code == 0
  rows = {
    name: {row['id']: row for row in run.to_arrow().to_pylist()}
    for name, run in results.items()
  }
  first = {
    name: {key: row['classes'][0] for key, row in of.items()}
    for name, of in rows.items()
  }
  for name, found in zip(('half', 'jit', 'two'), json.loads(out)['flips'], strict=True):
    assert '(plain/' in found['reference'] and f'({name}/' in found['other']
    for entry in found['labels']:
      wanted = {
        key: [row['label']] if entry['labels'] == 'original' else row['real_labels']
        for key, row in rows['plain'].items()
      }
      by_hand = count(first['plain'], first[name], wanted)
      assert (
        entry['flipped'],
        entry['right_to_wrong'],
        entry['wrong_to_right'],
      ) == by_hand
      assert (by_hand[0] > 0) == (name == 'half')
