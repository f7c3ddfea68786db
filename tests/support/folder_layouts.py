"""Layouts of folders that the same validation images may lie in."""

from tfeval.datasets.labels import imagenet


def stem(number):
  return f'ILSVRC2012_val_{number:08d}'


def layouts():
  """Returns for each layout where an image lies in it.

  It is that of the number, index, ILSVRC id and wnid of its class.
  """
  name = imagenet.label_space().class_names
  return {
    'flat': lambda n, *_: f'{stem(n)}.JPEG',
    'flat, with wnid': lambda n, _, __, wnid: f'{stem(n)}_{wnid}.JPEG',
    'flat, .jpg': lambda n, *_: f'{stem(n)}.jpg',
    'flat, .jpeg': lambda n, *_: f'{stem(n).lower()}.jpeg',
    'flat, .png': lambda n, *_: f'{stem(n)}.png',
    'flat, .jfif': lambda n, *_: f'{stem(n)}.jfif',
    'flat, without suffix': lambda n, *_: stem(n),
    'flat, of the training set': lambda n, _, __, wnid: f'{wnid}_{n}.JPEG',
    'wnids': lambda n, _, __, wnid: f'{wnid}/{stem(n)}.JPEG',
    'wnids, other names': lambda n, _, __, wnid: f'{wnid}/{n}.jpe',
    'wnids in capitals': lambda n, _, __, wnid: f'{wnid.upper()}/{stem(n)}.jpg',
    'wnids with names': lambda n, i, _, wnid: f'{wnid}_{name[i]}/{stem(n)}.jpg',
    'names': lambda n, i, *_: f'{name[i]}/{stem(n)}.JPEG',
    'names as words': lambda n, i, *_: f'{name[i].replace("_", " ").upper()}/{stem(n)}',
    'index': lambda n, i, *_: f'{i}/{stem(n)}.JPEG',
    'index with zeros': lambda n, i, *_: f'{i:04d}/{stem(n)}.JPEG',
    'ILSVRC ids': lambda n, _, one, __: f'{one}/{stem(n)}.JPEG',
    'ILSVRC ids, names with wnid': lambda n, _, one, wnid: f'{one}/{wnid}_{n}.JPEG',
    'val': lambda n, _, __, wnid: f'val/{wnid}/{stem(n)}.JPEG',
    'val/val, flat': lambda n, *_: f'val/val/{stem(n)}.JPEG',
    'Kaggle': lambda n, *_: f'ILSVRC/Data/CLS-LOC/val/{stem(n)}.JPEG',
    'deeper': lambda n, _, __, wnid: f'{wnid}/images/{stem(n)}.JPEG',
  }
