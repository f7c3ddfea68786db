"""Statistics of real photos, of folders and of the dataset of a run."""

import dataclasses
import hashlib
import json
import shutil
import types

import cv2
import made_shift
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfeval.evaluation import image_statistics
from tfeval.metrics.shift import image_statistics as formulas
from tfeval.utils.errors import UserError


def nothing(count):
  del count


@pytest.fixture
def folder(photos, tmp_path):
  """Photos in a folder and in one inside of it, with a broken one and no image."""
  (tmp_path / 'photos/inside').mkdir(parents=True)
  for number, path in enumerate(sorted(photos.iterdir())):
    where = 'photos/inside' if number % 2 else 'photos'
    shutil.copy(path, tmp_path / where / path.name)
  (tmp_path / 'photos/broken.jpg').write_bytes(b'\xff\xd8\xff and no more')
  (tmp_path / 'photos/notes.txt').write_text('no image')
  return tmp_path / 'photos'


def test_photos_of_a_folder_against_opencv(folder):
  seen = []
  found = image_statistics.of_folder(str(folder), 'mine', 100, seen.append)
  assert len(found.ids) == 12 and list(found.failed) == ['broken.jpg']
  assert sum(seen) == 13 and sum('inside/' in one for one in found.ids) == 6
  for at, name in enumerate(found.ids):
    pixels = cv2.imread(str(folder / name))[..., ::-1]
    for key, value in formulas.of_pixels(pixels).items():
      assert found.values[key][at] == pytest.approx(value), (name, key)
    quality = formulas.jpeg_quality((folder / name).read_bytes())
    assert found.values['JPEG quality'][at] == quality
  few = image_statistics.of_folder(str(folder), 'mine', 5, nothing)
  assert set(few.ids) | set(few.failed) <= set(found.ids) | {'broken.jpg'}
  assert len(few.ids) + len(few.failed) == 5


def hashes_of(folder, names):
  return {one: hashlib.sha256((folder / one).read_bytes()).digest() for one in names}


def of_run(name, hashes):
  section = types.SimpleNamespace(name=name, config=None, split='')
  where = {'data_dir': None, 'manual_dir': None}
  return image_statistics.of_run(section, 'run', hashes, where, nothing)


def test_images_of_a_run_are_those_of_its_dataset(noise):
  names = sorted(path.name for path in noise.iterdir())
  found = of_run(f'folder:{noise}', hashes_of(noise, names[2:5]))
  assert sorted(found.ids) == names[2:5] and not found.changed
  whole = image_statistics.of_folder(str(noise), 'folder', 100, nothing)
  at = [whole.ids.index(one) for one in found.ids]
  for key, values in found.values.items():
    assert np.array_equal(values, whole.values[key][at])
  with pytest.raises(UserError, match='none of the images of run is there'):
    of_run(f'folder:{noise}', {'other.JPEG': None})


def test_images_need_no_labels_and_are_those_that_the_run_had(folder):
  """Of a folder whose labels were in a file, of which a run keeps none."""
  names = ['broken.jpg', *sorted(one.name for one in folder.glob('*.JPEG'))]
  hashes = hashes_of(folder, names)
  shutil.copy(folder / names[1], folder / names[2])
  hashes[names[3]] = None  # It is not known what it was.
  found = of_run(f'folder:{folder}', hashes)
  assert found.changed == [names[2]] and list(found.failed) == ['broken.jpg']
  assert found.ids == [names[1], *names[3:]]
  others = dict.fromkeys(names, bytes(32))
  with pytest.raises(UserError, match='none of the images of run is the same in'):
    of_run(f'folder:{folder}', others)


