"""The search for what gives answers, without a model: what each cell says is made."""

import dataclasses
import hashlib
import pathlib
import types

import numpy as np
import pyarrow as pa
import pytest

from tfeval.analysis import alignment
from tfeval.analysis.explanation import candidates, two_runs
from tfeval.datasets.labels import imagenet
from tfeval.evaluation import departures
from tfeval.evaluation.explain import by_changes, by_predictions
from tfeval.reports.page import of_explanation
from tfeval.reports.plots import files
from tfeval.runs.importing.answers import Answers
from tfeval.utils.errors import UserError

ALL = [one for axis in departures.usual() for one in departures.parse(axis)]


class MadeRounds:
  """Each departure changes the answers of a share of the images, drawn by its name."""

  def __init__(self, images, shares):
    self.space, self.failed, self.relative_paths = imagenet.label_space(), {}, None
    self.base = types.SimpleNamespace(
      library='pillow', kernel='bilinear', rounding='nearest', spec='pillow'
    )
    self.ids = [f'{i:05d}.JPEG' for i in range(images)]
    self._shares, self.most = shares, 0

  def title(self, labels, metric, what):
    return f'{labels} {metric}: {what}'

  def predicted(self, cell, ids):
    """Returns the classes that the model says of some images."""
    found = np.array([int(one[:5]) * 7 % 1000 for one in ids])
    for departure in cell:
      share = self._shares.get(departure.text, 0.5)
      keys = [hashlib.sha256((departure.text + one).encode()).digest() for one in ids]
      changed = np.array([int.from_bytes(key[:4]) / 2**32 < share for key in keys])
      moved = 1 + int.from_bytes(hashlib.sha256(departure.text.encode()).digest()) % 900
      found = np.where(changed, (found + moved) % 1000, found)
    return found

  def answers(self, cells, ids):
    self.most = max(self.most, len(ids))
    run = types.SimpleNamespace(path=pathlib.Path('run'))
    return {
      cell: types.SimpleNamespace(
        predicted=self.predicted(cell, sorted(ids))[:, None],
        ids=pa.array(sorted(ids)),
        labels={},
        run=run,
      )
      for cell in [(), *cells]
    }


def explain(rounds, classes, sample=2000, singles=ALL):
  given = Answers(pathlib.Path('theirs.npy'), None, classes[:, None], False)
  return by_predictions.explain(
    rounds, given, 'file_name', singles, sample, 'original', 'top1'
  )


def test_all_that_give_the_same_answers_are_told():
  """However many these are: none of them is nearer than another."""
  nothing = dict.fromkeys([one.text for one in ALL[:14]], 0.0)
  rounds = MadeRounds(400, nothing)
  found = explain(rounds, rounds.predicted((), rounds.ids))
  first, *others = found.candidates
  assert first.state == candidates.IDENTIFIED and first.departures == ()
  assert {*first.alike} == {((one.axis, one.value),) for one in ALL[:14]}
  states = {one.departures: one.state for one in found.candidates}
  assert all(states[one] == candidates.IDENTIFIED for one in first.alike)
  told = [one for one in found.remarks if 'fewer than 1 in 133' in one]
  assert len(told) == 1 and '400 images' in told[0]


def test_what_few_answers_tell_is_told():
  rounds = MadeRounds(12, {})
  found = explain(rounds, rounds.predicted((), rounds.ids))
  assert found.candidates[0].state == candidates.IDENTIFIED
  assert any('these are few' in one and '300 images' in one for one in found.remarks)
  # One that both would give: of a background, or of the order of another file.
  theirs = np.array([0] * 5)
  rounds.predicted = lambda cell, ids: np.zeros(len(ids), int)
  found = explain(rounds, theirs)
  assert len(found.candidates[0].alike) > len(ALL)
  rounds = MadeRounds(400, {})
  found = explain(rounds, rounds.predicted((), rounds.ids))
  assert not any('these are few' in one for one in found.remarks)


def test_departures_that_only_more_images_tell_apart():
  few = {one.text: 0.001 for one in ALL[:12]}
  rounds = MadeRounds(5000, few)
  truth = ALL[3]
  found = explain(rounds, rounds.predicted((truth,), rounds.ids), 5000)
  first = found.candidates[0]
  assert first.departures == ((truth.axis, truth.value),) and not first.alike
  assert first.of == first.agree == 5000 == rounds.most


def test_a_last_batch_that_is_missing_or_padded():
  rounds = MadeRounds(330, {})
  classes = rounds.predicted((), rounds.ids)
  found = explain(rounds, classes[:320])
  assert found.candidates[0].departures == (('batches', 'last_lost:32'),)
  assert found.images == 320 and any('320 rows' in one for one in found.remarks)
  found = explain(rounds, np.append(classes, [0] * 22))
  assert found.candidates[0].departures == (('batches', 'last_padded:32'),)


@pytest.mark.parametrize('pair', [(0, 32), (2, 25)])
def test_two_at_once(pair):
  rounds = MadeRounds(1000, {one.text: 0.2 for one in ALL})
  cell = tuple(ALL[i] for i in pair)
  found = explain(rounds, rounds.predicted(cell, rounds.ids))
  first = found.candidates[0]
  assert {*first.departures} == {(one.axis, one.value) for one in cell}
  assert first.state == candidates.IDENTIFIED


def test_the_model_is_that_of_the_first_run(store_run):
  answers, labels = np.arange(20), np.arange(20)
  first, second, found, other = (
    store_run(name, answers, labels, model={'name': 'm', 'weights_sha256': weights})
    for name, weights in (('1', 'a'), ('2', 'b'), ('3', 'a'), ('4', 'c'))
  )
  runs = two_runs.two_runs(first, second, 'original', 'top1')
  rounds = types.SimpleNamespace(ids=runs.first.ids.to_pylist(), failed={}, base=None)
  for run in (found, other):
    again = alignment.align_run(run, 'again', None, None)
    rounds.answers = lambda cells, ids, again=again: {(): again}
    if run is other:
      with pytest.raises(UserError, match='m has other weights than m of the first'):
        by_changes.explain(rounds, runs, 20)
    else:
      assert by_changes.explain(rounds, runs, 20).again == 0


def test_a_figure(tmp_path):
  pytest.importorskip('matplotlib')
  rounds = MadeRounds(400, {one.text: 0.2 for one in ALL})
  found = explain(rounds, rounds.predicted((ALL[0],), rounds.ids))
  report = dataclasses.replace(found.candidates[0], agree=None, sd=0.01, value=0.6)
  reported = dataclasses.replace(found, candidates=[report], reported=61.6)
  for one in (found, reported):
    path = tmp_path / f'{one.reported}.svg'
    files.save(of_explanation.figure(one), path)
    # A line for each candidate, beside the one that is drawn at what is due.
    names = path.read_text().count('<g id="ytick_')
    assert names == len(one.candidates)
