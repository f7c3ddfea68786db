"""Mistakes against a count by hand, whatever the order of the stored rows."""

import dataclasses

import numpy as np
import pytest
import scored_runs
from scipy import special

from tfeval.analysis import hardest as hard
from tfeval.analysis import mistakes as found_by
from tfeval.analysis import other_rules
from tfeval.analysis.mistakes import mistakes
from tfeval.datasets.labels import imagenet, sets
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.runs.result_file import ClassesSection
from tfeval.utils.errors import UserError

N = 400
LABELS = np.random.default_rng(3).integers(0, 30, N)
REAL = [
  [] if i % 11 == 0 else [int(label), (int(label) + 1) % 30][: 1 + i % 2]
  for i, label in enumerate(LABELS)
]
IDS = [f'{i:05d}.JPEG' for i in range(N)]
SCORES = scored_runs.random_scores(N, 5, LABELS)
OTHER = scored_runs.random_scores(N, 6, LABELS)
# Some are right by ReaL labels alone, and sure of it.
for image in range(0, N, 7):
  SCORES[image, (LABELS[image] + 1) % 30] += 9
P = special.softmax(SCORES.astype(np.float64), axis=1)
FIRST = SCORES.argmax(axis=1)


@pytest.fixture
def run(tmp_path):
  return scored_runs.store(tmp_path / 'one', SCORES, LABELS, REAL)


@pytest.fixture
def other(tmp_path):
  return scored_runs.store(tmp_path / 'two', OTHER, LABELS, REAL, seed=9)


def by_hand(values, wrong):
  """Ids of wrong images, the highest value first, of equal ones the lowest id."""
  return [IDS[i] for i in sorted(np.flatnonzero(wrong), key=lambda i: (-values[i], i))]


def ids(found):
  return [one.id for one in found]


def test_the_most_confident_stand_first_as_counted_by_hand(run):
  found = mistakes(run, None)
  wrong = FIRST != LABELS
  assert ids(found) == by_hand(P.max(axis=1), wrong)
  assert found.counted.count - found.counted.correct == wrong.sum() == found.found
  top1 = next(m for m in run.score() if (m.labels, m.name) == ('original', 'top1'))
  assert (top1.correct, top1.count) == (found.counted.correct, found.counted.count)
  for one in list(found)[:20]:
    i = IDS.index(one.id)
    assert one.label.index == LABELS[i] and one.predictions[0].index == FIRST[i]
    assert [p.index for p in one.predictions] == np.argsort(-SCORES[i])[:5].tolist()
    np.testing.assert_allclose(
      [p.probability for p in one.predictions], np.sort(P[i])[:-6:-1], rtol=1e-6
    )
    assert [c.index for c in one.real] == REAL[i]
    assert one.right_by_real == ((FIRST[i] in REAL[i]) if REAL[i] else None)


def test_how_many_are_right_by_real_labels(run):
  found = mistakes(run, 1)
  wrong = np.flatnonzero(FIRST != LABELS)
  assert found.right_by_real == sum(FIRST[i] in REAL[i] for i in wrong) > 10
  assert found.without_real == sum(not REAL[i] for i in wrong)


def test_by_real_labels_the_set_is_right(run):
  found = mistakes(run, None, labels=sets.LabelSource('real'))
  wrong = np.array([bool(REAL[i]) and FIRST[i] not in REAL[i] for i in range(N)])
  assert ids(found) == by_hand(P.max(axis=1), wrong)
  real = next(m for m in run.score() if (m.labels, m.name) == ('real', 'top1'))
  assert found.counted.correct == real.correct and found.counted.count == real.count
  assert found.counted.skipped == sum(not one for one in REAL)
  assert found.right_by_real is None


def test_by_loss_is_minus_log_p_of_the_label(run):
  found = list(mistakes(run, None, by='loss'))
  loss = -np.log(P[np.arange(N), LABELS])
  assert [one.id for one in found] == by_hand(loss, FIRST != LABELS)
  hand = [loss[IDS.index(one.id)] for one in found]
  np.testing.assert_allclose([one.loss for one in found], hand, rtol=1e-5)