def test_images_of_a_container_are_read_until_all_are_found(photos, tmp_path):
  images = [path.read_bytes() for path in photos.iterdir()]
  hashes = {f'{i:02}.jpg': hashlib.sha256(one).digest() for i, one in enumerate(images)}
  files = [
    {'bytes': one, 'path': name} for one, name in zip(images, hashes, strict=True)
  ]
  table = {'image': files, 'label': [0, 1] * (len(files) // 2)}
  pq.write_table(pa.table(table), tmp_path / 'photos.parquet')
  found = of_run(f'parquet:{tmp_path}/photos.parquet', dict([*hashes.items()][1:4]))
  assert found.ids == ['01.jpg', '02.jpg', '03.jpg'] and not found.changed


def test_the_command_goes_on_without_images(folder, noise, tmp_path, tfeval):
  names = sorted(one.name for one in noise.iterdir())
  ids = [*names, *(f'gone {i}' for i in range(10))]
  source, target = made_shift.draw(40, 1), made_shift.draw(20, 2)
  target = dataclasses.replace(target, ids=np.array(ids))
  hashes = [*hashes_of(noise, names).values(), *[bytes(32)] * 10]
  hashes[3] = bytes(32)
  where = {'dataset': f'folder:{noise}', 'hashes': hashes}
  made_shift.store(tmp_path / 'target', target, **where)
  made_shift.store(tmp_path / 'other', source, dataset=f'folder:{folder}')
  quick = ['--permutations=19', '--json']
  code, out, err = tfeval('shift', tmp_path / 'target', tmp_path / 'target', *quick)
  assert code == 0, err
  found = json.loads(out)
  assert any('KS of brightness' == one['name'] for one in found['measures'])
  said = [one for one in found['remarks'] if one.startswith('1 images of made (target')]
  assert said and names[3] in said[0]
  gone = [one for one in found['remarks'] if 'are no longer there' in one]
  assert gone and gone[0].startswith('10 images of made') and 'gone 9' in gone[0]
  code, out, err = tfeval('shift', tmp_path / 'target', tmp_path / 'other', *quick)
  assert code == 0, err
  found = json.loads(out)
  assert found['verdict'] and any(
    one.startswith('images themselves are not compared: none of the images of made')
    for one in found['remarks']
  )


def test_a_folder_against_a_folder(folder, noise, tfeval):
  code, out, err = tfeval('shift', folder, noise, '--json', '--farthest=3')
  assert code == 0, err
  found = json.loads(out)
  assert found['verdict'] is None and found['guessed_without_labels'] is None
  assert found['source']['images'] == 12 and found['target']['images'] == 10
  # So few tell nothing, which is said of each.
  assert all('images have one' in one['unavailable'] for one in found['measures'])
  assert len(found['farthest']) == 3
  assert any('broken.jpg' in one for one in found['remarks'])


def test_slices_by_what_images_are_like(store_run, photos, tmp_path, tfeval):
  names = sorted(path.name for path in photos.iterdir())
  labels = np.arange(12) % 3
  hit = np.arange(12) % 4 > 0
  run = store_run(
    'a', np.where(hit, labels, 3), labels, ids=names,
    dataset={'name': f'folder:{photos}'},
  )  # fmt: skip
  csv = tmp_path / 'statistics.csv'
  code, out, err = tfeval(
    'score', run.path, '--by=images', f'--write_groups={csv}', '--json'
  )
  assert code == 0, err
  found = json.loads(out)['sliced'][0]['slices']
  brightness = np.array(
    [formulas.of_pixels(cv2.imread(str(photos / name))[..., ::-1])['brightness']
     for name in names]
  )  # fmt: skip
  darkest = brightness <= np.quantile(brightness, 0.25)
  low = min(
    (one for one in found if one['attribute'] == 'brightness'),
    key=lambda one: float(one['slice'].split()[0]),
  )['runs'][0]
  assert (low['correct'], low['count']) == (sum(hit & darkest), sum(darkest)) != (0, 0)
  again = tfeval('score', run.path, f'--by={csv}', '--json')
  assert again[0] == 0 and json.loads(again[1])['sliced'][0]['slices'] == found
  code, _, err = tfeval('score', run.path, '--by=label', f'--write_groups={csv}.new')
  assert code == 2 and '--write_groups is of --by=images' in err


def test_images_that_are_not_at_hand_make_no_slices(store_run, tfeval):
  run = store_run('a', [1, 2], [1, 2], dataset={'name': 'folder:nowhere'})
  code, _, err = tfeval('score', run.path, '--by=images')
  assert code == 2 and 'cannot measure images: nowhere is not there' in err
