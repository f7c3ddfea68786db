"""Shifts that are planted get their names; two halves are no shift."""

import collections
import dataclasses
import json

import made_shift
import numpy as np
import pytest

from tfeval.analysis import stored_outputs
from tfeval.analysis.shift import diagnosis, from_runs, guesses, images, verdict
from tfeval.analysis.shift.measures import Options
from tfeval.metrics import unlabelled
from tfeval.metrics.shift import two_sample

N = 500
KINDS = {
  verdict.COVARIATE: [{'moved': 0.3}, {'selected': 1.5}],
  verdict.PRIOR: [{'priors': made_shift.SKEWED}],
  verdict.CONCEPT: [{'relabelled': 0.25}],
}


def diagnose(n, seed, **planted):
  source = made_shift.draw(n, 2 * seed)
  target = made_shift.draw(n, 2 * seed + 1, **planted)
  options = Options(permutations=199, seed=seed)
  return source, target, diagnosis.diagnose(source, target, options)


@pytest.mark.parametrize(
  'kind, planted', [(kind, all_planted[0]) for kind, all_planted in KINDS.items()]
)
def test_planted_shifts_get_their_names(kind, planted):
  assert diagnose(N, 0, **planted)[2].verdict.kind == kind


@pytest.mark.slow
def test_planted_shifts_get_their_names_of_as_many_as_the_command_takes():
  for kind, all_planted in KINDS.items():
    for planted in all_planted:
      found = [diagnose(4 * N, seed, **planted)[2].verdict.kind for seed in (100, 101)]
      assert found == [kind] * 2, planted


@pytest.mark.slow
def test_two_halves_are_no_shift():
  """At most 10 of 100, which a test at level 0.05 exceeds once in a hundred times."""
  kinds = collections.Counter(
    diagnose(300, seed)[2].verdict.kind for seed in range(100)
  )
  assert kinds[verdict.NONE] >= 90, kinds


@pytest.fixture(scope='module')
def skewed():
  return diagnose(N, 3, priors=made_shift.SKEWED)


def test_every_measure_stands_beside_two_halves(skewed):
  source, target, shift = skewed
  by_name = {one.name: one for one in shift.measures}
  distances = two_sample.pair_distances(source.features, target.features)
  kernel = two_sample.rbf_kernel(distances, [two_sample.median_distance(distances)])
  assert by_name['MMD²'].value == pytest.approx(two_sample.mmd2(kernel, N))
  for one in shift.measures:
    if one.name == 'Fréchet distance':
      assert one.images == N // 2 and one.p is None and one.null > 0
    else:
      assert one.p <= one.p_holm <= 1
  # Half a source is like the other: what is unbiased is far below.
  for name in ('MMD²', 'energy distance'):
    assert abs(by_name[name].null) < 0.2 * by_name[name].value
  assert by_name['C2ST accuracy'].null == pytest.approx(0.5, abs=0.05)


def test_shares_of_classes_are_found_without_labels(skewed):
  source, target, shift = skewed
  truth = np.bincount(target.labels, minlength=10) / N
  assert shift.shares.target == pytest.approx(truth, abs=0.06)
  inside = (shift.shares.low <= truth) & (truth <= shift.shares.high)
  assert inside.sum() >= 7
  assert shift.shares.bbse == pytest.approx(truth, abs=0.08)
  # The same of a target without labels, or of wrong ones.
  blind = target.take(np.arange(N))
  blind.labels[:], blind.hits[:], blind.labelled[:] = -1, False, False
  again = diagnosis.diagnose(source, blind, shift.options)
  assert again.shares.target.tolist() == shift.shares.target.tolist()
  assert again.verdict.kind == verdict.PRIOR and again.concept is None
  assert [one.value for one in again.guesses.each] == [
    one.value for one in shift.guesses.each
  ]
  assert all(one.error is None for one in again.guesses.each)


