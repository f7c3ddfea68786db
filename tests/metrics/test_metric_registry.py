"""Metrics of stored rows against scikit-learn, SciPy and loops over the scores."""

import hashlib
import json
import pathlib

import numpy as np
import pyarrow as pa
import pytest
import scipy.optimize
import scipy.special
from sklearn import metrics as sklearn_metrics

from tfeval.datasets.labels import sets as label_sets
from tfeval.datasets.labels import subsets
from tfeval.metrics import registry
from tfeval.runs import predictions, run, summary
from tfeval.utils.errors import UserError

ROWS = 90
ALL = (*registry.METRICS, 'top10')
NEEDS_OUTPUTS = 'needs all outputs, which --store_logits keeps'
CONFIDENCE = {'ece', 'ece_mass', 'debiased_l2', 'auroc', 'aurc'}
AVERAGES = {
  f'{score}{average}': (score, average.lstrip('_') or 'macro')
  for score in ('precision', 'recall', 'f1')
  for average in ('', '_micro', '_weighted')
}
SINGLE = {'class_balanced', 'nll', 'brier', 'temperature', *AVERAGES}


def examples(seed: int = 0) -> dict:
  """Arguments of `make_rows`: six classes, half of the answers right."""
  rng = np.random.default_rng(seed)
  scores = rng.normal(size=(ROWS, 1000)).astype(np.float32)
  labels = rng.integers(0, 6, ROWS)
  for i in np.flatnonzero(rng.random(ROWS) < 0.6):
    scores[i, labels[i]] += rng.uniform(2, 9)
  labels[::11] = -1
  sets = [
    np.argsort(-row)[rng.integers(0, 12, rng.integers(0, 4))].tolist() for row in scores
  ]
  ids = [f'{i:02d}.JPEG' for i in range(ROWS)]
  return {
    'ids': ids,
    'hashes': [hashlib.sha256(n.encode()).digest() for n in ids],
    'labels': labels,
    'real_labels': sets,
    'scores': scores,
  }


def make_run(
  directory: pathlib.Path,
  given: dict,
  store_logits: bool = True,
  output: str = 'logits',
  rows_per_part: int = 30,
  order=None,
) -> run.Run:
  if order is not None:
    given = {
      key: value[order] if isinstance(value, np.ndarray) else [value[i] for i in order]
      for key, value in given.items()
    }
  writer = predictions.Writer(directory / 'predictions', store_logits, rows_per_part)
  for start in range(0, len(given['ids']), 10):
    part = {key: value[start : start + 10] for key, value in given.items()}
    writer.write(
      predictions.make_rows(**part, output=output, store_logits=store_logits)
    )
  writer.flush()
  manifest = {
    'schema_version': 1,
    'model': {'name': 'm', 'output': output},
    'dataset': {'name': 'd', 'split': '', 'partial': False, 'expected': ROWS},
    'protocol': {'name': 'p'},
    'store': {'logits': store_logits, 'classes': 20},
  }
  rows = run.summarize(predictions.read_parts(directory / 'predictions'))
  return run.finish(directory, manifest, rows, {}, {})


def values(entries: list[dict]) -> dict:
  return {(m['labels'], m['name']): m['value'] for m in entries}


def calibration_by_loop(confidence, hit, edges) -> tuple[float, float]:
  """The ECE and the debiased L2 error."""
  n, l1, l2 = len(hit), 0, 0
  for low, high in zip(edges[:-1], edges[1:], strict=True):
    inside = (confidence > low) & (confidence <= high)
    if count := inside.sum():
      accuracy, mean = hit[inside].mean(), confidence[inside].mean()
      l1 += count / n * abs(accuracy - mean)
      if count > 1:
        l2 += (
          count / n * ((accuracy - mean) ** 2 - accuracy * (1 - accuracy) / (count - 1))
        )
  return l1, max(l2, 0) ** 0.5


