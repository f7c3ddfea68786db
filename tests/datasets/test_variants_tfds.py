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
# Of each rule a set; what the others have is not of them.
FAST = ('imagenet_a', 'imagenet_v2', 'geirhos_conflict_stimuli')


def slow(*values):
  return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope='module')
def counts(shared_data, tmp_path_factory):
  data_dir = tmp_path_factory.mktemp('tfds')
  return data_dir, standin_archives.seed_all(data_dir, shared_data, MOST)


def evaluated(names, data_dir, output):
  flags = [f'--dataset={name}' for name in names] + [f'--data_dir={data_dir}']
  flags += [f'--model={MODEL}', f'--output_dir={output}', '--preflight=off']
  assert cli.main(['evaluate', *flags, '--store_logits', '--batch_size=16']) == 0
  found = [load_run(path) for path in output.iterdir()]
  return {run.result.dataset.name: run for run in found}


@pytest.fixture(scope='module')
def runs(counts, tmp_path_factory):
  return evaluated(FAST, counts[0], tmp_path_factory.mktemp('runs'))


@pytest.fixture(scope='module')
def others(counts, tmp_path_factory):
  names = [name for name in counts[1] if name not in FAST]
  return evaluated(names, counts[0], tmp_path_factory.mktemp('others'))


@pytest.fixture
def run_of(request):
  return lambda name: request.getfixturevalue('runs' if name in FAST else 'others')[
    name
  ]


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


@pytest.mark.parametrize('name', ['imagenet_a', slow('imagenet_r')])
def test_two_hundred_classes(name, run_of, shared_data, logits_of):
  run, photos = run_of(name), standin_archives.photos_by_wnid(shared_data)
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


@pytest.mark.parametrize('name', ['imagenet_v2', slow('imagenet_sketch')])
def test_thousand_classes(name, run_of, shared_data, logits_of):
  photos = standin_archives.photos_by_wnid(shared_data)
  names = [row['wnid'] for row in standin_archives.class_names(shared_data)]
  wnids = list(photos)[:MOST]
  hits = sum(names[int(logits_of(photos[w]).argmax())] == w for w in wnids)
  assert found(run_of(name), 'all') == (hits, len(wnids))
  assert {metric.rule for metric in run_of(name).metrics} == {'all'}


@pytest.mark.slow
@pytest.mark.parametrize(
  ('name', 'facts'), [('imagenette', 'imagenette_10'), ('imagewang', 'imagewang_20')]
)
def test_ten_and_twenty_classes(name, facts, others, shared_data, logits_of):
  photos = standin_archives.photos_by_wnid(shared_data)
  rows = standin_archives.facts(shared_data, facts)
  inside = sorted(int(row['index']) for row in rows)
  hits = [0, 0]
  those = [row for row in rows if row['wnid'] in photos][:MOST]
  for row in those:
    logits = logits_of(photos[row['wnid']])
    hits[0] += int(logits.argmax()) == int(row['index'])
    hits[1] += inside[int(logits[inside].argmax())] == int(row['index'])
  assert found(others[name], 'all') == (hits[0], len(those))
  assert found(others[name], 'restricted') == (hits[1], len(those))


def test_cue_conflicts(runs, shared_data, logits_of):
  run = runs['geirhos_conflict_stimuli']
  rows = standin_archives.facts(shared_data, 'cue_conflict_16')
  indices = [[int(i) for i in row['indices'].split(',')] for row in rows]
  names = [row['category'] for row in rows]
  photos = standin_archives.photos_by_wnid(shared_data)
  contents, images = standin_archives.conflicts(shared_data, photos)
  import io
  import zipfile

  (archive,) = (one for url, one in contents.items() if url.endswith('.zip'))
  hits, count = {'all': 0, 'categories': 0}, 0
  with zipfile.ZipFile(io.BytesIO(archive)) as members:
    for path in members.namelist():
      texture = path.split('-')[-1].removesuffix('.png').rstrip('0123456789')
      if f'/{texture}/' in path:
        continue  # No conflict: its authors leave such images out.
      count += 1
      logits = logits_of(members.read(path)).astype(np.float64)
      shape = names.index(path.split('/')[-2])
      p = np.exp(logits - logits.max())
      p /= p.sum()
      means = [p[those].mean() for those in indices]
      hits['categories'] += int(np.argmax(means)) == shape
      hits['all'] += int(logits.argmax()) in indices[shape]
  for rule, correct in hits.items():
    assert found(run, rule) == (correct, count)
  assert 0 < count < images == len(run.to_arrow(['id']))
  assert 'shape and texture are of one category' in ' '.join(run.result.dataset.notes)


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


