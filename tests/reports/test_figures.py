"""Figures: formats, odd names, and what stands where a file cannot be written."""

import os
import subprocess
import sys

import cv2
import nasty
import numpy as np
import pytest

from tfeval.metrics.precision_recall import Curve
from tfeval.reports import figures, precision_recall
from tfeval.runs import top_classes
from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable

MODELS = [
  top_classes.PredictingModel('a$b$:x=1', 'opencv', 32),
  top_classes.PredictingModel('/long/' * 20 + 'b.keras', 'pil:kernel=bilinear', 32),
]
STARTS = {'png': b'\x89PNG', 'pdf': b'%PDF', 'svg': b'<?xml'}


def answered(name='a$b_{$ 猫.jpg', top=5):
  ranked = top_classes.rank(np.linspace(0, 9, 1000), top, logits=True)
  return top_classes.ImagePredictions(name, (ranked,) * len(MODELS))


def photo(height=30, width=40):
  return np.full((height, width, 3), 128, np.uint8)


@pytest.mark.parametrize('suffix', ['png', 'pdf', 'svg', 'PNG'])
def test_formats(tmp_path, suffix):
  path = tmp_path / f'a.{suffix}'
  figures.check_path(path, False)
  figures.draw_answers(path, MODELS, [answered()], [photo()])
  assert path.read_bytes().startswith(STARTS[suffix.lower()])
  assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(('images', 'top'), [(1, 1), (3, 20)])
def test_sizes_follow_what_is_shown(tmp_path, images, top):
  path = tmp_path / 'a.png'
  shapes = [(480, 1), (1, 480), (30, 40)]
  figures.draw_answers(
    path,
    MODELS,
    [answered(top=top)] * images,
    [photo(*shape) for shape in shapes[:images]],
  )
  height, width = cv2.imread(str(path)).shape[:2]
  assert 1200 < width < 1400
  assert height > images * max(300, 35 * top)


def test_a_file_that_cannot_be_written(tmp_path):
  with pytest.raises(UserError, match='cannot write .* choose another `figure`'):
    figures.draw_answers(tmp_path / 'no/a.png', MODELS, [answered()], [photo()])


def test_too_large_figures_are_refused(tmp_path):
  figures.check_size(tmp_path / 'a.png', 50, 3, 5)
  for sizes in ((100, 3, 5), (1, 60, 5), (1, 1, 1000)):
    with pytest.raises(UserError, match='inches'):
      figures.check_size(tmp_path / 'a.png', *sizes)


def test_matplotlib_is_imported_for_figures_only():
  code = (
    'import sys, tfeval.cli.predict, tfeval.reports.figures\n'
    'assert "matplotlib" not in sys.modules'
  )
  subprocess.run([sys.executable, '-c', code], check=True)


def test_names_are_drawn_as_they_are(tmp_path, monkeypatch):
  """Also where matplotlib would hide them, or could not encode them."""
  shown = []
  monkeypatch.setattr(
    'matplotlib.text.Text.set_text',
    lambda self, text: shown.append(str(text or '')) or setattr(self, '_text', text),
  )
  names = [*nasty.NAMES, nasty.ALL, nasty.SURROGATE, '_hidden']
  points = np.array([[0.5], [1], [2]])
  curves = {name: Curve(*points, 4) for name in names}
  precision_recall.draw(tmp_path / 'curve.svg', curves)
  labels = {text.lstrip(' ') for text in shown}
  assert {printable(name).lstrip(' ') for name in names} <= labels
  model = top_classes.PredictingModel(nasty.ALL, nasty.SURROGATE, 32)
  figures.draw_answers(
    tmp_path / 'answers.pdf', [model] * 2, [answered(nasty.ALL)], [photo()]
  )
  assert f'{printable(nasty.ALL)[-30:]}' in ''.join(shown)
  assert not nasty.unsafe(''.join(shown))
