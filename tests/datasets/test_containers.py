"""Containers: the same photos, ids and labels as a folder, from any position on."""

import io
import subprocess
import sys
import tarfile
import zipfile

import container_writers as writers
import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfeval.datasets import open_dataset
from tfeval.datasets.labels import imagenet
from tfeval.engine import batches, data_service
from tfeval.evaluation import config as evaluation_config
from tfeval.preprocess import protocol
from tfeval.runs import run
from tfeval.utils.errors import UserError

SPACE = imagenet.label_space()
# Photos of classes of their own; what is in them nobody looks at here.
PHOTOS = [
  (f'{n:02d}.jpg', b'\xff\xd8\xff' + bytes([n]) * 300 * n) for n in range(1, 24)
]
LABELS = [n * 7 % 3 for n, _ in enumerate(PHOTOS)]
NAMES = ('ant', 'bee', 'cat')


def rows(examples):
  return [
    (e['id'].decode(), int(e['label']), e['image'])
    for e in examples.as_numpy_iterator()
  ]


def halves(root, write, pattern):
  """Writes photos into two files; `write` is given a path and what belongs there."""
  for number, part in enumerate((slice(0, 9), slice(9, None))):
    write(root / pattern.format(number), PHOTOS[part], LABELS[part])
  return root


def write_classes(root):
  for (name, content), label in zip(PHOTOS, LABELS, strict=True):
    path = root / NAMES[label] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
  return root


def slim(path, photos, labels):
  texts = [NAMES[label] for label in labels]
  writers.write_records(
    path, writers.slim(photos, [n + 1 for n in labels], image__class__synset=texts)
  )


def write_all(root):
  """Writes PHOTOS in each container; returns the names of the datasets."""
  named = [NAMES[label] for label in LABELS]
  parquet = writers.write_parquet
  options = {'names': NAMES, 'row_group_size': 4}
  made = {
    'parquet': halves(root / 'a', lambda *a: parquet(*a, **options), '{}.parquet'),
    'parquet ': halves(
      root / 'b',
      lambda *a: parquet(*a, **options, compression='none', use_dictionary=False),
      'data/validation-{:05d}-of-00002.parquet',
    ),
    'webdataset': halves(root / 'c', writers.write_shard, '{:03d}.tar'),
    'tfrecord': halves(root / 'd', slim, 'validation-{:05d}-of-00002'),
  }
  writers.write_shard(root / 'e.tar', PHOTOS, named)
  (root / 'names.txt').write_text('\n'.join(NAMES))
  found = {kind: f'{kind.strip()}:{place}' for kind, place in made.items()}
  found['webdataset'] += f'/{{000..001}}.tar:classes={root}/names.txt'
  return found | {'names in a shard': f'webdataset:{root}/e.tar'}


@pytest.fixture(scope='module')
def same(tmp_path_factory):
  """PHOTOS as a folder of classes, and in each container."""
  root = tmp_path_factory.mktemp('same')
  found = {name: open_dataset(text) for name, text in write_all(root).items()}
  return open_dataset(f'folder:{write_classes(root / "folder")}'), found


WRITTEN_AS = {
  'webdataset': '0.tar',
  'parquet': '0.parquet',
  'tfrecord': '0.tfrecord',
}
KINDS = ('parquet', 'parquet ', 'webdataset', 'tfrecord', 'names in a shard')


@pytest.mark.parametrize('kind', KINDS)
def test_all_is_as_in_a_folder(same, kind):
  folder, found = same[0], same[1][kind]
  assert found.label_space.class_ids == folder.label_space.class_ids == NAMES
  assert found.num_examples == len(PHOTOS)
  assert found.competing is None
  assert list(found.expected_ids) == list(folder.expected_ids)
  assert rows(found.examples()) == rows(folder.examples())


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('start, stop', [(0, 1), (3, 9), (8, 10), (9, 23), (22, 23)])
def test_ranges(same, kind, start, stop):
  folder, found = same[0], same[1][kind]
  expected = rows(folder.examples(start, stop))
  assert rows(found.examples(start, stop)) == expected
  # As tensors of a graph, several after each other.
  ranges = tf.data.Dataset.from_tensor_slices(
    (np.array([start, 5], np.int64), np.array([stop, 11], np.int64))
  )
  expected += rows(folder.examples(5, 11))
  assert rows(ranges.flat_map(found.examples)) == expected


