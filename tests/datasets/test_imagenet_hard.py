"""ImageNet-Hard as Hugging Face has it: any of the labels of an image is a hit."""

import cv2
import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import standin_archives
from container_writers import STRUCT

from tfeval import cli, datasets
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError

MODEL = 'MobileNet:alpha=0.25'


def write(path, images, labels, kind=None):
  """Writes rows in the columns of `taesiri/imagenet-hard`."""
  path.parent.mkdir(parents=True, exist_ok=True)
  rows = [{'bytes': content, 'path': name} for name, content in images.items()]
  kind = kind or pa.list_(pa.int64())
  columns = {
    'image': pa.array(rows, STRUCT),
    'label': pa.array(labels, kind),
    'origin': ['imagenet_a'] * len(rows),
    'english_label': pa.array([['tench']] * len(rows), pa.list_(pa.string())),
  }
  pq.write_table(pa.table(columns), path)
  return path


@pytest.fixture(scope='module')
def images(shared_data):
  photos = standin_archives.photos_by_wnid(shared_data)
  return {f'{wnid}.jpeg': photos[wnid] for wnid in list(photos)[:10]}


@pytest.fixture(scope='module')
def answers(images):
  cv2.ipp.setUseIPP(False)
  crops = []
  for encoded in images.values():
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    short = min(height, width)
    sides = (width * 256 // short, height * 256 // short)
    image = cv2.resize(image, sides, interpolation=cv2.INTER_CUBIC)[..., ::-1]
    y, x = (side // 2 - 112 for side in image.shape[:2])
    crops.append(image[y : y + 224, x : x + 224])
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)
  logits = model.predict(np.stack(crops).astype(np.float32) / 127.5 - 1, verbose=0)
  return np.argsort(-logits, axis=1)[:, :5].tolist()


def test_any_label_is_a_hit(images, answers, tmp_path):
  labels = [
    ([of[0], 3], [of[1]], [7, of[3]], [of[0]], [1, 2, 3])[i % 5]
    for i, of in enumerate(answers)
  ]
  names = list(images)
  for part, rows in enumerate((slice(0, 6), slice(6, None))):
    write(
      tmp_path / 'hard' / f'validation-0000{part}-of-00002.parquet',
      {name: images[name] for name in names[rows]},
      labels[rows],
    )
  flags = [f'--model={MODEL}', f'--output_dir={tmp_path / "runs"}', '--batch_size=8']
  flags += [f'--dataset=imagenet_hard:{tmp_path / "hard"}', '--preflight=off']
  assert cli.main(['evaluate', *flags]) == 0
  (path,) = (tmp_path / 'runs').iterdir()
  run = load_run(path)
  pairs = list(zip(answers, labels, strict=True))
  for name, k in (('top1', 1), ('top5', 5)):
    (metric,) = (m for m in run.metrics if (m.labels, m.name) == ('any_label', name))
    hits = sum(bool(set(of[:k]) & set(right)) for of, right in pairs)
    assert (metric.correct, metric.count, metric.skipped) == (hits, len(pairs), 0)
  assert path.name.endswith('+imagenet_hard')
  assert any('10 images, ImageNet-Hard has 10,980' in x for x in run.result.caveats)
  assert cli.main(['verify', str(path)]) == 0
  # What is there already is not evaluated again.
  assert cli.main(['evaluate', *flags]) == 0


def test_other_files_are_told_in_a_line(images, tmp_path):
  few = dict(list(images.items())[:2])
  with pytest.raises(UserError, match='none of the 1,000 classes: 1000'):
    path = write(tmp_path / 'a.parquet', few, [[5], [3, 1000]])
    datasets.open_dataset(f'imagenet_hard:{path}')
  with pytest.raises(UserError, match='1 images have no label'):
    path = write(tmp_path / 'b.parquet', few, [[5], []])
    datasets.open_dataset(f'imagenet_hard:{path}')
  with pytest.raises(UserError, match='no column label of lists of whole numbers'):
    path = write(tmp_path / 'c.parquet', few, [5, 3], pa.int64())
    datasets.open_dataset(f'imagenet_hard:{path}')
  with pytest.raises(UserError, match='leave `first_label` out'):
    datasets.open_dataset(f'imagenet_hard:{path}:first_label=1')
  with pytest.raises(UserError, match='does not exist'):
    datasets.open_dataset(f'imagenet_hard:{tmp_path}/none.parquet')
