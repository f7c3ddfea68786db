"""Outputs adapted to another class histogram, with known truth and SciPy's optimum."""

import json

import numpy as np
import pytest
from scipy import optimize, special

from tfeval import cli
from tfeval.analysis import output_adaptation
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError

CLASSES, SHARPNESS = 4, 2.5
WANTED = (0.7, 0.2, 0.1, 0.0)


def drawn(priors, n, seed):
  """Labels, and logits of a right but overconfident classifier with equal priors."""
  random = np.random.default_rng(seed)
  labels = random.choice(CLASSES, n, p=priors)
  features = 1.3 * np.eye(CLASSES)[labels] + random.standard_normal((n, CLASSES))
  return labels, (SHARPNESS * 1.3 * features).astype(np.float32)


def imported(directory, name, labels, logits):
  ids = [f'{name}{i:04d}' for i in range(len(labels))]
  paths = {key: directory / f'{name}.{key}' for key in ('ids', 'csv', 'classes')}
  # The model of an import is called as its file.
  paths['npy'] = directory / f'of_{name}' / 'theirs.npy'
  paths['npy'].parent.mkdir()
  np.save(paths['npy'], logits)
  paths['ids'].write_text('\n'.join(ids))
  rows = (f'{one},{label}' for one, label in zip(ids, labels, strict=True))
  paths['csv'].write_text('\n'.join(['id,label', *rows]))
  paths['classes'].write_text('\n'.join(f'class{i}' for i in range(CLASSES)))
  flags = [f'--predictions={paths["npy"]}', f'--order={paths["ids"]}']
  flags += [f'--labels={paths["csv"]}', f'--classes={paths["classes"]}']
  flags += ['--output=logits', '--store_logits', f'--output_dir={directory / name}']
  assert cli.main(['import', *flags]) == 0
  return directory / name


@pytest.fixture(scope='module')
def source():
  return drawn(np.full(CLASSES, 0.25), 3000, 0)


@pytest.fixture(scope='module')
def target():
  return drawn(WANTED, 800, 1)


@pytest.fixture(scope='module')
def runs(source, target, tmp_path_factory):
  directory = tmp_path_factory.mktemp('runs')
  pairs = {'source': source, 'target': target}
  return {name: imported(directory, name, *pair) for name, pair in pairs.items()}


def scored(capsys, run, how, *more):
  capsys.readouterr()
  assert cli.main(['score', str(run), f'--adapt={how}', '--json', *more]) == 0
  return json.loads(capsys.readouterr().out)


def expected(source, target, priors):
  """Probabilities by a temperature and an EM of their own."""
  labels, logits = source
  of_temperature = optimize.minimize_scalar(
    lambda t: (
      -special.log_softmax(logits / t, 1)[np.arange(len(labels)), labels].mean()
    ),
    bounds=(0.1, 20),
    method='bounded',
    options={'xatol': 1e-9},
  )
  t = of_temperature.x
  found = special.softmax(target[1].astype(np.float64) / t, axis=1)
  if not priors:
    return t, found
  p = special.softmax(logits.astype(np.float64) / t, axis=1).mean(0)
  q = p.copy()
  for _ in range(5000):
    ratio = found * (q / p)
    q = (ratio / ratio.sum(1, keepdims=True)).mean(0)
  adapted = found * (q / p)
  return t, adapted / adapted.sum(1, keepdims=True)