def test_loss_of_other_labels_needs_outputs_and_names_the_option(run, tmp_path):
  labels = sets.LabelSource('real')
  with pytest.raises(UserError, match='`store_logits`'):
    mistakes(run, by='loss', labels=labels)
  whole = scored_runs.store(
    tmp_path / 'whole', SCORES, LABELS, REAL, store_logits=True, seed=4
  )
  found = list(mistakes(whole, None, by='loss', labels=labels))
  assert len(found) > 50
  for one in found:
    i = IDS.index(one.id)
    assert one.loss == pytest.approx(-np.log(P[i, REAL[i]].max()), rel=1e-5)
  assert [one.loss for one in found] == sorted(
    (one.loss for one in found), reverse=True
  )


@pytest.mark.parametrize('by', ['confidence', 'loss'])
def test_the_order_of_the_rows_says_nothing_and_ties_go_by_id(tmp_path, by):
  # Forty images of five contents: many are equal to the last digit.
  scores = np.repeat(SCORES[FIRST != LABELS][:5], 8, axis=0)
  labels = np.repeat(LABELS[FIRST != LABELS][:5], 8)
  kept = [
    ids(
      mistakes(
        scored_runs.store(tmp_path / f'{seed}', scores, labels, seed=seed), 20, by=by
      )
    )
    for seed in range(3)
  ]
  assert kept[0] == kept[1] == kept[2] and len(kept[0]) == 20
  for start in (0, 8):
    block = kept[0][start : start + 8]
    assert block == sorted(block)


def test_only_images_of_a_class_or_taken_for_one(run):
  space = imagenet.label_space()
  pairs = np.stack([LABELS, FIRST])[:, FIRST != LABELS]
  (label, taken), count = max(
    ((tuple(pair), (pairs.T == pair).all(1).sum()) for pair in pairs.T),
    key=lambda one: one[1],
  )
  found = mistakes(run, None, of_class=space.class_ids[label], as_class=str(taken))
  assert found.found == count
  assert found.of_class_images == (LABELS == label).sum()
  assert {one.label.index for one in found} == {label}
  assert {one.predictions[0].index for one in found} == {taken}
  # The metric is of all images still.
  assert found.counted.count == N
  of = mistakes(run, None, of_class=space.class_names[label].upper())
  assert of.found == (pairs[0] == label).sum()
  with pytest.raises(UserError, match='`of_class` .*did you mean'):
    mistakes(run, of_class='goldfisch')
  with pytest.raises(UserError, match='n02012849 and n03126707'):
    mistakes(run, as_class='crane')


def test_disagreements_in_both_directions(run, other):
  found = mistakes(run, None, other=other)
  theirs = OTHER.argmax(axis=1)
  here, there = FIRST == LABELS, theirs == LABELS
  agreement = found.other.agreement
  assert agreement.both_right == (here & there).sum()
  assert agreement.only_first == (here & ~there).sum() > 0
  assert agreement.only_other == (~here & there).sum() > 0
  assert agreement.both_wrong_same == (~here & ~there & (FIRST == theirs)).sum()
  different = ~here & ~there & (FIRST != theirs)
  assert agreement.both_wrong_different == different.sum() > 0
  assert sum(vars(agreement).values()) == N
  sure = np.minimum(P.max(1), special.softmax(OTHER.astype(float), axis=1).max(1))
  # Stored as float32: compare the ones that are apart.
  assert ids(found)[:50] == by_hand(sure, (here != there) | different)[:50]
  for one in found:
    i = IDS.index(one.id)
    assert one.other.index == theirs[i]
    assert (one.is_right, one.other_is_right) == (here[i], there[i])
  swapped = mistakes(other, None, other=run).other.agreement
  assert swapped.only_first == agreement.only_other


def test_runs_of_other_images_are_not_compared(run, tmp_path):
  less = scored_runs.store(tmp_path / 'less', OTHER[:50], LABELS[:50])
  with pytest.raises(UserError, match='other images or labels'):
    mistakes(run, other=less)
  with pytest.raises(UserError, match='needs `other`'):
    mistakes(run, by='disagreement')
  with pytest.raises(UserError, match='leave `other` out'):
    mistakes(run, by='loss', other=run)


def test_classes_without_probabilities_stand_by_id(store_run):
  predicted = (LABELS[:40] + (np.arange(40) % 3 == 0)) % 30
  run = store_run('bare', predicted, LABELS[:40])
  found = mistakes(run)
  assert found.by == found_by.BY_ID
  assert ids(found) == [f'{i:04d}.JPEG' for i in range(0, 40, 3)]
  assert all(one.confidence is None for one in found)
  assert 'no probabilities are stored' in found.remarks[0]
  with pytest.raises(UserError, match='`store_logits`'):
    mistakes(run, by='loss')


