"""Model files say what they unpack to, and name no other file."""

import json
import pathlib
import shutil
import zipfile
import zlib

import h5py
import keras
import numpy as np
import pytest

from tfeval.models import loading
from tfeval.models.keras import size_budget, weights
from tfeval.utils.errors import UserError

HOSTILE = pathlib.Path(__file__).parents[4] / 'shared/cases/hostile'


def refuse(words, path, check=size_budget.check_hdf5):
  with pytest.raises(UserError, match=words) as caught:
    check(path)
  assert '\n' not in str(caught.value)
  assert path.name in str(caught.value)


def written(path, change):
  with h5py.File(path, 'w') as file:
    change(file)
  return path


def test_what_keras_writes_is_counted(tmp_path):
  inputs = keras.Input((8, 8, 3))
  model = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(inputs)))
  for name in ('m.h5', 'm.weights.h5', 'm.keras'):
    if 'weights' in name:
      model.save_weights(tmp_path / name)
    else:
      model.save(tmp_path / name)
  values = 4 * (8 * 8 * 3 * 10 + 10)
  assert size_budget.check_archive(tmp_path / 'm.keras') == values
  # Keras 3 writes a few numbers of each layer as attributes.
  assert values <= size_budget.check_hdf5(tmp_path / 'm.weights.h5') < values + 500
  assert values <= size_budget.check_hdf5(tmp_path / 'm.h5') < values + 500


def test_arrays_that_unpack_to_far_more_than_the_file(tmp_path):
  """A tenth of a megabyte for 400 MB, packed or never written."""
  packed = written(
    tmp_path / 'packed.h5',
    lambda file: file.create_dataset(
      'a', (10**8,), 'f4', data=None, chunks=(10**7,), compression='gzip', fillvalue=0
    ),
  )
  never = written(
    tmp_path / 'never.h5', lambda file: file.create_dataset('a', (10**9,), 'f4')
  )
  chunk = written(
    tmp_path / 'chunk.h5',
    lambda file: file.create_dataset(
      'a', (1,), 'f4', chunks=(10**8,), maxshape=(None,), compression='gzip'
    ),
  )
  for path in (packed, never, chunk):
    assert path.stat().st_size < 1 << 20
    refuse('unpack to 4[0,]+ bytes, expected at most 8 times', path)


def test_arrays_that_are_packed_well_are_read(tmp_path):
  path = written(
    tmp_path / 'a.h5',
    lambda file: file.create_dataset('a', data=np.zeros(10**6), compression='gzip'),
  )
  assert size_budget.check_hdf5(path) == 8 * 10**6


@pytest.mark.parametrize(
  'change, words',
  [
    (lambda file: file.__setitem__('a', h5py.SoftLink('/b')), 'a is a link'),
    (
      lambda file: file.create_group('g').__setitem__(
        'a', h5py.ExternalLink('/etc/passwd', '/')
      ),
      'g/a is a link',
    ),
    (
      lambda file: file.create_dataset(
        'a', (4,), 'f4', external=[('/etc/passwd', 0, 16)]
      ),
      'the values of a are in another file',
    ),
    (
      lambda file: file.create_virtual_dataset('a', virtual_layout()),
      'the values of a are in another file',
    ),
    (
      lambda file: file.create_dataset('a', data=['text'], dtype=h5py.string_dtype()),
      'a holds no numbers',
    ),
    (lambda file: file.__setitem__('a', np.dtype('f4')), 'a is neither an array'),
  ],
)
def test_what_lies_elsewhere_or_is_no_number(tmp_path, change, words):
  refuse(words, written(tmp_path / 'a.h5', change))


def virtual_layout():
  layout = h5py.VirtualLayout((4,), 'f4')
  layout[:] = h5py.VirtualSource('/etc/passwd', 'a', (4,))
  return layout


