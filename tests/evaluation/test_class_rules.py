"""Class rules of other test sets, against indices of the authors and NumPy alone."""

import csv
import json
import shutil

import numpy as np
import pytest

from tfeval import cli
from tfeval.datasets.labels import class_sets, imagenet
from tfeval.metrics import competition
from tfeval.metrics.competition import Rule
from tfeval.runs.run import load_run

MODEL = 'MobileNet:alpha=0.25'
SETS = ('imagenet_a', 'imagenet_r', 'imagenet_o')


@pytest.fixture(scope='module')
def facts(shared_data):
  def rows(name):
    with open(shared_data / 'facts' / f'{name}.tsv') as file:
      return list(csv.DictReader(file, delimiter='\t'))

  return rows


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  """Photos that are called as validation images of their classes, in class folders."""
  folder = tmp_path_factory.mktemp('photos')
  index = imagenet.label_space().index_of_id
  truth = imagenet.original_validation_labels()
  for path in sorted((shared_data / 'images').glob('n*.JPEG'))[::12]:
    wnid = path.name[:9]
    (folder / wnid).mkdir(exist_ok=True)
    number = truth.index(index[wnid]) + 1
    shutil.copy(path, folder / wnid / imagenet.validation_name(number))
  return folder


def evaluated(photos, output, *more):
  flags = [f'--model={MODEL}', f'--dataset=folder:{photos}', '--preflight=off']
  flags += ['--batch_size=16', f'--output_dir={output}', *more]
  assert cli.main(['evaluate', *flags]) == 0
  (directory,) = output.iterdir()
  return load_run(directory)


@pytest.fixture(scope='module')
def run(photos, tmp_path_factory):
  return evaluated(photos, tmp_path_factory.mktemp('runs'), '--store_logits')


def test_lists_are_those_of_the_authors(facts):
  for name, file in (
    *((name, f'{name}_200') for name in SETS),
    ('imagenette', 'imagenette_10'),
    ('imagewoof', 'imagewoof_10'),
    ('imagewang', 'imagewang_20'),
    ('imagenet100', 'imagenet100_cmc'),
    ('mini_imagenet', 'mini_imagenet_100'),
  ):
    rows = sorted(facts(file), key=lambda row: int(row['subset_index']))
    expected = [(int(row['index']),) for row in rows]
    assert list(class_sets.read(name).groups) == expected
  rows = sorted(facts('tiny_imagenet_200'), key=lambda row: int(row['wnids_txt_line']))
  groups = class_sets.read('tiny_imagenet').groups
  assert [one for (one,) in groups] == [int(row['index']) for row in rows]
  for name, file, key in (
    ('objectnet', 'objectnet_113', 'imagenet_indices'),
    ('cue_conflict', 'cue_conflict_16', 'indices'),
  ):
    found = class_sets.read(name)
    expected = [tuple(sorted(map(int, row[key].split(',')))) for row in facts(file)]
    assert list(found.groups) == expected


def group_of(facts):
  return {
    int(one): i
    for i, row in enumerate(facts('objectnet_113'))
    for one in row['imagenet_indices'].split(',')
  }


def counted(rows, facts):
  """Hits and images under the rules of other sets, an image at a time."""
  found = {}
  for name in SETS:
    those = sorted(int(row['index']) for row in facts(f'{name}_200'))
    hits = images = 0
    for row in rows:
      if row['label'] in those:
        images += 1
        logits = np.array(row['logits'])[those]
        hits += those[int(logits.argmax())] == row['label']
    found[name] = hits, images
  groups = group_of(facts)
  those = sorted(groups)
  hits = images = 0
  for row in rows:
    if row['label'] in groups:
      images += 1
      best = those[int(np.array(row['logits'])[those].argmax())]
      hits += groups[best] == groups[row['label']]
  found['objectnet'] = hits, images
  return found


def figures(metrics):
  return {
    metric.rule: (metric.correct, metric.count)
    for metric in metrics
    if metric.name == 'top1' and metric.labels == 'original' and metric.rule != 'all'
  }


def test_validation_images_carry_the_rules_of_other_sets(run, facts):
  rows = run.to_arrow(['label', 'logits']).to_pylist()
  expected = counted(rows, facts)
  assert figures(run.metrics) == expected
  assert any(hits for hits, _ in expected.values())
  # Under a rule an image is hit as often as under all classes, or more often.
  top1 = run.metrics[0]
  assert top1.rule == 'all' and top1.count == len(rows)


def test_rows_of_a_rule_by_hand(run, facts):
  those = sorted(int(row['index']) for row in facts('imagenet_r_200'))
  columns = ['label', 'logits', 'classes@imagenet_r', 'log_probs@imagenet_r']
  for row in run.to_arrow([*columns, 'label_log_prob@imagenet_r']).to_pylist():
    if row['label'] not in those:
      assert row['classes@imagenet_r'] is row['log_probs@imagenet_r'] is None
      assert row['label_log_prob@imagenet_r'] is None
      continue
    logits = np.array(row['logits'], np.float64)[those]
    log_probs = logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    order = np.argsort(-logits, kind='stable')[:5]
    assert row['classes@imagenet_r'] == [those[i] for i in order]
    np.testing.assert_allclose(row['log_probs@imagenet_r'], log_probs[order], rtol=1e-5)
    of_label = log_probs[those.index(row['label'])]
    np.testing.assert_allclose(row['label_log_prob@imagenet_r'], of_label, rtol=1e-5)


