"""Writers of containers, in the form in which their own libraries write them."""

import contextlib
import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Photos of classes of their own; what is in them nobody looks at here.
PHOTOS = [
  (f'{n:02d}.jpg', b'\xff\xd8\xff' + bytes([n]) * 300 * n) for n in range(1, 24)
]
LABELS = [n * 7 % 3 for n, _ in enumerate(PHOTOS)]
NAMES = ('ant', 'bee', 'cat')
STRUCT = pa.struct({'bytes': pa.binary(), 'path': pa.string()})


def write_tar(path, members, kind='w'):
  """Writes pairs of name and content, or of a name and the kind of member, a text."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with tarfile.open(path, kind) as tar:
    for name, content in members:
      info = tarfile.TarInfo(name)
      if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
      else:
        info.type = content.encode()
        info.linkname = 'elsewhere'
        tar.addfile(info)
  return path


def write_shard(path, photos, labels):
  """Writes a shard of WebDataset: `.jpg` and `.cls` of each photo."""
  members = []
  for (name, content), label in zip(photos, labels, strict=True):
    stem = name.rpartition('.')[0]
    members += [(name, content), (f'{stem}.cls', str(label).encode())]
  return write_tar(path, members)


def hugging_face(names=None):
  """Returns metadata of a schema as `datasets` writes it."""
  label = {'_type': 'Value', 'dtype': 'int64'}
  if names is not None:
    label = {'_type': 'ClassLabel', 'names': list(names)}
  features = {'image': {'_type': 'Image'}, 'label': label}
  return {'huggingface': json.dumps({'info': {'features': features}})}


def write_parquet(path, photos, labels, names=None, kind=STRUCT, **options):
  """Writes Parquet; of rows in a group as `datasets` has them for images."""
  images = [
    {'bytes': content, 'path': name} if kind == STRUCT else content
    for name, content in photos
  ]
  table = pa.table({'image': pa.array(images, kind), 'label': labels})
  table = table.replace_schema_metadata(hugging_face(names))
  path.parent.mkdir(parents=True, exist_ok=True)
  pq.write_table(table, path, **{'row_group_size': 100, **options})
  return path


def example(**features):
  """Returns a serialized `tf.train.Example`; `__` stands for `/` in names."""
  import tensorflow as tf

  def feature(value):
    values = value if isinstance(value, list) else [value]
    if isinstance(values[0], int):
      return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    values = [one if isinstance(one, bytes) else one.encode() for one in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

  made = {name.replace('__', '/'): feature(value) for name, value in features.items()}
  features = tf.train.Features(feature=made)
  return tf.train.Example(features=features).SerializeToString()


def write_records(path, examples):
  """Writes a TFRecord file of serialized examples."""
  import tensorflow as tf

  path.parent.mkdir(parents=True, exist_ok=True)
  with tf.io.TFRecordWriter(str(path)) as writer:
    for one in examples:
      writer.write(one)
  return path


def slim(photos, labels, **more):
  """Returns examples in the form of TF-slim; `more` are lists of further features."""
  return [
    example(
      image__encoded=content,
      image__filename=name,
      image__class__label=int(label),
      image__format='JPEG',
      image__height=3,
      **{key: values[i] for key, values in more.items()},
    )
    for i, ((name, content), label) in enumerate(zip(photos, labels, strict=True))
  ]


def write_tfds(where, name, photos, labels, names):
  """Prepares a dataset in a `data_dir`; TFDS reads it without its code."""
  import tensorflow_datasets as tfds

  features = {
    'image': tfds.features.Image(),
    'label': tfds.features.ClassLabel(names=list(names)),
    'file_name': tfds.features.Text(),
  }

  class Photos(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
      return tfds.core.DatasetInfo(
        builder=self, features=tfds.features.FeaturesDict(features)
      )

    def _split_generators(self, dl_manager):
      return {'validation': self._generate_examples()}

    def _generate_examples(self):
      for (file_name, content), label in zip(photos, labels, strict=True):
        image = io.BytesIO(content)
        yield file_name, {'image': image, 'label': label, 'file_name': file_name}

  Photos.name = name
  tfds.disable_progress_bar()
  with contextlib.redirect_stdout(io.StringIO()):
    Photos(data_dir=where).download_and_prepare()


def pixels(count, seed=0, shape=(9, 7, 3)):
  """Returns images of noise, uint8 [count, *shape]."""
  return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def rows(examples):
  """Returns the id, label and image of each example of a `tf.data.Dataset`."""
  return [
    (e['id'].decode(), int(e['label']), e['image'])
    for e in examples.as_numpy_iterator()
  ]