@pytest.mark.parametrize('kind', KINDS)
def test_every_nth(same, kind):
  folder, found = same[0], same[1][kind]
  if kind == 'tfrecord':
    assert found.strided is None
  else:
    assert rows(found.strided(5)) == rows(folder.strided(5))


def test_photos_of_the_validation_set(photos, tmp_path):
  folder = open_dataset(f'folder:{photos}')
  found = [(name, (photos / name).read_bytes()) for name in folder.expected_ids]
  truth = imagenet.original_validation_labels()[: len(found)]
  jpg = [(name.replace('.JPEG', '.jpg'), content) for name, content in found]
  wnid = [
    (name.replace('.JPEG', f'_{SPACE.class_ids[label]}.JPEG'), content)
    for (name, content), label in zip(found, truth, strict=True)
  ]
  writers.write_shard(tmp_path / '0.tar', jpg, truth)
  writers.write_parquet(tmp_path / '0.parquet', wnid, truth, SPACE.class_ids)
  writers.write_records(
    tmp_path / '0.tfrecord', writers.slim(found, [n + 1 for n in truth])
  )
  for name in ('webdataset', 'parquet', 'tfrecord'):
    dataset = open_dataset(f'{name}:{tmp_path}')
    assert dataset.label_space is SPACE
    assert dataset.competing is None
    assert '12 of the 50000 validation images' in dataset.notes
    assert rows(dataset.examples()) == rows(folder.examples())


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed, None])
def test_arrays_keep_every_pixel(tmp_path, save):
  images, labels = writers.pixels(11), np.arange(11) % 4
  if save is None:
    np.save(tmp_path / 'x_test.npy', images)
    np.save(tmp_path / 'y_test.npy', labels)
    dataset = open_dataset(f'npz:{tmp_path}/x_test.npy')
  else:
    save(tmp_path / 'a.npz', x_test=images, y_test=labels[:, None], x_train=images[:2])
    dataset = open_dataset(f'npz:{tmp_path}/a.npz', split='test')
    assert dataset.split == 'test'
  assert dataset.label_space.class_ids == ('0', '1', '2', '3')
  found = rows(dataset.examples())
  assert [row[:2] for row in found] == [(f'{n:08d}', n % 4) for n in range(11)]
  for row, pixels in zip(found, images, strict=True):
    assert np.array_equal(tf.io.decode_png(row[2]).numpy(), pixels)
  assert rows(dataset.examples(4, 9)) == found[4:9]


def test_grey_arrays_with_names(tmp_path):
  images = writers.pixels(3, shape=(5, 4))
  names = np.array(['b.png', 'a.png', 'c.png'])
  np.savez(
    tmp_path / 'a.npz',
    images=images,
    labels=[1, 0, 1],
    filenames=names,
    classes=['n', 'm'],
  )
  dataset = open_dataset(f'npz:{tmp_path}/a.npz')
  assert dataset.label_space.class_ids == ('n', 'm')
  found = rows(dataset.examples())
  assert [row[:2] for row in found] == [('b.png', 1), ('a.png', 0), ('c.png', 1)]
  for row, pixels in zip(found, images, strict=True):
    assert np.array_equal(tf.io.decode_png(row[2]).numpy()[..., 0], pixels)


def test_a_member_of_zip_lies_where_its_local_header_says(tmp_path):
  """The two headers of a member may differ in their extra fields."""
  images = writers.pixels(2)
  with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
    for name, array in (('images', images), ('labels', np.array([0, 1]))):
      content = io.BytesIO()
      np.save(content, array)
      info = zipfile.ZipInfo(f'{name}.npy')
      info.extra = b'\x99\x99\x04\x00abcd'
      archive.writestr(info, content.getvalue())
      info.extra = b''
  dataset = open_dataset(f'npz:{tmp_path}/a.npz')
  for row, pixels in zip(rows(dataset.examples()), images, strict=True):
    assert np.array_equal(tf.io.decode_png(row[2]).numpy(), pixels)