def test_commands_know_them(run, facts, capsys):
  expected = counted(run.to_arrow(['label', 'logits']).to_pylist(), facts)
  assert cli.main(['verify', str(run.path)]) == 0
  capsys.readouterr()
  asked = ('--metrics=top1@objectnet,top1', '--class_rule=objectnet')
  assert cli.main(['score', str(run.path), *asked]) == 0
  out = capsys.readouterr().out
  hits, images = expected['objectnet']
  (line,) = (x for x in out.splitlines() if 'top-1 objectnet' in x)
  cells = line.split('objectnet')[1].split()
  skipped = len(run.to_arrow(['id'])) - images
  assert cells[:3] == [str(hits), str(images), str(skipped)]
  assert 'imagenet_a' not in out


@pytest.mark.slow
def test_ranked_on_the_device(run, photos, tmp_path):
  device = evaluated(photos, tmp_path, '--rank_on=device')
  names = [n for n in device.to_arrow().column_names if 'prob' not in n]
  one, two = (x.to_arrow(names).sort_by('id') for x in (run, device))
  assert one.equals(two)


@pytest.mark.slow
def test_older_runs_are_ranked_by_their_outputs(
  photos, tmp_path, monkeypatch, facts, capsys
):
  monkeypatch.setattr(class_sets, 'partner_rules', lambda: ())
  old = evaluated(photos, tmp_path / 'a', '--store_logits')
  bare = evaluated(photos, tmp_path / 'b')
  monkeypatch.undo()
  assert figures(old.metrics) == {}
  expected = counted(old.to_arrow(['label', 'logits']).to_pylist(), facts)
  capsys.readouterr()
  for rule, (hits, images) in expected.items():
    flags = (f'--metrics=top1@{rule}', '--json')
    assert cli.main(['score', str(old.path), *flags]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    found = [m for m in result['metrics'] if m['rule'] == rule]
    assert [(m['correct'], m['count']) for m in found] == [(hits, images)]
  assert cli.main(['score', str(bare.path), '--metrics=top1@imagenet_a']) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert 'has no rule imagenet_a' in line and '--store_logits' in line


def random_scores(n=40, outputs=12):
  return np.random.default_rng(0).normal(size=(n, outputs)).astype(np.float32)


def test_groups_by_hand():
  from tfeval.runs import predictions

  scores, labels = random_scores(), np.arange(40) % 12
  groups = ((0, 7), (2,), (3, 4, 11))
  p = np.exp(scores.astype(np.float64))
  p /= p.sum(1, keepdims=True)
  for reduce in ('max', 'mean'):
    rule = Rule('some', groups, reduce)
    found = competition.Competition(
      None, {'some': competition.contest(rule, None, scores.shape[1])}
    )
    ranks = predictions.rank_scores(scores, labels, 'logits', found, 'some')
    for i, row in enumerate(p):
      if reduce == 'max':
        row = row / sum(row[list(sum(groups, ()))])
      values = {g[0]: getattr(row[list(g)], reduce)() for g in groups}
      order = sorted(values, key=values.get, reverse=True)
      assert ranks.classes[i].tolist() == order
      np.testing.assert_allclose(
        np.exp(ranks.log_probs[i]), [values[one] for one in order], rtol=1e-6
      )
      named = {one: g[0] for g in groups for one in g}.get(labels[i])
      if named is None:
        assert np.isneginf(ranks.label_log_prob[i])
      else:
        np.testing.assert_allclose(
          np.exp(ranks.label_log_prob[i]), values[named], rtol=1e-6
        )


def test_groups_of_which_a_model_says_few():
  rule = Rule('some', ((0, 7), (2,), (3, 4)))
  found = competition.contest(rule, np.array([1, 4, 7]), 12)
  assert found.columns.tolist() == [2, 1] and found.classes.tolist() == [0, 3]
  assert rule.named(np.array([7, 4, 5, -1])).tolist() == [0, 3, 5, -1]
  assert competition.contest(rule, np.array([1, 5]), 12) is None


@pytest.mark.parametrize('output', ['logits', 'probabilities'])
def test_what_a_model_says_beyond_the_classes_competes_under_all(output):
  from tfeval.runs import predictions

  # The last three are none of the twelve classes that the rule was made for.
  scores, labels = random_scores(outputs=15), np.arange(40) % 12
  rule = Rule('all', ((0, 7), (3, 4, 11)))
  found = competition.Competition(None, {'all': competition.contest(rule, None, 15)})
  p = np.exp(scores.astype(np.float64))
  p /= p.sum(1, keepdims=True)
  given = scores if output == 'logits' else p.astype(np.float32)
  ranks = predictions.rank_scores(given, labels, output, found)
  name_of = dict(enumerate(range(15))) | {7: 0, 4: 3, 11: 3}
  for row, classes, log_probs in zip(p, ranks.classes, ranks.log_probs, strict=True):
    names = list(dict.fromkeys(name_of[i] for i in np.argsort(-row)))
    assert classes.tolist() == names
    best = [max(row[i] for i in range(15) if name_of[i] == one) for one in names]
    np.testing.assert_allclose(np.exp(log_probs), best, rtol=1e-5)
  assert {12, 13, 14} < set(ranks.classes[:, 0])