def test_guesses_are_near_and_say_by_how_much(skewed):
  source, target, shift = skewed
  assert shift.guesses.source_hits == source.hits.mean()
  # The model is too sure by this, which calibration finds.
  assert shift.guesses.temperature == pytest.approx(1.5, abs=0.25)
  for one in shift.guesses.each:
    assert one.low <= one.value <= one.high
    assert one.error == pytest.approx(one.value - target.hits.mean())
    assert abs(one.error) < 0.06
  beside = [(source, target)] * 2
  found = diagnosis.diagnose(source, target, shift.options, beside=beside).guesses
  agreement, _, on_line = found.each[-3:]
  assert agreement.value == 1 and 'probit' in on_line.unavailable
  assert unlabelled.agreement(np.stack([target.predicted] * 2)).min() == 1


def test_the_error_of_a_guess_is_of_the_images_with_labels(skewed):
  """Labels of the surest images alone say nothing of how wrong the whole is."""
  source, target, shift = skewed
  labelled = target.scores['max probability'] > 0.9
  some = dataclasses.replace(target, labelled=labelled)
  # The same images alone.
  alone = target.take(np.flatnonzero(labelled))
  options = Options(permutations=19)
  other, third = made_shift.draw(N, 8), made_shift.draw(N, 9)
  beside = [(other, third), (third, other)]
  beside_alone = [(one, two.take(np.flatnonzero(labelled))) for one, two in beside]
  found = guesses.guess(source, some, options, beside).each
  expected = guesses.guess(source, alone, options, beside_alone).each
  whole = guesses.guess(source, target, options, beside).each
  assert len(found) == len(expected) == 7
  for one, wanted, all_of in zip(found, expected, whole, strict=True):
    assert one.error == pytest.approx(wanted.error), one.name
    assert one.value == all_of.value
  assert abs(found[0].value - target.hits[labelled].mean() - found[0].error) > 0.05


def test_the_farthest_are_those_planted():
  source, target = made_shift.draw(100, 4), made_shift.draw(100, 5)
  target.features[[7, 90]] += np.float16(9)
  found = diagnosis.diagnose(source, target, Options(permutations=19), far=3)
  assert {one.id for one in found.farthest[:2]} == set(target.ids[[7, 90]])
  assert found.farthest[0].share == 0 and found.farthest[0].distance > 3


def test_without_features_outputs_tell_and_without_these_how_sure_it_is():
  planted = {'priors': made_shift.SKEWED}
  for names, kind in (
    (['features'], verdict.PRIOR),
    (['features', 'log_probs'], verdict.UNNAMED),
  ):
    sides = made_shift.draw(N, 6), made_shift.draw(N, 7, **planted)
    for side in sides:
      for name in names:
        object.__setattr__(side, name, None)
    found = diagnosis.diagnose(*sides, Options(permutations=199))
    assert found.verdict.kind == kind
    assert (found.shares is None) == ('log_probs' in names)


def test_statistics_of_images_and_the_farthest():
  random = np.random.default_rng(6)

  def measured(name, brightness):
    values = {
      'brightness': brightness,
      'width': np.full(len(brightness), 500.0),
      'JPEG quality': np.full(len(brightness), np.nan),
    }
    ids = [f'{i}.png' for i in range(len(brightness))]
    return images.ImageStatistics(name, ids, values, {})

  source = measured('source', random.normal(100, 10, 200))
  target = measured('target', np.append(random.normal(130, 10, 149), 255))
  brightness, width, quality = images.compare(source, target, Options())
  assert brightness.p_holm < 1e-6 and brightness.medians[1] > 120
  assert width.value == 0 and width.p == 1
  assert quality.value is None and 'have one' in quality.unavailable
  found = images.farthest(source, target, 2)
  assert found[0].id == '149.png' and found[0].distance > 12 and found[0].share == 0


def test_of_images_that_are_not_drawn_nothing_is_held(tmp_path, monkeypatch):
  made_shift.store(tmp_path / 'run', made_shift.draw(300, 11))
  run, seen = from_runs.load_run(str(tmp_path / 'run')), []
  whole = from_runs.read(run, 'made', 'original', 'top1')
  softmax = stored_outputs.ranking.log_softmax

  def counted(outputs):
    seen.append(len(outputs))
    return softmax(outputs)

  monkeypatch.setattr(stored_outputs.ranking, 'log_softmax', counted)
  drawn = from_runs.read(run, 'made', 'original', 'top1', 40)
  assert seen == [40] and len(drawn) == 40
  expected = whole.take(np.flatnonzero(np.isin(whole.ids, drawn.ids)))
  for field in dataclasses.fields(expected):
    mine, theirs = (getattr(one, field.name) for one in (drawn, expected))
    assert np.array_equal(mine, theirs), field.name


