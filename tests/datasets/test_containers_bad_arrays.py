"""Arrays that are refused."""

import io
import pickle
import zipfile

import container_writers as writers
import numpy as np
from refusals import refused


def npz(tmp_path, **arrays):
  np.savez(tmp_path / 'a.npz', **arrays)
  return f'npz:{tmp_path}/a.npz'


def test_arrays_that_are_no_images(tmp_path):
  images, labels = writers.pixels(3), [0, 1, 2]
  for wrong in (images / 255, images.transpose(0, 3, 1, 2), images[0, 0], images[:0]):
    refused('expected images as uint8', npz(tmp_path, images=wrong, labels=labels))
  refused('holds no array of images', npz(tmp_path, foo=images, labels=labels))
  refused('holds no array of labels', npz(tmp_path, images=images))
  refused('several arrays of images', npz(tmp_path, images=images, x=images, y=labels))
  refused(
    '3 images and 2 labels: 1 are without label', npz(tmp_path, x=images, y=[0, 1])
  )
  refused(
    '3 images and 4 labels: 1 are without image', npz(tmp_path, x=images, y=[0] * 4)
  )
  refused('labels are float64', npz(tmp_path, x=images, y=[0.5] * 3))
  refused(r'labels are int64 \[3, 2\]', npz(tmp_path, x=images, y=[[0, 1]] * 3))
  refused('3 images, and 2 names', npz(tmp_path, x=images, y=labels, ids=['a', 'b']))
  refused('has 1 ids twice', npz(tmp_path, x=images, y=labels, ids=['a', 'b', 'a']))
  refused('Fortran order', npz(tmp_path, x=np.asfortranarray(images), y=labels))
  refused('holds no array of labels', npz(tmp_path, x_test=images, x_train=images))


def test_arrays_of_objects_are_never_loaded(tmp_path):
  class Opens:
    def __reduce__(self):
      return open, (str(tmp_path / 'opened'), 'w')

  objects = np.array([Opens()] * 3, object)
  images = writers.pixels(3)
  for arrays in ({'x': objects, 'y': [0]}, {'x': images, 'y': objects}):
    with zipfile.ZipFile(tmp_path / 'a.npz', 'w') as archive:
      for name, array in arrays.items():
        content = io.BytesIO()
        np.save(content, np.asarray(array), allow_pickle=True)
        archive.writestr(f'{name}.npy', content.getvalue())
    refused('Python objects', f'npz:{tmp_path}/a.npz')
  np.save(tmp_path / 'x.npy', objects, allow_pickle=True)
  refused('Python objects', f'npz:{tmp_path}/x.npy')
  (tmp_path / 'x.npy').write_bytes(pickle.dumps(Opens()))
  refused('not a whole .npy file', f'npz:{tmp_path}/x.npy')
  assert not (tmp_path / 'opened').exists()


def test_arrays_that_claim_much_or_are_cut_off(tmp_path):
  images = writers.pixels(3, shape=(99, 97, 3))
  name = npz(tmp_path, images=images, labels=[0, 1, 2])
  path = tmp_path / 'a.npz'
  whole = path.read_bytes()
  path.write_bytes(whole[:-30])
  refused('not a readable .npz file', name)
  header = whole.index(b'(3, 99, 97, 3)')
  path.write_bytes(whole[:header] + b'(9, 99, 97, 3)' + whole[header + 14 :])
  refused('shorter than its shape', name)
  path.write_bytes(whole[:header] + b'(3, 99,9e9, 3)' + whole[header + 14 :])
  refused('not a NumPy array', name)
  np.save(tmp_path / 'x.npy', writers.pixels(3))
  refused('has no labels beside it: put them into .*y.npy', f'npz:{tmp_path}/x.npy')
  (tmp_path / 'x.npy').write_bytes((tmp_path / 'x.npy').read_bytes()[:-1])
  refused('not a whole .npy file', f'npz:{tmp_path}/x.npy')
