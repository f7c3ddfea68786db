"""Metrics that an evaluation is asked for are those that `score` computes."""

import json

import in_memory
import numpy as np
import pytest
import sklearn.metrics

import tfeval
from tfeval import cli
from tfeval.datasets.labels import class_sets
from tfeval.runs.verification import verify

ASKED = ['nll', 'ece', 'f1', 'f1_weighted', 'top7']


@pytest.fixture(scope='module')
def small():
  return in_memory.small()


def keys(run):
  return [(one.labels, one.key) for one in run.metrics]


def states(path):
  return {one.name: (one.state, one.seen) for one in verify.verify(path)}


def test_they_are_in_the_result_and_as_score_has_them(small, noise, tmp_path):
  run = in_memory.evaluate(small, noise, metrics=ASKED, output_dir=tmp_path)
  assert run.metrics == run.score(metrics=['top1', 'top5', *ASKED])
  assert tfeval.load_run(run.path).metrics == run.metrics
  assert {*ASKED} < {one.name for one in run.metrics}
  assert states(run.path)['metrics'][0] == 'ok'
  assert f'{len(run.metrics)} of {len(run.metrics)} c' in states(run.path)['metrics'][1]


def test_one_text_with_commas_is_several(small, noise):
  run = in_memory.evaluate(small, noise, metrics='ece, f1,top1')
  assert [name for _, name in keys(run) if '@' not in name] == [
    'top1',
    'top5',
    'ece',
    'f1',
  ]


def test_a_complete_run_gets_more_without_another_evaluation(
  small, noise, tmp_path, caplog
):
  # Of a model in memory nobody knows whether it is the same: by the command.
  path = tmp_path / 'small.keras'
  small.save(path)
  command = ['evaluate', f'--model={path}', '--preprocess=tf', '--name=mine']
  command += [f'--dataset=folder:{noise}', '--preflight=off', '--batch_size=4']
  command += [f'--output_dir={tmp_path}', '--protocol=slim:rounding=nearest']
  assert cli.main([*command, '--metrics=ece']) == 0
  rows = sorted((tmp_path / 'mine/predictions').iterdir())
  before = {one.name: (one.stat().st_mtime_ns, one.read_bytes()) for one in rows}
  assert cli.main([*command, '--metrics=f1,nll']) == 0
  rows = sorted((tmp_path / 'mine/predictions').iterdir())
  assert before == {
    one.name: (one.stat().st_mtime_ns, one.read_bytes()) for one in rows
  }
  run = tfeval.load_run(tmp_path / 'mine')
  assert {'ece', 'f1', 'nll'} < {one.name for one in run.metrics}
  assert states(run.path)['metrics'][0] == 'ok'
  # The flagfile repeats what was asked for first.
  assert '--metrics=ece' in (tmp_path / 'mine/flags.txt').read_text().splitlines()


@pytest.mark.slow
def test_verify_sees_a_value_that_was_changed(small, noise, tmp_path):
  run = in_memory.evaluate(small, noise, metrics=['ece'], output_dir=tmp_path)
  content = json.loads((run.path / 'result.json').read_text())
  (entry,) = (one for one in content['metrics'] if one['name'] == 'ece')
  entry['value'] += 1e-4
  (run.path / 'result.json').write_text(json.dumps(content))
  state, seen = states(run.path)['metrics']
  assert (state, 'original/ece: value is' in seen) == ('FAILED', True)
  entry['name'] = 'top0'  # Of nobody, as far as is known: it is not computed again.
  (run.path / 'result.json').write_text(json.dumps(content))
  state, seen = states(run.path)['metrics']
  assert (state, 'of other packages: top0' in seen) == ('ok', True)


@pytest.mark.parametrize(
  ('metrics', 'words'),
  [
    (['brier'], '`metrics=brier` needs all outputs: give `store_logits` too'),
    (['top21'], '`metrics=top21` needs all outputs'),
    (['f2'], "unknown metric 'f2': did you mean f1?"),
    (['f1@restricted'], 'has no rule restricted, it has all'),
    (3, 'metrics is 3, expected'),
  ],
)
def test_what_cannot_come_is_refused_at_once(small, noise, tmp_path, metrics, words):
  with pytest.raises(tfeval.UserError) as error:
    in_memory.evaluate(small, noise, metrics=metrics, output_dir=tmp_path)
  assert words in str(error.value)
  assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_with_all_outputs_there_are_all(small, noise):
  run = in_memory.evaluate(small, noise, metrics=['brier', 'top30'], store_logits=True)
  assert all(one.value is not None for one in run.metrics if one.rule == 'all')


def test_f1_of_a_class_rule_is_of_the_images_and_classes_that_compete(small, noise):
  run = in_memory.evaluate(small, noise, metrics=['f1@imagenet_a', 'recall'])
  rows = run.to_arrow(['label', 'classes', 'classes@imagenet_a'])
  rows = [row for row in rows.to_pylist() if row['classes@imagenet_a'] is not None]
  assert 0 < len(rows) < 10
  of_rule = class_sets.read('imagenet_a').rule('imagenet_a', partner=True)
  labels = of_rule.named(np.array([row['label'] for row in rows]))
  predicted = [row['classes@imagenet_a'][0] for row in rows]
  found = {one.key: one for one in run.metrics}
  expected = sklearn.metrics.f1_score(
    labels, predicted, average='macro', zero_division=0
  )
  assert found['f1@imagenet_a'].value == pytest.approx(expected, abs=1e-12)
  assert (found['f1@imagenet_a'].count, found['recall'].count) == (len(rows), 10)
  assert 'f1' not in found