def test_limit_and_digest(tmp_path):
  name = f'webdataset:{writers.write_shard(tmp_path / "0.tar", PHOTOS, LABELS)}'
  whole, part = open_dataset(name), open_dataset(name, limit=5)
  assert (part.num_examples, part.limit) == (5, 5)
  assert rows(part.examples()) == rows(whole.examples())[:5]
  assert open_dataset(name, limit=1000).limit is None
  digests = {whole.size_digest, part.size_digest}
  writers.write_shard(tmp_path / '0.tar', PHOTOS, [2 - n for n in LABELS])
  digests.add(open_dataset(name).size_digest)
  assert len(digests) == 3


def test_bytes_without_path(tmp_path):
  for number in range(2):
    path = tmp_path / f'{number}.parquet'
    writers.write_parquet(path, PHOTOS[:3], LABELS[:3], NAMES, pa.binary())
  dataset = open_dataset(f'parquet:{tmp_path}')
  assert list(dataset.expected_ids) == [
    f'{number}.parquet__{row}' for number in range(2) for row in range(3)
  ]
  assert [row[2] for row in rows(dataset.examples(2, 4))] == [
    PHOTOS[2][1],
    PHOTOS[0][1],
  ]


def test_members_of_shards_in_folders_and_clutter(tmp_path):
  image, label = PHOTOS[0][1], b'1'
  members = [('train', b'5'), ('a', b''), ('./a/x.jpg', image), ('./a/x.cls', label)]
  members += [('b/x.png', image), ('b/x.json', b'{"label": 0, "more": [1]}')]
  members += [('b/x.txt', b'a caption'), ('a/._x.jpg', b'clutter')]
  writers.write_tar(tmp_path / '0.tar', members)
  dataset = open_dataset(f'webdataset:{tmp_path}')
  assert [row[:2] for row in rows(dataset.examples())] == [
    ('x.jpg', 1),
    ('x.png', 0),
  ]
  assert dataset.notes[-1] == 'left out as no images: 4 entries, such as train'


def test_equal_file_names_keep_their_folders(tmp_path):
  image = PHOTOS[0][1]
  members = [('a/x.jpg', image), ('a/x.cls', b'cat'), ('b/x.jpg', image)]
  writers.write_tar(tmp_path / '0.tar', [*members, ('b/x.cls', b'dog')])
  dataset = open_dataset(f'webdataset:{tmp_path}')
  assert [row[:2] for row in rows(dataset.examples())] == [
    ('a/x.jpg', 0),
    ('b/x.jpg', 1),
  ]


@pytest.mark.parametrize('kind', ['gnu', 'pax', 'ustar'])
def test_long_names_in_every_form_of_tar(tmp_path, kind):

  name = 'f' * 90 + '/' + 'n' * 95
  form = {
    'gnu': tarfile.GNU_FORMAT,
    'pax': tarfile.PAX_FORMAT,
    'ustar': tarfile.USTAR_FORMAT,
  }
  with tarfile.open(tmp_path / '0.tar', 'w', format=form[kind]) as tar:
    for suffix, content in (('.jpg', PHOTOS[5][1]), ('.cls', b'0')):
      info = tarfile.TarInfo(name + suffix)
      info.size, info.mtime = len(content), 1.5  # What only pax can say.
      tar.addfile(info, io.BytesIO(content))
  dataset = open_dataset(f'webdataset:{tmp_path}/*.tar')
  assert rows(dataset.examples()) == [('n' * 95 + '.jpg', 0, PHOTOS[5][1])]


