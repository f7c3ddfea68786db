"""What goes wrong with test sets of the field: orders, layouts, parts of sets."""

import json
import zipfile

import cv2
import keras
import numpy as np
import pytest
import standin_archives

from tfeval import cli, datasets
from tfeval.datasets.labels import imagenet, numbering, orders
from tfeval.metrics.accuracy import LabelSets
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError

SIDE, IMAGES = 32, 40


def by_text():
  """Returns the class of each place, where folders 0 to 999 are sorted as text."""
  return np.array(sorted(range(1000), key=str))


def answers_of(labels, seed=0):
  """Returns answers that are right for seven images in ten."""
  random = np.random.default_rng(seed)
  others = random.integers(0, 1000, len(labels))
  return np.where(random.random(len(labels)) < 0.7, labels, others)


def test_v2_numbered_by_sorted_folders_is_found():
  labels = np.random.default_rng(1).integers(0, 1000, 500)
  answers, place = answers_of(labels), np.argsort(by_text())
  space = imagenet.label_space()
  # Labels by a reader that numbers the folders as they are sorted.
  counts = numbering.NumberingCounts(space)
  counts.add(answers, LabelSets.from_single(place[labels]))
  assert counts.found() == 'text'
  assert 'numbers sorted as text: 0, 1, 10, 100' in counts.remark()
  # Predictions of a model that was trained so.
  assert orders.other_class_order(place[answers], labels, space) == 'text'


def test_v2_by_sorted_folders_end_to_end(shared_data, tmp_path, capsys):
  """Labels in a file by places of sorted folders, of predictions that are right."""
  photos = standin_archives.photos_by_wnid(shared_data)
  names = [row['wnid'] for row in standin_archives.class_names(shared_data)]
  place, rows = np.argsort(by_text()), ['id,class_1']
  labels = ['file_name,label']
  for wnid in photos:
    rows.append(f'{wnid}.jpeg,{names.index(wnid)}')
    labels.append(f'{wnid}.jpeg,{place[names.index(wnid)]}')
  (tmp_path / 'rows.csv').write_text('\n'.join(rows))
  (tmp_path / 'labels.csv').write_text('\n'.join(labels))
  flags = [f'--predictions={tmp_path}/rows.csv', f'--labels={tmp_path}/labels.csv']
  assert cli.main(['import', *flags, f'--output_dir={tmp_path}/runs']) == 0
  assert 'sorted as text: 0, 1, 10, 100' in capsys.readouterr().err


@pytest.mark.parametrize('where', ['', 'imagenet-a', 'imagenet-a/imagenet-a', 'a/test'])
def test_other_layouts_of_imagenet_a(where, shared_data, tmp_path):
  photos = standin_archives.photos_by_wnid(shared_data)
  rows = standin_archives.facts(shared_data, 'imagenet_a_200')
  wnids = [row['wnid'] for row in rows if row['wnid'] in photos][:3]
  for wnid in wnids:
    (tmp_path / where / wnid).mkdir(parents=True)
    (tmp_path / where / wnid / 'x.jpg').write_bytes(photos[wnid])
  (tmp_path / 'README.txt').write_text('.')
  dataset = datasets.open_dataset(f'imagenet_a:{tmp_path}')
  index = imagenet.label_space().index_of_id
  labels = [int(one['label']) for one in dataset.examples().as_numpy_iterator()]
  assert sorted(labels) == sorted(index[wnid] for wnid in wnids)


def test_what_is_no_layout_of_imagenet_a(shared_data, tmp_path):
  photos = standin_archives.photos_by_wnid(shared_data)
  wnid = next(iter(photos))
  (tmp_path / 'flat').mkdir()
  (tmp_path / 'flat' / f'{wnid}_1.jpg').write_bytes(photos[wnid])
  with zipfile.ZipFile(tmp_path / 'imagenet-a.zip', 'w') as archive:
    archive.writestr(f'imagenet-a/{wnid}/x.jpg', photos[wnid])
  for top in ('one', 'two'):
    (tmp_path / 'several' / top / wnid).mkdir(parents=True)
  for name, message in (
    ('flat', 'are none of ImageNet-A'),
    ('imagenet-a.zip', 'is a file: unpack it and give the folder'),
    ('several', 'class folders in 2 places: give one, such as'),
  ):
    with pytest.raises(UserError, match=message) as error:
      datasets.open_dataset(f'imagenet_a:{tmp_path / name}')
    assert '\n' not in str(error.value)