def test_classes_of_ones_own_in_any_script(tmp_path):
  names = ('猫 ' * 40, 'собака', '<script>alert(1)</script>', '\x1b[31mred', 'dog')
  space = LabelSpace('pets', tuple('abcde'), names)
  labels = np.arange(20) % 5
  scores = np.random.default_rng(1).normal(size=(20, 5)).astype(np.float32)
  run = scored_runs.store(tmp_path / 'own', scores, labels, space=space)
  found = mistakes(run, None)
  assert found.found == (scores.argmax(1) != labels).sum()
  assert {one.label.name for one in found} <= set(names)
  assert mistakes(run, of_class='собака').of_class.index == 1


def test_results_that_say_other_labels_than_rows_have_are_refused(store_run):
  run = store_run('bare', LABELS[:40], np.full(40, -1))
  metrics = [one.replaced(labels='real', count=40) for one in run.metrics]
  run = dataclasses.replace(run, result=run.result.replaced(metrics=metrics))
  with pytest.raises(UserError, match='real.json|labels for none'):
    mistakes(run)


def test_classes_that_a_result_does_not_have_are_refused(run, tmp_path):
  space = LabelSpace('two', ('a', 'b'), ('a', 'b'))
  few = run.result.dataset.replaced(classes=ClassesSection.of(space))
  damaged = dataclasses.replace(run, result=run.result.replaced(dataset=few))
  with pytest.raises(UserError, match='its result has 2: evaluate again'):
    mistakes(damaged)


def test_rows_that_are_not_all_there_are_refused(run):
  manifest = run.result.replaced(dataset=run.result.dataset.replaced(evaluated=N + 1))
  with pytest.raises(UserError, match='400 rows'):
    mistakes(dataclasses.replace(run, result=manifest))


def test_the_hardest_images_of_several_runs(run, other, tmp_path):
  third = scored_runs.random_scores(N, 8, LABELS)
  runs = [
    run,
    other,
    scored_runs.store(tmp_path / 'three', third, LABELS, REAL, seed=2),
  ]
  found = hard.hardest(runs, None)
  scores = np.stack([SCORES, OTHER, third])
  said = scores.argmax(axis=2)
  missed = (said != LABELS).sum(axis=0)
  assert found.by_missed.tolist() == np.bincount(missed, minlength=4).tolist()
  confidence = special.softmax(scores.astype(np.float64), axis=2).max(axis=2)
  mean = np.where(said != LABELS, confidence, 0).sum(axis=0) / np.maximum(missed, 1)
  assert [one.mistake.id for one in found] == by_hand(missed + mean / 2, missed > 0)
  for one in found:
    i = IDS.index(one.mistake.id)
    wrong = said[:, i][said[:, i] != LABELS[i]].tolist()
    most = max(map(wrong.count, wrong))
    assert one.said_by == most
    assert one.said.index == min(x for x in wrong if wrong.count(x) == most)
    assert one.confidence == pytest.approx(mean[i], rel=1e-5)


@pytest.mark.parametrize('rule', ['all', 'restricted', 'imagenet_a', 'objectnet'])
def test_counts_are_those_of_score_under_every_class_rule(tmp_path, rule):
  labels = np.arange(N) * 7 % 1000
  scores = scored_runs.random_scores(N, 4, labels)
  run = scored_runs.store(
    tmp_path / 'run', scores, labels, store_logits=True, restricted=range(0, 1000, 2)
  )
  found = mistakes(run, None, rule=rule)
  with_rule = other_rules.with_rules(run, [rule])
  name = 'top1' if rule == 'all' else f'top1@{rule}'
  (scored,) = (m for m in with_rule.score(metrics=[name]) if m.key == name)
  counted = found.counted
  assert (scored.correct, scored.count) == (counted.correct, counted.count)
  assert scored.skipped == counted.skipped and found.remarks == ()
  assert len(found) == counted.count - counted.correct > 0
  if rule == 'restricted':
    even = scores[:, ::2].argmax(axis=1) * 2
    assert {one.id for one in found} == {IDS[i] for i in np.flatnonzero(even != labels)}
    odd = next(one for one in found if int(one.label.index) % 2)
    assert all(one.index % 2 == 0 for one in odd.predictions)
    by_loss = list(mistakes(run, None, by='loss', rule=rule))
    # Labels that are none of those that compete were given nothing.
    assert sum(np.isinf(one.loss) for one in by_loss) == (labels % 2).sum()