def test_the_command(tmp_path, tfeval, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  monkeypatch.chdir(tmp_path)
  source, target = made_shift.draw(300, 14), made_shift.draw(300, 15)
  shifted = made_shift.draw(300, 16, priors=made_shift.SKEWED)
  for name, side in (('source', source), ('same', target), ('skewed', shifted)):
    made_shift.store(tmp_path / name, side)
  # What is stored is what was made.
  read = from_runs.read(from_runs.load_run('skewed'), 'made', 'original', 'top1')
  assert np.array_equal(read.features, shifted.features)
  assert np.array_equal(read.hits, shifted.hits)
  assert read.log_probs == pytest.approx(shifted.log_probs, abs=1e-4)
  quick = '--permutations=99'
  code, out, _ = tfeval('shift', 'source', 'same', quick)
  assert code == 0 and f'verdict: {verdict.NONE}' in out
  code, out, _ = tfeval('shift', 'source', 'skewed', quick)
  assert f'verdict: {verdict.PRIOR}' in out and 'no accuracy was measured' in out
  assert max(map(len, out.splitlines())) <= 80
  more = ['--json', '--max_images=250', '--beside=source,skewed']
  code, out, _ = tfeval('shift', 'source', 'skewed', quick, *more)
  found = json.loads(out)
  assert found['source']['images'] == 250
  assert found['verdict']['kind'] == verdict.PRIOR
  assert len(found['class_shares']) == 10 and len(found['farthest']) == 10
  assert sum(one['target'] for one in found['class_shares']) == pytest.approx(1)
  names = [one['name'] for one in found['guessed_without_labels']['guesses']]
  assert names[-2:] == ['agreement with made', 'agreement on the line']


def test_refusals_in_a_line(tmp_path, tfeval, monkeypatch, store_run):
  monkeypatch.chdir(tmp_path)
  side = made_shift.draw(60, 9)
  constant = side.take(np.arange(60))
  constant.features[:] = 1
  for name, stored in (
    ('source', {}),
    ('narrow', {'dimension': 8}),
    ('layer', {'layer': 'block'}),
    ('without', {'features': False}),
  ):
    made_shift.store(tmp_path / name, side, **stored)
  made_shift.store(tmp_path / 'constant', constant)
  made_shift.store(tmp_path / 'few', side.take(np.arange(9)))
  made_shift.store(tmp_path / 'none', side, features=False, logits=False)
  labels = np.arange(60) % 10
  store_run('bare', labels, labels)
  (tmp_path / 'empty').mkdir()
  for arguments, said in (
    (['source'], '1 arguments were given'),
    (['source', 'narrow'], 'stores 32 features of penultimate'),
    (['source', 'layer'], '32 of block'),
    (['source', 'without'], 'evaluate again with --store_features'),
    (['constant', 'constant'], 'features are constant'),
    (['source', 'few'], '9 images: too few to tell anything'),
    (['bare', 'bare'], 'neither features nor probabilities'),
    (['source', 'bare'], 'classes'),
    (['source', 'empty'], '/not/there is not there'),
    (['empty', 'empty'], 'holds no images'),
    (['source', 'nowhere'], 'nowhere'),
    (['source', 'source', '--level=0.9'], '--level=0.9'),
    (['source', 'source', '--metric=nll'], '--metric=nll'),
    (['source', 'source', '--beside=source'], 'expected SOURCE,TARGET'),
    (['source', 'source', '--beside=source,few'], 'too few'),
  ):
    code, out, err = tfeval('shift', *arguments)
    assert code == 2 and not out, arguments
    assert said in err and len(err.splitlines()) == 1, (arguments, err)
