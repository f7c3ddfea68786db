"""A sweep: each cell is the run that `evaluate` makes, byte for byte."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

from tfeval import cli
from tfeval.analysis.explanation import two_runs
from tfeval.evaluation import departures
from tfeval.evaluation.config import EvaluationConfig
from tfeval.models import loading, published
from tfeval.preprocess import protocol
from tfeval.runs.run import load_run
from tfeval.runs.run_key import RunKey
from tfeval.utils.errors import UserError

MODEL = 'MobileNet:alpha=0.25'
# What `evaluate` is told for a cell.
CELLS = {
  'base': [],
  'resize=opencv-area': ['--protocol=opencv:kernel=area'],
  'resize=tf-cubic': ['--protocol=opencv:library=tensorflow,rounding=none'],
  'aspect=squash': ['--protocol=opencv:resize=squash,crop=none'],
  'exif=false': ['--protocol=opencv:exif=false'],
  'channels=bgr': ['--feed=bgr'],
  'normalisation=none': ['--feed=identity'],
  'size=0.857': ['--input_size=192'],
  'dtype=bfloat16': ['--dtype=mixed_bfloat16'],
}


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  folder = tmp_path_factory.mktemp('photos')
  for path in sorted((shared_data / 'images').glob('n*.JPEG'))[::29]:
    (folder / path.name[:9]).mkdir(exist_ok=True)
    shutil.copy(path, folder / path.name[:9])
  return folder


def stored(run):
  return {
    path.name: path.read_bytes()
    for path in sorted((run / 'predictions').rglob('*'))
    if path.is_file()
  }


@pytest.mark.parametrize(
  'cells',
  [
    ('base', 'resize=opencv-area', 'exif=false', 'channels=bgr'),
    pytest.param(tuple(CELLS), marks=pytest.mark.slow),
  ],
)
def test_cells_are_runs_alone(photos, tmp_path, capsys, cells):
  common = [
    f'--model={MODEL}',
    f'--dataset=folder:{photos}',
    '--batch_size=4',
    '--json',
  ]
  axes = [f'--axis={cell}' for cell in cells if cell != 'base']
  assert cli.main(['sweep', *common, *axes, f'--output_dir={tmp_path / "swept"}']) == 0
  found = json.loads(capsys.readouterr().out)
  assert [one['cell'] for one in found['cells']] == list(cells)
  for one in found['cells']:
    alone = tmp_path / 'alone' / one['cell'].replace('=', '-')
    flags = [*common, '--preflight=off', f'--output_dir={alone}', *CELLS[one['cell']]]
    assert cli.main(['evaluate', *flags]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    (directory,) = alone.iterdir()
    assert stored(directory) == stored(pathlib.Path(one['run'])), one
    top1 = result['metrics'][0]
    assert (one['correct'], one['count']) == (top1['correct'], top1['count'])
    base = found['cells'][0]['correct']
    if one['cell'] != 'base':
      assert np.isclose(one['points'], 100 * (one['correct'] - base) / one['count'])


def test_what_is_done_anyway_is_the_base():
  base = protocol.resolve('opencv', 224)
  config = EvaluationConfig()
  plain = departures.config_of((), config, base)
  same = [
    one.text
    for axis in departures.axes().values()
    for one in axis.values()
    if one.weights is None and departures.config_of((one,), config, base) == plain
  ]
  assert same == [
    'resize=opencv-cubic',
    'aspect=crop',
    'crop_fraction=0.875',
    'decode=accurate',
    'exif=true',
  ]


def test_what_is_done_otherwise_has_the_name_of_a_sweep():
  base = protocol.resolve('opencv', 224)
  for axis, values in departures.axes().items():
    for value, one in values.items():
      # As `explain` makes it of two runs: all fields that are of the axis.
      size = round(base.size * (one.size or 1))
      other = protocol.resolve(protocol.altered(base, size, one.fields), size)
      fields = {name: getattr(other, name) for name in two_runs.FIELDS.get(axis, ())}
      fields |= {} if fields else one.fields
      change = dataclasses.replace(one, value='as the second', fields=fields)
      found = departures.named(change, base)
      if value not in ('opencv-cubic', 'crop', '0.875', 'accurate') and axis != 'exif':
        assert found is not None and found.text == one.text, one
  own = departures.Departure('decode', '', {'decode': 'fast_crop'})
  assert departures.named(own, base) is None


@pytest.mark.parametrize(
  'name', [n for n in protocol.named_protocols() if n not in ('given', 'encoded')]
)
def test_departures_resolve_or_say_why(name):
  base, config = protocol.resolve(name, 224), EvaluationConfig.of(protocol=name)
  for axis in departures.axes().values():
    for one in axis.values():
      try:
        found = departures.config_of((one,), config, base)
      except UserError as error:
        assert str(error).startswith(f'protocol {name}')
        continue
      made = protocol.resolve(found.protocol, found.model.input_size or 224)
      for field, value in one.fields.items():
        assert getattr(made, field) == value


def test_grids_have_every_combination():
  chosen = [departures.parse('channels'), departures.parse('decode')]
  texts = [[one.text for one in cell] for cell in departures.grid(chosen)]
  assert texts[0] == [] and len(texts) == 6
  assert ['channels=bgr', 'decode=fast'] in texts


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('size=0.5', "unknown value of size '0.5': did you mean 0.857"),
    ('x', 'unknown axis'),
  ],
)
def test_unknown_axes(text, words):
  with pytest.raises(UserError, match=words):
    departures.parse(text)


def test_a_base_of_another_size_stays_at_it(photos, tmp_path, capsys):
  flags = [f'--model={MODEL}', f'--dataset=folder:{photos}', '--batch_size=4', '--json']
  flags += ['--protocol=opencv:size=160', f'--output_dir={tmp_path}']
  assert cli.main(['sweep', *flags, '--axis=decode', '--axis=size=1.143']) == 0
  cells = json.loads(capsys.readouterr().out)['cells']
  assert [one['cell'] for one in cells] == ['base', 'decode=fast', 'size=1.143']
  runs = [pathlib.Path(one['run']) for one in cells]
  found = [json.loads((run / 'result.json').read_text()) for run in runs]
  assert [one['protocol']['size'] for one in found] == [160, 160, 183]
  # Its own flags repeat a run.
  again = [f'--flagfile={runs[1] / "flags.txt"}', f'--output_dir={tmp_path / "again"}']
  assert cli.main(['evaluate', *again, '--preflight=off']) == 0
  (directory,) = (tmp_path / 'again').iterdir()
  assert stored(directory) == stored(runs[1])


def test_a_model_fed_otherwise_says_so(photos, tmp_path, capsys):
  flags = [f'--model={MODEL}', f'--dataset=folder:{photos}', '--feed=bgr']
  code = cli.main(
    ['evaluate', *flags, '--preflight=off', f'--output_dir={tmp_path}', '--json']
  )
  assert code == 0
  (result,) = json.loads(capsys.readouterr().out)
  assert result['model']['feed'] == 'bgr'
  assert result['published'] is None
  assert published.recompute(load_run(next(tmp_path.iterdir())).result, []) is None
  assert RunKey.of(load_run(next(tmp_path.iterdir())).result).title.endswith(
    ', fed bgr'
  )
  with pytest.raises(UserError, match='unknown preprocessing'):
    loading.load_model(MODEL, feed='nothing')
