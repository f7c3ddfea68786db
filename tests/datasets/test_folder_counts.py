"""The same 40 photos in each layout of folders give the same counts, with a model."""

import tarfile

import pytest
from folder_layouts import layouts

import tfeval
from tfeval.datasets.labels import imagenet

# Counted by cv2 and `model.predict` without tfeval.
TOP1, TOP5, REAL_TOP1, REAL_TOP5 = (23, 40), (33, 40), (21, 36), (29, 36)
# Of these the names of files do not tell which validation images they are.
NAMELESS = {
  'flat, of the training set',
  'wnids, other names',
  'ILSVRC ids, names with wnid',
}


@pytest.mark.slow
def test_the_same_counts(standin_dir, shared_data, tmp_path):
  import keras

  photos = {}
  with tarfile.open(standin_dir / 'ILSVRC2012_img_val.tar') as tar:
    for member in tar:
      photos[imagenet.validation_number(member.name)] = tar.extractfile(member).read()
  model = keras.applications.MobileNet(alpha=0.25)
  labels, ids = imagenet.original_validation_labels(), imagenet.ilsvrc_ids()
  real = str(shared_data / 'real' / 'real.json')
  counts = {}
  for at, (layout, where) in enumerate(layouts().items()):
    root = tmp_path / str(at)
    for number in range(1, 41):
      index = labels[number - 1]
      wnid = imagenet.label_space().class_ids[index]
      path = root / where(number, index, ids[index], wnid)
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(photos[number])
    run = tfeval.evaluate(
      model,
      f'folder:{root}',
      preprocess='tf',
      protocol='opencv',
      batch_size=40,
      real_labels=None if layout in NAMELESS else real,
      preflight='off',
    )
    counts[layout] = {
      (entry['labels'], entry['name']): (entry['correct'], entry['count'])
      for entry in run.metrics
      if entry['name'] in ('top1', 'top5') and entry.get('rule', 'all') == 'all'
    }
  original = {('original', 'top1'): TOP1, ('original', 'top5'): TOP5}
  of_real = {('real', 'top1'): REAL_TOP1, ('real', 'top5'): REAL_TOP5}
  assert counts == {
    layout: original if layout in NAMELESS else {**original, **of_real}
    for layout in layouts()
  }