def test_lists_of_long_texts_are_not_read_here(tmp_path):
  """One text of 4 MB, which 4,000 names share: 16 GB where they are read."""

  def change(file):
    file.attrs.create('few', ['x' * (1 << 22), 'y'], dtype=h5py.string_dtype())
    file.attrs.create('names', ['z' * 11] * 4000, dtype=h5py.string_dtype())

  path = written(tmp_path / 'a.h5', change)
  assert size_budget.check_hdf5(path) == 0
  content = path.read_bytes()
  # An entry of a list: the length of a text, and where it is.
  at = content.index((1 << 22).to_bytes(4, 'little'))
  entry = content[at : at + 16]
  other = (11).to_bytes(4, 'little')
  for start in range(0, len(content) - 16):
    if (
      content[start : start + 4] == other and content[start + 16 : start + 20] == other
    ):
      content = content[:start] + entry * 3900 + content[start + 16 * 3900 :]
      break
  path.write_bytes(content)
  refuse('what it says of itself takes more than 1,073,741,824 bytes', path)


def archive(path, **members):
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
    for name, content in members.items():
      file.writestr(name.replace('__', '.'), content)
  return path


def test_archives_with_more_than_keras_writes(tmp_path):
  path = archive(tmp_path / 'a.keras', config__json='{}', assets='x')
  refuse('holds assets, expected config.json', path, size_budget.check_archive)


def test_archives_that_unpack_to_far_more(tmp_path):
  path = archive(tmp_path / 'a.keras', model__weights__h5=bytes(300 << 20))
  assert path.stat().st_size < 1 << 20
  refuse('model.weights.h5 unpacks to 314,572,800', path, size_budget.check_archive)


def test_a_model_larger_than_its_weights_is_not_made(tmp_path):
  inputs = keras.Input((32, 32, 3))
  outputs = keras.layers.Dense(7)(keras.layers.GlobalAveragePooling2D()(inputs))
  keras.Model(inputs, outputs).save(tmp_path / 'small.keras')
  large = tmp_path / 'large.keras'
  with (
    zipfile.ZipFile(tmp_path / 'small.keras') as source,
    zipfile.ZipFile(large, 'w') as target,
  ):
    for name in source.namelist():
      content = source.read(name)
      if name == 'config.json':
        content = content.replace(b'"units": 7', b'"units": 700000000')
        assert b'700000000' in content
        json.loads(content)
      target.writestr(name, content)
  with pytest.raises(UserError, match='has more than 268,.* bytes of variables'):
    loading.load_model(large, preprocess='identity', output='logits')


@pytest.mark.skipif(not HOSTILE.is_dir(), reason='needs the cases of hostile files')
def test_a_flipped_bit_is_one_line(tmp_path):
  shutil.copy(HOSTILE / 'flipped_bit.weights.h5', tmp_path)
  model = keras.saving.load_model(HOSTILE / 'small.keras', compile=False)
  refuse(
    'flipped_bit.weights.h5',
    tmp_path / 'flipped_bit.weights.h5',
    lambda path: weights.load(model, path, 'small'),
  )


def test_a_packed_chunk_that_unpacks_to_more_than_it_declares(tmp_path):
  """What inflates is what the stream holds, whatever the shape says."""
  path = tmp_path / 'a.weights.h5'
  with h5py.File(path, 'w') as file:
    array = file.create_dataset(
      'a', (1 << 16,), 'f4', chunks=(1 << 16,), compression='gzip'
    )
    array.id.write_direct_chunk((0,), zlib.compress(bytes(1200 << 20), 1))
  assert path.stat().st_size < 8 << 20
  refuse('what it says of itself takes more than|truncated or damaged', path)


def test_weights_of_applications_that_keras_loads_itself(tmp_path):
  """EfficientNetB0 to B7 are built around the file that is given."""
  path = tmp_path / 'a.h5'
  with h5py.File(path, 'w') as file:
    file.attrs['layer_names'] = np.array([b'rescaling', b'rescaling_1'])
    file.create_dataset('a', (10**9,), 'f4')
  with pytest.raises(UserError, match='a unpack to 4,000,000,0'):
    loading.load_model('EfficientNetB0', weights=str(path))


@pytest.mark.parametrize(
  ('dtype', 'size'),
  [('float32', 4), ('bfloat16', 2), ('float8_e4m3fn', 1), ('bool', 1)],
)
def test_sizes_of_dtypes(dtype, size):
  assert size_budget._bytes_of(dtype) == size