@pytest.fixture(scope='module')
def clean(shared_data, tmp_path_factory):
  """The run on photos that are called as validation images, of which all are known."""
  from tfeval.datasets.labels import imagenet

  folder, output = (tmp_path_factory.mktemp(name) for name in ('val', 'clean'))
  index = imagenet.label_space().index_of_id
  truth = imagenet.original_validation_labels()
  photos = standin_archives.photos_by_wnid(shared_data)
  for wnid, content in list(photos.items())[::6]:
    number = truth.index(index[wnid]) + 1
    (folder / wnid).mkdir()
    (folder / wnid / imagenet.validation_name(number)).write_bytes(content)
  flags = [f'--dataset=folder:{folder}', f'--model={MODEL}', '--preflight=off']
  flags += [f'--output_dir={output}', '--batch_size=16', '--store_logits']
  assert cli.main(['evaluate', *flags]) == 0
  return load_run(next(output.iterdir()))


def test_sets_side_by_side(runs, clean, capsys):
  from statsmodels.stats.proportion import confint_proportions_2indep

  names = ('imagenet_a', 'imagenet_v2', 'geirhos_conflict_stimuli')
  paths = [str(runs[name].path) for name in names] + [str(clean.path)]
  capsys.readouterr()
  assert cli.main(['leaderboard', *paths, '--json']) == 0
  board = json.loads(capsys.readouterr().out)
  (row,) = board['rows']
  of_a = row['datasets']['imagenet_a']
  hits, count = found(runs['imagenet_a'], 'restricted')
  partner, partner_count = found(clean, 'imagenet_a')
  assert (of_a['correct'], of_a['count']) == (hits, count)
  gap = of_a['gap']
  assert (gap['clean_correct'], gap['clean_count']) == (partner, partner_count)
  assert gap['points'] == pytest.approx(100 * (hits / count - partner / partner_count))
  expected = confint_proportions_2indep(
    hits, count, partner, partner_count, method='newcomb', compare='diff'
  )
  assert [gap['low'] / 100, gap['high'] / 100] == pytest.approx(expected, abs=1e-9)
  of_v2 = row['datasets']['imagenet_v2/matched-frequency']
  x, y = (np.divide(*found(one, 'all')) for one in (clean, runs['imagenet_v2']))
  # Slope and intercept of the fit over ImageNet Testbed's models.
  line = 1 / (1 + np.exp(-(0.92323 * np.log(x / (1 - x)) - 0.49769)))
  assert of_v2['effective_robustness'] == pytest.approx(100 * (y - line), abs=0.01)
  cues = row['datasets']['geirhos_conflict_stimuli']['measures']
  assert cues['shape_bias'] == pytest.approx(bias(runs['geirhos_conflict_stimuli']))
  assert board['mean_over'] == [one['name'] for one in board['datasets']]
  assert row['mean'] == pytest.approx(
    np.mean([one['value'] for one in row['datasets'].values()])
  )
  assert cli.main(['leaderboard', *paths]) == 0
  out = capsys.readouterr().out
  assert max(map(len, out.splitlines())) <= 80
  for way in ('csv', 'markdown'):
    assert cli.main(['leaderboard', *paths, f'--format={way}']) == 0
    assert str(count) in capsys.readouterr().out
  assert cli.main(['leaderboard', *paths, f'--base={MODEL}', '--json']) == 0
  (row,) = json.loads(capsys.readouterr().out)['rows']
  assert {one['relative_robustness'] for one in row['datasets'].values()} == {0}
  assert cli.main(['leaderboard', *paths, '--sort=imagenet_q']) == 2
  assert cli.main(['leaderboard', *paths, '--labels=original']) == 2
  err = capsys.readouterr().err.splitlines()
  assert 'unknown set to sort by' in err[0] and 'of several test sets' in err[1]


def bias(run):
  """Shape decisions over those for either, of names and stored outputs."""
  from tfeval.datasets.labels import class_sets

  known, by = class_sets.read('cue_conflict'), {'shape': 0, 'texture': 0}
  for row in run.to_arrow(['id', 'logits']).to_pylist():
    shape, texture = (part.rstrip('0123456789') for part in row['id'][:-4].split('-'))
    logits = np.array(row['logits'], np.float64)
    p = np.exp(logits - logits.max())
    told = known.names[np.argmax([p[list(group)].mean() for group in known.groups])]
    if shape != texture:
      by['shape'] += told == shape
      by['texture'] += told == texture
  return by['shape'] / (by['shape'] + by['texture'])


def test_a_set_without_its_partner_or_twice(runs, capsys, tmp_path):
  import shutil

  paths = [str(runs[name].path) for name in ('imagenet_a', 'imagenet_v2')]
  assert cli.main(['leaderboard', *paths]) == 0
  out = ' '.join(capsys.readouterr().out.split())
  assert f'imagenet_a: {MODEL} has no clean partner: add its run on imagenet2012' in out
  shutil.copytree(paths[0], tmp_path / 'again')
  assert cli.main(['leaderboard', *paths, str(tmp_path / 'again')]) == 2
  assert 'are both of MobileNet:alpha=0.25 on imagenet_a' in capsys.readouterr().err
