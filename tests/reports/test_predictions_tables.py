"""Tables of answers: 80 columns, whatever the models and classes are called."""

import io

import numpy as np
import pytest

from tfeval.datasets.labels import imagenet
from tfeval.reports import predictions, terminal
from tfeval.runs import top_classes

LONG = (
  'MobileNet:alpha=0.25,dropout=0.001',
  'a_package.with_models:build:depth=3',
  '/home/somebody/a-long-path-' + 'x' * 60 + '.keras',
  'EfficientNetLite0',
  'A',
)


def printed(models, ranked, monkeypatch):
  monkeypatch.setenv('COLUMNS', '80')
  file = io.StringIO()
  for table in predictions.answers_tables(
    models, top_classes.ImagePredictions('a.jpg', ranked)
  ):
    terminal.print_table(table, file)
  return file.getvalue()


def ranked(*classes):
  scores = np.full(1000, 1e-6)
  scores[list(classes)] = np.linspace(0.9, 0.01, len(classes))
  return top_classes.rank(scores, len(classes), logits=False)


@pytest.mark.parametrize('count', range(1, len(LONG) + 1))
def test_nothing_is_cut_and_all_of_it_fits(monkeypatch, count):
  models = [
    top_classes.PredictingModel(name, 'opencv:crop_fraction=0.9,kernel=bilinear', 224)
    for name in LONG[:count]
  ]
  # bicycle-built-for-two, American Staffordshire terrier, hen-of-the-woods, ...
  classes = [
    i for i, name in enumerate(imagenet.label_space().class_names) if len(name) > 19
  ]
  text = printed(models, (ranked(*classes[:12]),) * count, monkeypatch)
  assert max(map(len, text.splitlines())) <= 80
  assert '…' not in text
  for index in classes[:12]:
    assert imagenet.label_space().class_ids[index] in text
  for answer in ranked(*classes[:12]):
    assert (
      text.count(f'{answer.rank}. {top_classes.short(answer.probability):>6}') >= count
    )
  # Broken to pieces, but all there.
  heading = ''.join(line[26:] for line in text.splitlines()).replace(' ', '')
  assert heading.count('224px') == count


def test_rows_are_classes_in_the_order_of_their_best_rank(monkeypatch):
  models = [top_classes.PredictingModel(name, 'opencv', 224) for name in ('A', 'B')]
  text = printed(models, (ranked(5, 6, 7), ranked(7, 5, 900)), monkeypatch)
  wnids = imagenet.label_space().class_ids
  rows = [line.split() for line in text.splitlines() if line.startswith('n0')]
  assert [row[0] for row in rows] == [wnids[i] for i in (5, 7, 6, 900)]
  assert rows[0][-4:] == ['1.', '0.900', '2.', '0.455']
  assert rows[2][-3:] == ['2.', '0.455', '-']
  assert rows[3][-3:] == ['-', '3.', '0.010']


def test_equal_outputs_rank_by_class():
  assert [a.index for a in top_classes.rank(np.zeros(1000), 3, logits=True)] == [
    0,
    1,
    2,
  ]
  assert top_classes.rank(np.zeros(1000), 1, logits=True)[
    0
  ].probability == pytest.approx(1e-3)
