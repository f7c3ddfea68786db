"""Answers and numbers of scripts that are none of tfeval's, explained."""

import json
import shutil

import cv2
import keras
import numpy as np
import pytest

from tfeval import cli
from tfeval.datasets.labels import imagenet

MODEL = 'MobileNet:alpha=0.25'
WNIDS = imagenet.label_space().class_ids
AXES = ['--axis=aspect=squash', '--axis=channels', '--axis=normalisation=unit']


@pytest.fixture(scope='module')
def photos(shared_data, tmp_path_factory):
  folder = tmp_path_factory.mktemp('photos')
  chosen = sorted((shared_data / 'images').glob('n*.JPEG'))[::9]
  for i, path in enumerate(chosen):
    (folder / path.name[:9]).mkdir(exist_ok=True)
    # File names in an order that is not that of folders.
    shutil.copy(path, folder / path.name[:9] / f'{(7 * i) % len(chosen):03}.JPEG')
  return folder


@pytest.fixture(scope='module')
def answers(photos):
  """Answers of a squashing script that lets OpenCV's BGR stand, by file name."""
  cv2.ipp.setUseIPP(False)
  images = [
    cv2.resize(cv2.imread(str(path)), (224, 224), interpolation=cv2.INTER_CUBIC)
    for path in sorted(photos.glob('*/*'), key=lambda path: path.name)
  ]
  model = keras.applications.MobileNet(alpha=0.25)
  return model.predict(np.stack(images).astype(np.float32) / 127.5 - 1, verbose=0)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  return tmp_path_factory.mktemp('runs')


@pytest.fixture
def explain(photos, runs, tmp_path, capsys):
  def run(*flags, predictions=None):
    if predictions is not None:
      np.save(tmp_path / 'theirs.npy', predictions)
      flags = (*flags, f'--predictions={tmp_path / "theirs.npy"}')
    common = [f'--model={MODEL}', f'--dataset=folder:{photos}', '--batch_size=16']
    code = cli.main(['explain', *common, f'--output_dir={runs}', *AXES, *flags])
    return code, *capsys.readouterr()

  return run


def widest(out, photos):
  """Returns the length of the longest line; a path is not broken."""
  return max(len(line) for line in out.splitlines() if str(photos) not in line)


def first(out):
  found = json.loads(out)
  return found, found['candidates'][0]


def test_answers_identify_what_was_done(explain, answers, photos):
  n = len(answers)
  code, out, err = explain('--json', predictions=answers.argmax(1))
  assert code == 0, err
  found, best = first(out)
  assert best['departures'] == {'aspect': 'squash', 'channels': 'bgr'}
  assert best['state'] == 'identified' and best['agree'] == best['of'] == n
  assert found['unexplained'] == 0 and found['images'] == n
  # What is known of the others agrees less.
  assert all(one['agree'] < one['of'] for one in found['candidates'][1:])
  # All outputs with a background before them; the runs are found again.
  with_background = np.pad(answers, [(0, 0), (1, 0)])
  code, out, err = explain('--json', predictions=with_background)
  assert 'pipelines on 33 of 33 images' in err and 'is complete' not in err
  found, best = first(out)
  assert code == 0 and best['departures'] == {
    'aspect': 'squash',
    'channels': 'bgr',
    'class_order': 'one_too_high',
  }
  code, out, _ = explain(predictions=answers.argmax(1))
  assert code == 0 and widest(out, photos) <= 80
  assert 'aspect=squash, channels=bgr' in out and 'identified' in out


def test_answers_that_fit_no_image(explain, answers, photos):
  best = answers.argmax(1)
  folders = sorted(photos.glob('*/*'))
  by_name = sorted(folders, key=lambda path: path.name)
  in_folders = best[[by_name.index(path) for path in folders]]
  code, out, err = explain(predictions=in_folders)
  assert code == 2 and not out
  assert '--order=class_folder: give that as --order' in err.splitlines()[-1]
  code, out, err = explain('--order=class_folder', '--json', predictions=in_folders)
  assert code == 0 and first(out)[1]['state'] == 'identified'
  for predictions, said in (
    ((best + 500) % 1000, 'no more than by chance'),
    (np.zeros(77, int), '77 rows, 33 images are there'),
    (best - 1.5, 'expected all outputs, [n, 1000]; best classes are whole numbers'),
    (best - 1000, 'has classes outside of 0 to 1000'),
    (np.full((33, 1000), np.nan), 'NaN'),
  ):
    code, out, err = explain(predictions=predictions)
    assert code == 2 and not out and said in err.splitlines()[-1], err


def test_an_image_that_cannot_be_decoded(explain, answers, photos, tmp_path):
  broken = next(photos.iterdir()) / 'broken.JPEG'
  try:
    broken.write_bytes(b'\xff\xd8\xff and no more')
    theirs = np.append(answers.argmax(1), 0)
    code, out, err = explain(f'--output_dir={tmp_path}', predictions=theirs)
  finally:
    broken.unlink()
  assert code == 2 and not out and 'broken.JPEG' in err.splitlines()[-1]
  code, out, err = explain('--on_error=skip', '--reported=60')
  assert code == 2 and not out and 'on_error' in err


def test_a_number_leaves_the_truth_among_what_fits(explain, answers, photos):
  wnids = {path.name: path.parent.name for path in photos.glob('*/*')}
  hits = sum(
    wnids[name] == WNIDS[best]
    for name, best in zip(sorted(wnids), answers.argmax(1), strict=True)
  )
  code, out, err = explain('--json', f'--reported={hits}/{len(answers)}')
  assert code == 0, err
  found, _ = first(out)
  truth = [
    one
    for one in found['candidates']
    if one['departures'] == {'aspect': 'squash', 'channels': 'bgr'}
  ]
  assert truth and truth[0]['state'] == 'fits' and truth[0]['correct'] == hits
  code, out, _ = explain(f'--reported={hits}/{len(answers)}')
  assert code == 0 and widest(out, photos) <= 80
  code, out, _ = explain('--json', '--reported=100')
  found, best = first(out)
  assert {one['state'] for one in found['candidates']} == {'unlikely'}
  assert 'no departure that was tried gives 100 %' in found['remarks'][0]


@pytest.mark.slow
def test_two_runs_one_change_at_a_time(photos, runs, tmp_path, capsys):
  common = [f'--model={MODEL}', f'--dataset=folder:{photos}', '--preflight=off']
  common += ['--batch_size=16', '--json']
  both = []
  for flags in ([], ['--protocol=opencv:resize=squash,crop=none', '--feed=bgr']):
    assert cli.main(['evaluate', *common, *flags, f'--output_dir={tmp_path}']) == 0
    (result,) = json.loads(capsys.readouterr().out)
    both.append(result)
  paths = sorted(map(str, tmp_path.iterdir()), key=len)
  code = cli.main(['explain', *paths, *common, f'--output_dir={runs}'])
  found = json.loads(capsys.readouterr().out)
  assert code == 0
  of = {one['what']: one for one in found['differences']}
  for what in ('aspect', 'normalisation'):
    assert of[what]['points'] is not None
  named = [one['departures'] for one in found['candidates']]
  assert {'aspect': 'squash'} in named and {'channels': 'bgr'} in named
  first, second = (one['metrics'][0]['correct'] for one in both)
  n = both[0]['metrics'][0]['count']
  assert np.isclose(found['points'], 100 * (second - first) / n)
  assert np.isclose(found['together'], found['points'])
  assert found['agree'] == found['of'] == n and found['evaluated_again_flipped'] == 0
  assert np.isclose(found['unexplained'], 0)