@pytest.mark.parametrize('method', ['prior', 'temperature'])
def test_by_scipy_and_by_hand(runs, source, target, capsys, method):
  how = f'{method}:source={runs["source"]}'
  plain, adapted = scored(capsys, runs['target'], how, '--metrics=top1,nll,ece')
  t, probabilities = expected(source, target, method == 'prior')
  assert t == pytest.approx(SHARPNESS, rel=0.1)
  section = adapted['model']['adaptation']
  assert section['text'] == f'{method}:source=source'
  assert section['temperature'] == pytest.approx(t, rel=1e-4)
  labels, logits = target
  top1, nll, ece = adapted['metrics']
  assert top1['correct'] == (probabilities.argmax(1) == labels).sum()
  of_label = probabilities[np.arange(len(labels)), labels]
  assert nll['value'] == pytest.approx(-np.log(of_label).mean(), rel=1e-4)
  assert nll['value'] < plain['metrics'][1]['value']
  assert ece['value'] < plain['metrics'][2]['value']
  found = adapted['against_plain']
  flips = (probabilities.argmax(1) != logits.argmax(1)).sum()
  assert found['flips'] == flips
  gained = found['correct'] - found['plain_correct']
  assert found['points'] == pytest.approx(100 * gained / len(labels))
  # Another histogram gains, a temperature changes no answer.
  assert gained > 20 if method == 'prior' else gained == flips == 0


def test_labels_of_the_target_change_nothing(runs, target, tmp_path):
  labels, logits = target
  shuffled = np.random.default_rng(7).permutation(labels)
  other = imported(tmp_path, 'target', shuffled, logits)
  source = load_run(runs['source'])
  one, two = (
    output_adaptation.adapted(load_run(run), 'prior', source, 'prior')
    for run in (runs['target'], other)
  )
  columns = ['id', 'classes', 'log_probs', 'logits']
  assert one.to_arrow(columns).equals(two.to_arrow(columns))
  assert not one.to_arrow(['label']).equals(two.to_arrow(['label']))


def test_fewer_images_than_classes_are_told(target, runs, tmp_path, caplog):
  few = imported(tmp_path, 'few', target[0][:3], target[1][:3])
  known = load_run(runs['source'])
  output_adaptation.adapted(load_run(few), 'prior', known, 'prior')
  assert '3 images tell little of the frequencies of 4 classes' in caplog.text
  caplog.clear()
  output_adaptation.adapted(load_run(runs['target']), 'prior', known, 'prior')
  output_adaptation.adapted(load_run(few), 'temperature', known, 'temperature')
  assert not caplog.text


def test_the_source_itself_is_left_as_it_is(runs, capsys):
  _, adapted = scored(capsys, runs['source'], f'prior:source={runs["source"]}')
  assert adapted['against_plain']['flips'] == 0


def test_what_does_not_fit_is_told_in_a_line(runs, tmp_path, source, capsys):
  target = runs['target']
  labels, _ = source
  sure = imported(tmp_path, 'sure', labels, 9 * np.eye(CLASSES)[labels])
  for how, message in {
    'bn': 'needs the model, stored rows have its outputs alone',
    'prior': 'needs the run of the model on the source',
    f'temperature:source={sure}': 'no temperature is best',
    f'temperature:source={tmp_path / "none"}': 'none',
  }.items():
    capsys.readouterr()
    assert cli.main(['score', str(target), f'--adapt={how}']) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_models_of_other_names_without_digests_are_told(runs, caplog):
  target, source = (load_run(runs[name]) for name in ('target', 'source'))
  output_adaptation.adapted(target, 'temperature', target, 'temperature')
  assert not caplog.records
  name = source.result.model.replaced(name='another')
  other = type(source)(source.path, source.result.replaced(model=name), source.stamp)
  output_adaptation.adapted(target, 'temperature', other, 'temperature')
  assert 'is of another' in caplog.text and 'weights are not known' in caplog.text


def test_another_model_and_rows_without_outputs_are_refused(runs):
  run = load_run(runs['target'])
  model = run.result.model.replaced(weights_sha256='0' * 64)
  other = type(run)(run.path, run.result.replaced(model=model), run.stamp)
  with pytest.raises(UserError, match='of another model'):
    output_adaptation.adapted(run, 'prior', other, 'prior')
  store = run.result.store.replaced(logits=False)
  ranked = type(run)(run.path, run.result.replaced(store=store), run.stamp)
  with pytest.raises(UserError, match='needs all outputs'):
    output_adaptation.adapted(ranked, 'prior', run, 'prior')