def load(path):
  cv2.ipp.setUseIPP(False)
  resized = SIDE * 256 // 224
  image = cv2.resize(
    cv2.imread(str(path)), (resized, resized), interpolation=cv2.INTER_CUBIC
  )
  at = resized // 2 - SIDE // 2
  return image[at : at + SIDE, at : at + SIDE, ::-1].astype(np.float32) / 127.5 - 1


@pytest.fixture(scope='module')
def tiny(shared_data, tmp_path_factory):
  """Tiny ImageNet whose labels a model says by the lines of wnids.txt, mostly."""
  root = tmp_path_factory.mktemp('tiny')
  rows = standin_archives.facts(shared_data, 'tiny_imagenet_200')
  wnids = [
    row['wnid'] for row in sorted(rows, key=lambda row: int(row['wnids_txt_line']))
  ]
  (root / 'wnids.txt').write_text('\n'.join(wnids) + '\n')
  (root / 'wnids_202.txt').write_text('\n'.join([*wnids, *wnids[:2]]) + '\n')
  keras.utils.set_random_seed(0)
  layers = [keras.layers.AveragePooling2D(4), keras.layers.Flatten()]
  layers.append(keras.layers.Dense(200, kernel_initializer='normal'))
  model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers])
  model.save(root / 'tiny.keras')
  random, images = np.random.default_rng(0), root / 'val' / 'images'
  images.mkdir(parents=True)
  for number in range(IMAGES):
    pixels = random.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    pixels = cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(images / f'val_{number}.JPEG'), pixels)
  paths = sorted(images.iterdir())
  answers = model.predict(np.stack([load(path) for path in paths]), verbose=0).argmax(1)
  labels = [wnids[a if i % 4 else a - 1] for i, a in enumerate(answers)]
  lines = [f'{p.name}\t{w}\t0\t0\t9\t9' for p, w in zip(paths, labels, strict=True)]
  (root / 'val' / 'val_annotations.txt').write_text('\n'.join(lines))
  hits = {
    'by_line': sum(wnids[a] == w for a, w in zip(answers, labels, strict=True)),
    'sorted': sum(sorted(wnids)[a] == w for a, w in zip(answers, labels, strict=True)),
  }
  return root, hits


def test_both_orders_of_tiny_imagenet(tiny, tmp_path, capsys):
  root, hits = tiny
  flags = [f'--model={root}/tiny.keras', f'--dataset=tiny_imagenet:{root}']
  flags += ['--preprocess=tf', '--output=logits', '--preflight=off']
  for name, more in (
    ('sorted', []),
    ('by_line', [f'--class_map={root}/wnids.txt']),
  ):
    output = tmp_path / name
    assert cli.main(['evaluate', *flags, *more, f'--output_dir={output}']) == 0
    (path,) = output.iterdir()
    top1 = load_run(path).metrics[0]
    assert (top1.name, top1.correct, top1.count) == ('top1', hits[name], IMAGES)
    said = 'outputs are taken for the 200 classes by order' in ' '.join(
      capsys.readouterr().out.split()
    )
    assert said == (not more)
  assert hits['by_line'] == IMAGES * 3 // 4 and hits['sorted'] < IMAGES // 4
  more = [f'--class_map={root}/wnids_202.txt', f'--output_dir={tmp_path}/wrong']
  assert cli.main(['evaluate', *flags, *more]) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
  assert 'wnids_202.txt' in line and len(line) < 300, line


def test_parts_of_sets_are_told(shared_data, tmp_path):
  photos = standin_archives.photos_by_wnid(shared_data)
  (tmp_path / '7').mkdir()
  (tmp_path / '7' / 'x.jpeg').write_bytes(next(iter(photos.values())))
  dataset = datasets.open_dataset(f'imagenet_v2/topimages:{tmp_path}')
  assert '1 images, ImageNet-V2 has 10,000' in dataset.notes
  assert json.loads(json.dumps(dataset.describe()))['config'] == 'topimages'