def test_opening_needs_no_tensorflow(tmp_path):
  writers.write_shard(tmp_path / '0.tar', PHOTOS, LABELS)
  writers.write_parquet(tmp_path / '0.parquet', PHOTOS, LABELS, NAMES)
  writers.write_records(tmp_path / '0.tfrecord', writers.slim(PHOTOS, LABELS))
  np.savez(tmp_path / '0.npz', images=writers.pixels(2), labels=[0, 1])
  code = (
    'import sys\nfrom tfeval.datasets import open_dataset\n'
    f'for kind in ("webdataset", "parquet", "tfrecord", "npz"):\n'
    f'  open_dataset(f"{{kind}}:{tmp_path}")\n'
    'print("tensorflow" in sys.modules)'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
  assert done.stdout == 'False\n', done.stderr


@pytest.mark.slow
def test_runs_store_the_same_rows(tmp_path, tfeval):
  """Whole commands: from a folder and from each container."""
  random = np.random.default_rng(0)
  photos = [
    (name, tf.io.encode_png(random.integers(0, 256, (20, 20, 3), np.uint8)).numpy())
    for name, _ in PHOTOS
  ]
  folder = tmp_path / 'folder'
  for (name, content), label in zip(photos, LABELS, strict=True):
    (folder / NAMES[label]).mkdir(parents=True, exist_ok=True)
    (folder / NAMES[label] / name).write_bytes(content)
  named = [NAMES[n] for n in LABELS]
  writers.write_shard(tmp_path / 'a.tar', [(n, c) for n, c in photos], named)
  writers.write_parquet(tmp_path / 'a.parquet', photos, LABELS, NAMES, row_group_size=4)
  writers.write_records(
    tmp_path / 'a.tfrecord', writers.slim(photos, LABELS, image__class__synset=named)
  )
  inputs = keras.Input((16, 16, 3))
  x = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
  keras.Model(inputs, x).save(tmp_path / 'm.keras')
  (tmp_path / 'order.txt').write_text('\n'.join(NAMES))
  tables = []
  for name in ('folder:folder', 'webdataset:a.tar', 'parquet:.', 'tfrecord:a.tfrecord'):
    kind, _, where = name.partition(':')
    arguments = [
      'evaluate',
      f'--model={tmp_path}/m.keras',
      f'--class_map={tmp_path}/order.txt',
      f'--dataset={kind}:{tmp_path / where}',
      '--preprocess=identity',
      '--output=logits',
      '--preflight=off',
      '--batch_size=4',
      f'--output_dir={tmp_path}/out-{kind}',
    ]
    code, out, err = tfeval(*arguments)
    assert code == 0, err
    assert tfeval(*arguments)[0] == 0  # Goes on behind the last image.
    (result,) = (tmp_path / f'out-{kind}').glob('*/result.json')
    tables.append(run.load_run(result.parent).sorted_rows())
  assert tables[0].num_rows == len(PHOTOS)
  for other in tables[1:]:
    assert other.equals(tables[0])


@pytest.mark.parametrize('kind', ['webdataset', 'parquet'])
def test_a_file_that_changes_while_it_is_read(tmp_path, kind):
  write = {'webdataset': writers.write_shard, 'parquet': writers.write_parquet}[kind]
  path = tmp_path / ('0.tar' if kind == 'webdataset' else '0.parquet')
  write(path, PHOTOS, LABELS)
  dataset = open_dataset(f'{kind}:{path}')
  write(path, PHOTOS[:20], LABELS[:20])
  with pytest.raises(tf.errors.OpError, match='has changed since it was opened'):
    rows(dataset.examples())


@pytest.mark.parametrize('kind, name', WRITTEN_AS.items())
def test_what_cannot_be_read_is_told_in_a_line(tmp_path, kind, name):
  write = {
    'webdataset': writers.write_shard,
    'parquet': writers.write_parquet,
    'tfrecord': lambda path, *a: writers.write_records(path, writers.slim(*a)),
  }[kind]
  images = [tf.io.encode_png(image).numpy() for image in writers.pixels(9)]
  photos = [(f'{n}.png', image) for n, image in enumerate(images)]
  photos[7] = ('7.png', b'nonsense')
  write(tmp_path / name, photos, [0] * 9)
  dataset = open_dataset(f'{kind}:{tmp_path / name}')
  asked = protocol.resolve('opencv', 16)

  def failure():
    with pytest.raises(UserError) as caught:
      for _ in batches.decoded(dataset, asked, 2, skip_errors=False):
        pass
    return str(caught.value)

  assert failure().startswith('example 7.png is not a readable image: neither JPEG')
  (tmp_path / name).unlink()
  gone = failure()
  assert gone.startswith(f'{kind}:{tmp_path / name} cannot be read after 0 examples: ')
  assert 'No such file or directory' in gone and 'Error' not in gone


def test_a_run_repeats_from_anywhere(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = evaluation_config.EvaluationConfig.of(
    dataset='webdataset:a-{0..1}.tar:classes=names.txt,first_label=1'
  )
  (request,) = evaluation_config.requests(['MobileNet'], ['none'])
  text = evaluation_config.flagfile(request, config)
  assert (
    f"webdataset:{tmp_path}/a-{{0..1}}.tar:classes='{tmp_path}/names.txt',first_label=1"
    in text
  )


@pytest.mark.parametrize(
  'text, numbers',
  [
    ('0:ant\n1:bee\n2:cat\n', LABELS),
    ('0:background\n1:ant\n2:bee\n3:cat\n', [n + 1 for n in LABELS]),
    ('background\nant\nbee\ncat\n', [n + 1 for n in LABELS]),
  ],
)
def test_names_of_classes_beside_records(tmp_path, text, numbers):
  writers.write_records(tmp_path / 'a.tfrecord', writers.slim(PHOTOS, numbers))
  (tmp_path / 'labels.txt').write_text(text)
  dataset = open_dataset(f'tfrecord:{tmp_path}')
  assert dataset.label_space.class_ids == NAMES
  assert [row[1] for row in rows(dataset.examples())] == LABELS


def test_names_of_classes_in_records(tmp_path):
  texts = [NAMES[n] for n in LABELS]
  examples = writers.slim(PHOTOS, [n + 1 for n in LABELS], image__class__text=texts)
  writers.write_records(tmp_path / 'a.tfrecord', examples)
  # Whether there is a class 0 that no image has nothing tells.
  with pytest.raises(UserError, match='labels are 1 to 3, .* add :first_label=1'):
    open_dataset(f'tfrecord:{tmp_path}')
  dataset = open_dataset(f'tfrecord:{tmp_path}:first_label=1')
  assert dataset.label_space.class_ids == NAMES
  assert [row[1] for row in rows(dataset.examples())] == LABELS
  dataset = open_dataset(f'tfrecord:{tmp_path}:first_label=0')
  assert dataset.label_space.class_names == ('0', *NAMES)
  assert dataset.label_space.class_ids == ('0', '1', '2', '3')


def test_a_link_beside_leads_nowhere(tmp_path):
  (tmp_path / 'secret').write_text('ant\nbee\ncat')
  data = tmp_path / 'data'
  writers.write_records(data / 'a.tfrecord', writers.slim(PHOTOS, LABELS))
  (data / 'labels.txt').symlink_to(tmp_path / 'secret')
  with pytest.raises(UserError, match='labels.txt is a link out of'):
    open_dataset(f'tfrecord:{data}')
  np.save(data / 'x.npy', writers.pixels(2))
  np.save(tmp_path / 'y.npy', [0, 1])
  (data / 'y.npy').symlink_to(tmp_path / 'y.npy')
  with pytest.raises(UserError, match='y.npy is a link out of'):
    open_dataset(f'npz:{data}/x.npy')


def test_workers_of_a_service_cannot_read_what_python_reads(
  tmp_path, tfeval, monkeypatch
):
  writers.write_shard(tmp_path / '0.tar', PHOTOS, LABELS)
  writers.write_records(tmp_path / '0.tfrecord', writers.slim(PHOTOS, LABELS))
  assert open_dataset(f'webdataset:{tmp_path}').read_by_python
  assert not open_dataset(f'tfrecord:{tmp_path}').read_by_python
  monkeypatch.setattr(data_service, 'check_service', lambda address: None)
  code, _, err = tfeval(
    'evaluate',
    '--model=MobileNet',
    '--weights=none',
    f'--dataset=webdataset:{tmp_path}',
    '--tf_data_service=h:1',
    f'--output_dir={tmp_path}/out',
  )
  assert code == 2
  assert '--tf_data_service=h:1: its workers cannot read webdataset:' in err


def test_no_such_dataset_names_them(tmp_path):
  with pytest.raises(UserError, match='webdataset: names no files'):
    open_dataset('webdataset:')