def by_reference(given: dict, sets: list[list[int]]) -> dict:
  """The metrics of images that have a label, out of all their scores."""
  rows = [i for i, right in enumerate(sets) if right]
  scores, sets = given['scores'][rows].astype(np.float64), [sets[i] for i in rows]
  ranked = np.argsort(-scores, axis=1, kind='stable')
  p = scipy.special.softmax(scores, axis=1)
  hit = np.array([r[0] in right for r, right in zip(ranked, sets, strict=True)])
  confidence = p.max(axis=1)
  found = {
    f'top{k}': np.mean(
      [any(c in right for c in r[:k]) for r, right in zip(ranked, sets, strict=True)]
    )
    for k in (1, 5, 10)
  }
  found['ece'], _ = calibration_by_loop(confidence, hit, np.linspace(0, 1, 16))
  ordered = np.sort(confidence)
  edges = [0, *(ordered[-(-b * len(hit) // 15) - 1] for b in range(1, 15)), 1]
  found['ece_mass'], found['debiased_l2'] = calibration_by_loop(confidence, hit, edges)
  found['auroc'] = sklearn_metrics.roc_auc_score(hit, confidence)
  found['aurc'] = np.mean([1 - hit[confidence >= c].mean() for c in confidence])
  if max(map(len, sets)) == 1:
    labels = np.array(sets)[:, 0]
    found['class_balanced'] = sklearn_metrics.recall_score(
      labels, ranked[:, 0], labels=np.unique(labels), average='macro'
    )
    for name, (score, average) in AVERAGES.items():
      function = getattr(sklearn_metrics, f'{score}_score')
      found[name] = function(labels, ranked[:, 0], average=average, zero_division=0)
    found['nll'] = sklearn_metrics.log_loss(labels, p, labels=np.arange(1000))
    found['brier'] = np.mean(np.sum((p - np.eye(1000)[labels]) ** 2, axis=1))
    found['temperature'] = (
      1
      / scipy.optimize.minimize_scalar(
        lambda b: sklearn_metrics.log_loss(
          labels, scipy.special.softmax(b * scores, axis=1), labels=np.arange(1000)
        ),
        bounds=(0.1, 5),
        method='bounded',
        options={'xatol': 1e-9},
      ).x
    )
  return found


def near(value: float | None, rel: float):
  return value if value is None else pytest.approx(value, rel=rel, abs=1e-7)


def singles(labels: np.ndarray) -> list[list[int]]:
  return [[int(label)] if label >= 0 else [] for label in labels]


def test_every_metric_against_references(tmp_path):
  given = examples()
  found = make_run(tmp_path, given).score(metrics=ALL)
  assert [(m['labels'], m['name']) for m in found] == [
    (labels, name) for labels in ('original', 'real') for name in ALL
  ]
  original = by_reference(given, singles(given['labels']))
  real = by_reference(given, given['real_labels'])
  assert (set(original), set(real)) == (set(ALL), set(ALL) - SINGLE)
  for labels, expected in (('original', original), ('real', real)):
    for name, value in expected.items():
      tolerance = 1e-5 if name == 'temperature' else 1e-6
      assert values(found)[labels, name] == pytest.approx(value, rel=tolerance), name


def test_entries_say_what_they_are(tmp_path):
  given = examples()
  found = {
    (m['labels'], m['name']): m for m in make_run(tmp_path, given).score(metrics=ALL)
  }
  several = sum(len(right) > 1 for right in given['real_labels'])
  counted = {
    'original': int((given['labels'] >= 0).sum()),
    'real': sum(map(bool, given['real_labels'])),
  }
  for (labels, name), entry in found.items():
    assert (entry['count'], entry['skipped']) == (
      counted[labels],
      ROWS - counted[labels],
    )
    assert entry['kind'] == registry.get_metric(name).kind
    if labels == 'real' and name in SINGLE:
      assert entry['value'] is None
      assert entry['unavailable'] == (
        f'needs one label for each image, {several} have several'
      )
    else:
      assert 'unavailable' not in entry
    if entry['kind'] == 'count':
      assert type(entry['correct']) is int
  json.dumps(list(found.values()), allow_nan=False)


def test_without_outputs_brier_and_temperature_are_refused(tmp_path):
  given = examples()
  whole = values(make_run(tmp_path / 'a', given).score('original', metrics=ALL))
  found = make_run(tmp_path / 'b', given, store_logits=False).score(
    labels=['original'], metrics=ALL
  )
  for entry in found:
    if entry['name'] in ('brier', 'temperature'):
      assert (entry['value'], entry['unavailable']) == (None, NEEDS_OUTPUTS)
    else:
      assert entry['value'] == whole['original', entry['name']]


@pytest.mark.parametrize('rows_per_part', [10, 1000])
def test_parts_and_order_change_nothing(tmp_path, rows_per_part):
  given = examples()
  expected = values(make_run(tmp_path / 'a', given).score(metrics=ALL))
  order = np.random.default_rng(1).permutation(ROWS)
  found = make_run(tmp_path / 'b', given, True, 'logits', rows_per_part, order)
  for key, value in values(found.score(metrics=ALL)).items():
    # A temperature is found to about 7 digits.
    assert value == near(expected[key], 1e-7)


def test_probabilities_are_not_taken_for_logits(tmp_path):
  given = examples()
  whole = values(make_run(tmp_path / 'a', given).score(metrics=ALL))
  given['scores'] = scipy.special.softmax(given['scores'], axis=1)
  found = values(
    make_run(tmp_path / 'b', given, output='probabilities').score(metrics=ALL)
  )
  for key, value in found.items():
    assert value == near(whole[key], 1e-5)
  given['scores'][1] = np.eye(1000)[3]
  zero = {
    m['name']: m
    for m in make_run(tmp_path / 'c', given, output='probabilities').score(
      'original', metrics=ALL
    )
  }
  assert zero['temperature']['unavailable'] == (
    'needs logits: a probability of 0 has none'
  )
  assert zero['brier']['value'] is not None


def test_an_impossible_label_makes_the_nll_infinite(tmp_path):
  given = examples()
  given['scores'] = scipy.special.softmax(given['scores'], axis=1)
  given['scores'][1], given['labels'][1] = np.eye(1000)[3], 4
  (entry,) = make_run(tmp_path, given, output='probabilities').score(
    'original', metrics='nll'
  )
  assert entry['value'] is None
  assert entry['unavailable'].startswith('infinite: 1 images give their label')


def test_labels_of_a_file(tmp_path):
  given = examples()
  # Label 999 is rarely among the best 20.
  corrected = np.where(np.arange(ROWS) % 2, given['labels'], 999)
  path = tmp_path / 'corrected.json'
  path.write_text(
    json.dumps(
      {
        name: int(label)
        for name, label in zip(given['ids'], corrected, strict=True)
        if label >= 0
      }
    )
  )
  expected = by_reference(given, singles(corrected))
  found = make_run(tmp_path / 'a', given).score(str(path), metrics=ALL)
  for (labels, name), value in values(found).items():
    assert labels == 'corrected'
    assert value == pytest.approx(expected[name], rel=1e-5)
  ranked = np.argsort(-given['scores'], axis=1)[:, :20]
  unknown = sum(
    label >= 0 and label != given['labels'][i] and label not in ranked[i]
    for i, label in enumerate(corrected)
  )
  assert unknown
  (entry,) = make_run(tmp_path / 'b', given, store_logits=False).score(
    [str(path)], metrics=['nll']
  )
  assert entry['unavailable'] == (
    f'the label of {unknown} images is not among the stored classes: ' + NEEDS_OUTPUTS
  )


def test_a_subset_is_scored_by_itself(tmp_path):
  given = examples()
  omit = given['ids'][:30]
  subset = subsets.Subset(None, pa.array(omit))
  found = values(make_run(tmp_path, given).score(subset=subset, metrics=ALL))
  kept = {key: value[30:] for key, value in given.items()}
  for labels, sets in (
    ('original', singles(kept['labels'])),
    ('real', kept['real_labels']),
  ):
    for name, value in by_reference(kept, sets).items():
      assert found[f'{labels}@subset', name] == pytest.approx(value, rel=1e-5)


def test_few_classes_without_probabilities(tmp_path):
  given = examples()
  labels = given['labels'].astype(np.int32)
  writer = predictions.Writer(tmp_path / 'predictions', False, classes=3)
  writer.write(
    predictions.assemble(
      pa.array(given['ids']),
      pa.array(given['hashes'], pa.binary(32)),
      labels,
      pa.nulls(ROWS, pa.list_(pa.int32())),
      {
        'all': predictions.Ranks(
          np.tile(np.arange(3, dtype=np.int32), (ROWS, 1)), None, None
        )
      },
      None,
    )
  )
  writer.flush()
  parts = list(predictions.read_parts(tmp_path / 'predictions'))
  found = {
    m['name']: m
    for m in summary.summarize(parts, request=summary.SummaryRequest(ALL)).metrics()
  }
  assert found['top1']['correct'] == int((labels == 0).sum())
  for name in ('top5', 'top10'):
    assert (found[name]['correct'], found[name]['interval']) == (None, None)
    assert found[name]['unavailable'] == (
      f'needs {name[3:]} ranked classes of each image, 3 are stored'
    )
  for name in {'nll', *CONFIDENCE}:
    assert found[name]['unavailable'] == (
      'needs probabilities, which these rows do not have'
    )
  # By default what is not there is left out, as in a result.
  assert [m['name'] for m in summary.summarize(parts).metrics()] == ['top1']


@pytest.mark.parametrize(
  'right, rows, name, said',
  [
    (True, 20, 'auroc', 'needs both right and wrong answers'),
    (False, 20, 'auroc', 'needs both right and wrong answers'),
    (True, 14, 'ece_mass', 'needs 15 images with a label'),
    (True, 20, 'temperature', 'no temperature is best: every label has the highest'),
    (None, 20, 'ece', 'no image has a label'),
    (None, 20, 'nll', 'no image has a label'),
  ],
)
def test_what_is_not_defined_says_so(tmp_path, right, rows, name, said):
  given = {key: value[:rows] for key, value in examples().items()}
  best = given['scores'].argmax(axis=1)
  given['labels'] = {True: best, False: (best + 1) % 1000, None: np.full(rows, -1)}[
    right
  ]
  (entry,) = summary.summarize(
    [pa.table(predictions.make_rows(**given, output='logits', store_logits=True))],
    request=summary.SummaryRequest([name], 'logits'),
  ).metrics()[:1]
  assert entry['value'] is None
  assert said in entry['unavailable']


def test_scores_twice_are_the_same(tmp_path):
  rows = make_run(tmp_path, examples()).summary(metrics=ALL)
  assert rows.metrics() == rows.metrics()


def test_an_unknown_metric_names_the_known(tmp_path):
  with pytest.raises(UserError) as error:
    make_run(tmp_path, examples()).score(metrics=['top1', 'ecc'])
  assert str(error.value) == (
    "unknown metric 'ecc': did you mean ece? (topK for any K is one too)"
  )


def test_a_package_replaces_no_name_of_ours(monkeypatch):
  monkeypatch.setattr(registry.METRICS, '_entry_points', {'top2': None, 'top1': None})
  assert registry.get_metric('top2').classes == 2


def test_log_probabilities_above_zero_are_refused(tmp_path):
  given = examples()
  run_ = make_run(tmp_path, given)
  table = run_.to_arrow()
  high = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(20 * ROWS, np.float32)), 20)
  writer = predictions.Writer(tmp_path / 'predictions', True)
  writer.write(
    table.set_column(table.column_names.index('log_probs'), 'log_probs', high)
    .combine_chunks()
    .to_batches()[0]
  )
  writer.flush()
  with pytest.raises(UserError, match='log_probs has values from 1 to 1, expected'):
    run_.score(metrics='ece')


def test_published_predictions(shared_data, tmp_path):
  """The AUROC and AURC of 50,000 published answers, from the files themselves."""
  from tfeval.datasets.labels import imagenet as labels
  from tfeval.runs.importing import importer, sources

  stem = shared_data / 'predictions/keras_imagenet/vgg16_keras_imagenet_top5'
  classes, p = np.load(f'{stem}preds.npy'), np.load(f'{stem}probs.npy')
  # Rows stand by class, in it by file name.
  truth = np.sort(np.array(labels.original_validation_labels()))
  (source,) = sources.find_sources(
    f'{stem}preds.npy', f'{stem}probs.npy', str(tmp_path / 'run')
  )
  run_ = importer.import_predictions(
    source,
    importer.ImportConfig(tuple(label_sets.open_labels(['original'])), 'class_folder'),
  )
  best = p.argmax(axis=1)
  hit = classes[np.arange(50_000), best] == truth
  confidence = p.max(axis=1).astype(np.float64)
  found = values(run_.score(metrics=['auroc', 'aurc', 'class_balanced']))
  assert found['original', 'auroc'] == pytest.approx(
    sklearn_metrics.roc_auc_score(hit, confidence), rel=1e-6
  )
  order = np.argsort(-confidence, kind='stable')
  risk = np.cumsum(~hit[order]) / np.arange(1, 50_001)
  assert found['original', 'aurc'] == pytest.approx(risk.mean(), rel=1e-4)
  # Fifty images of each class.
  assert found['original', 'class_balanced'] == pytest.approx(hit.mean(), abs=1e-12)
