"""Test sets through TFDS' own builders, against cv2, `model.predict` and NumPy."""

import json

import cv2
import keras
import numpy as np
import pytest
import standin_archives

from tfeval import cli
from tfeval.runs.run import load_run

MODEL = 'MobileNet:alpha=0.25'
MOST = 14


@pytest.fixture(scope='module')
def counts(shared_data, tmp_path_factory):
  data_dir = tmp_path_factory.mktemp('tfds')
  return data_dir, standin_archives.seed_all(data_dir, shared_data, MOST)


@pytest.fixture(scope='module')
def runs(counts, tmp_path_factory):
  data_dir, of = counts
  output = tmp_path_factory.mktemp('runs')
  flags = [f'--dataset={name}' for name in of] + [f'--data_dir={data_dir}']
  flags += [f'--model={MODEL}', f'--output_dir={output}', '--preflight=off']
  assert cli.main(['evaluate', *flags, '--store_logits', '--batch_size=16']) == 0
  found = [load_run(path) for path in output.iterdir()]
  return {run.result.dataset.name: run for run in found}


@pytest.fixture(scope='module')
def logits_of(shared_data):
  """Returns logits of an encoded image, computed apart from tfeval."""
  cv2.ipp.setUseIPP(False)
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  known = {}

  def logits(encoded):
    if encoded not in known:
      image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
      height, width = image.shape[:2]
      short = min(height, width)
      sides = (width * 256 // short, height * 256 // short)
      image = cv2.resize(image, sides, interpolation=cv2.INTER_CUBIC)[..., ::-1]
      y, x = (side // 2 - 112 for side in image.shape[:2])
      crop = image[None, y : y + 224, x : x + 224].astype(np.float32)
      known[encoded] = model.predict(crop / 127.5 - 1, verbose=0)[0]
    return known[encoded]

  return logits


def found(run, rule, labels='original'):
  (one,) = (
    metric
    for metric in run.metrics
    if (metric.name, metric.rule, metric.labels) == ('top1', rule, labels)
  )
  return one.correct, one.count


@pytest.mark.parametrize('name', ['imagenet_a', 'imagenet_r'])
def test_two_hundred_classes(name, runs, counts, shared_data, logits_of):
  run, photos = runs[name], standin_archives.photos_by_wnid(shared_data)
  rows = standin_archives.facts(shared_data, f'{name}_200')
  inside = sorted(int(row['index']) for row in rows)
  wnids = [row['wnid'] for row in rows if row['wnid'] in photos][:MOST]
  index = {row['wnid']: int(row['index']) for row in rows}
  hits = restricted = 0
  for wnid in wnids:
    logits = logits_of(photos[wnid])
    hits += int(logits.argmax()) == index[wnid]
    restricted += inside[int(logits[inside].argmax())] == index[wnid]
  assert found(run, 'all') == (hits, len(wnids))
  assert found(run, 'restricted') == (restricted, len(wnids))


@pytest.mark.parametrize('name', ['imagenet_v2', 'imagenet_sketch'])
def test_thousand_classes(name, runs, shared_data, logits_of):
  photos = standin_archives.photos_by_wnid(shared_data)
  names = [row['wnid'] for row in standin_archives.class_names(shared_data)]
  wnids = list(photos)[:MOST]
  hits = sum(names[int(logits_of(photos[w]).argmax())] == w for w in wnids)
  assert found(runs[name], 'all') == (hits, len(wnids))
  assert {metric.rule for metric in runs[name].metrics} == {'all'}


@pytest.mark.parametrize(
  ('name', 'facts'), [('imagenette', 'imagenette_10'), ('imagewang', 'imagewang_20')]
)
def test_ten_and_twenty_classes(name, facts, runs, shared_data, logits_of):
  photos = standin_archives.photos_by_wnid(shared_data)
  rows = standin_archives.facts(shared_data, facts)
  inside = sorted(int(row['index']) for row in rows)
  hits = [0, 0]
  those = [row for row in rows if row['wnid'] in photos][:MOST]
  for row in those:
    logits = logits_of(photos[row['wnid']])
    hits[0] += int(logits.argmax()) == int(row['index'])
    hits[1] += inside[int(logits[inside].argmax())] == int(row['index'])
  assert found(runs[name], 'all') == (hits[0], len(those))
  assert found(runs[name], 'restricted') == (hits[1], len(those))


def test_cue_conflicts(runs, shared_data, logits_of):
  run = runs['geirhos_conflict_stimuli']
  rows = standin_archives.facts(shared_data, 'cue_conflict_16')
  indices = [[int(i) for i in row['indices'].split(',')] for row in rows]
  names = [row['category'] for row in rows]
  photos = standin_archives.photos_by_wnid(shared_data)
  contents, count = standin_archives.conflicts(shared_data, photos)
  import io
  import zipfile

  (archive,) = (one for url, one in contents.items() if url.endswith('.zip'))
  hits = {'all': 0, 'categories': 0}
  with zipfile.ZipFile(io.BytesIO(archive)) as members:
    for path in members.namelist():
      logits = logits_of(members.read(path)).astype(np.float64)
      shape = names.index(path.split('/')[-2])
      p = np.exp(logits - logits.max())
      p /= p.sum()
      means = [p[those].mean() for those in indices]
      hits['categories'] += int(np.argmax(means)) == shape
      hits['all'] += int(logits.argmax()) in indices[shape]
  for rule, correct in hits.items():
    assert found(run, rule) == (correct, count)


def test_runs_are_whole_and_the_rule_of_the_authors_is_first(runs, capsys):
  for name, run in runs.items():
    assert cli.main(['verify', str(run.path)]) == 0, name
  capsys.readouterr()
  assert cli.main(['score', str(runs['imagenet_a'].path)]) == 0
  lines = [x for x in capsys.readouterr().out.splitlines() if 'top-1' in x]
  assert 'restricted' in lines[0] and 'restricted' not in lines[1]
  path = str(runs['geirhos_conflict_stimuli'].path)
  assert cli.main(['score', path, '--json']) == 0
  (result,) = json.loads(capsys.readouterr().out)
  rules = {one['name']: one for one in result['model']['matched']['rules']}
  assert rules['categories']['reduce'] == 'mean' and rules['all']['reduce'] == 'max'
