"""Archives of TFDS' builders in their true layout, made of few photos.

They lie in the download cache, so that the real builders need no network.
"""

import csv
import io
import json
import os
import pathlib
import tarfile
import zipfile

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import resource

CONFLICTS = 'texture-vs-shape-1b69c6a445c3348927139edb30a5134521fd4b03/stimuli/'
CONFLICTS += 'style-transfer-preprocessed-512'


def photos_by_wnid(shared: pathlib.Path) -> dict[str, bytes]:
  """Returns the photos of the shared folder, one for each wnid that has one."""
  paths = sorted((shared / 'images').glob('n*.JPEG'))
  return {path.name[:9]: path.read_bytes() for path in paths}


def facts(shared: pathlib.Path, name: str) -> list[dict[str, str]]:
  """Returns the rows of a table of facts."""
  with open(shared / 'facts' / f'{name}.tsv') as file:
    return list(csv.DictReader(file, delimiter='\t'))


def seed(data_dir: pathlib.Path, name: str, contents: dict[str, bytes]) -> None:
  """Puts files into the download cache of a builder, by their URLs."""
  builder = tfds.builder(name, data_dir=str(data_dir))
  folder = data_dir / 'downloads' / builder.name
  folder.mkdir(parents=True, exist_ok=True)
  for url, content in contents.items():
    path = folder / resource.get_dl_fname(url, builder.url_infos[url].checksum)
    path.write_bytes(content)
    # What a server calls it whose URL does not say.
    called = os.path.basename(url) if '?' not in url else 'archive.zip'
    told = {'original_fname': called, 'dataset_names': [name], 'urls': [url]}
    path.with_name(f'{path.name}.INFO').write_text(json.dumps(told))


def tar(members: dict[str, bytes], mode: str = 'w') -> bytes:
  """Returns a tar archive of files by name."""
  buffer = io.BytesIO()
  with tarfile.open(fileobj=buffer, mode=mode) as archive:
    for name, content in members.items():
      info = tarfile.TarInfo(name)
      info.size = len(content)
      archive.addfile(info, io.BytesIO(content))
  return buffer.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
  """Returns a zip archive of files by name."""
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w') as archive:
    for name, content in members.items():
      archive.writestr(name, content)
  return buffer.getvalue()


def urls(name: str) -> list[str]:
  """Returns the URLs that a builder downloads, as its checksums list them."""
  return list(tfds.builder(name, data_dir='/nowhere').url_infos)


def seed_all(data_dir: pathlib.Path, shared: pathlib.Path, most: int) -> dict[str, int]:
  """Puts stand-ins of all sets into the cache; returns how many photos each has."""
  photos = photos_by_wnid(shared)
  counts = {}

  def chosen(wnids):
    return [one for one in wnids if one in photos][:most]

  def add(name, contents, count):
    seed(data_dir, name, contents)
    counts[name] = count

  def named(url_part, name):
    (url,) = (one for one in urls(name) if url_part in one)
    return url

  for kind in ('a', 'r'):
    name = f'imagenet_{kind}'
    wnids = chosen(row['wnid'] for row in facts(shared, f'{name}_200'))
    members = {f'imagenet-{kind}/{one}/{one}_0.jpg': photos[one] for one in wnids}
    members[f'imagenet-{kind}/README.txt'] = b'.'
    add(name, {named(f'imagenet-{kind}.tar', name): tar(members)}, len(wnids))
  index = {row['wnid']: i for i, row in enumerate(class_names(shared))}
  wnids = chosen(photos)
  top = 'imagenetv2-matched-frequency-format-val'
  members = {f'{top}/{index[one]}/{one}.jpeg': photos[one] for one in wnids}
  url = named('matched-frequency', 'imagenet_v2')
  add('imagenet_v2', {url: tar(members, 'w:gz')}, len(wnids))
  members = {f'sketch/{one}/sketch_0.JPEG': photos[one] for one in wnids}
  (url,) = urls('imagenet_sketch')
  add('imagenet_sketch', {url: zipped(members)}, len(wnids))
  for name, top, url_part in (
    ('imagenette', 'imagenette2', 'imagenette2.tgz'),
    ('imagewang', 'imagewang', 'imagewang.tgz'),
  ):
    rows = facts(shared, {'imagenette': 'imagenette_10'}.get(name, 'imagewang_20'))
    wnids = chosen(row['wnid'] for row in rows)
    members = {}
    for one in wnids:
      members[f'{top}/train/{one}/{one}_1.JPEG'] = photos[one]
      members[f'{top}/val/{one}/{one}_0.JPEG'] = photos[one]
    add(name, {named(url_part, name): tar(members, 'w:gz')}, len(wnids))
  add('geirhos_conflict_stimuli', *conflicts(shared, photos))
  return counts


def class_names(shared: pathlib.Path) -> list[dict[str, str]]:
  with open(shared / 'class_names.tsv') as file:
    return sorted(csv.DictReader(file, delimiter='\t'), key=lambda row: row['wnid'])


def conflicts(shared: pathlib.Path, photos: dict[str, bytes]):
  """Returns the archive of cue conflicts: photos, called by another texture too."""
  import cv2
  import numpy as np

  rows = facts(shared, 'cue_conflict_16')
  names = [row['category'] for row in rows]
  members, lines = {}, []
  for number, row in enumerate(rows):
    wnids = row['wnids'].split(',')
    lines.append(f'{row["category"]} = [{", ".join(wnids)}]')
    folder = f'{CONFLICTS}/{row["category"]}'
    found = [one for one in wnids if one in photos][:2]
    for i, wnid in enumerate(found or [next(iter(photos))]):
      image = cv2.imdecode(np.frombuffer(photos[wnid], np.uint8), cv2.IMREAD_COLOR)
      # One in three has a texture of its own category, which does not count.
      texture = names[(number + (number + i) % 3) % len(names)]
      png = cv2.imencode('.png', cv2.resize(image, (256, 256)))[1].tobytes()
      members[f'{folder}/{row["category"]}{i + 1}-{texture}{i + 2}.png'] = png
  there = urls('geirhos_conflict_stimuli')
  (archive,) = (url for url in there if url.endswith('.zip'))
  (mapping,) = (url for url in there if url.endswith('.txt'))
  return {archive: zipped(members), mapping: '\n'.join(lines).encode()}, len(members)


def multi_labels(answers: dict[str, int], wnids: list[str]) -> dict:
  """Returns the file of multi-labels, by answers that tell every rule apart.

  Args:
    answers: the class that a model says of each validation image, by its name.
    wnids: of the 1000 classes.
  """
  annotations, problematic, of_m = {}, {}, []
  for i, name in enumerate(sorted(answers)[:-4]):  # Not all are among the 20,000.
    answer, other = wnids[answers[name]], wnids[(answers[name] + 500) % 1000]
    annotations[name] = (
      {'correct': [answer, other], 'wrong': []},
      {'correct': [other], 'unclear': [answer]},
      {'correct': [other], 'wrong': [answer]},
      {'unclear': [answer]},
      {'correct': [other], 'unclear': [], 'wrong': [answer]},
    )[i % 5]
    if i % 7 == 3:
      problematic[name] = ['drawing']
    elif i % 4 == 1:
      of_m.append(name)
  return {
    # Of ImageNet-V2 as well, behind those of validation images.
    'initial_annots': annotations | {'a_v2_image.jpeg': {'correct': [wnids[0]]}},
    'problematic_images': problematic,
    'imagenet_m': of_m,
  }


def on_backgrounds(
  shared: pathlib.Path, factor: str
) -> tuple[dict[str, bytes], dict[str, int]]:
  """Returns the members of an archive of SI-Score, and the class of each folder."""
  from tensorflow_datasets.datasets.siscore import labels

  names = [row['wnid'] for row in class_names(shared)]
  photos, members = photos_by_wnid(shared), {}
  top = {'size': 'area', 'rotation': 'rotation'}.get(factor, 'location20_area02_min0pc')
  for folder, index in labels.IMAGENET_LABELS.items():
    is_known = folder in labels.DATASET_LABELS and names[index] in photos
    if is_known and len(members) < 8:
      members[f'{top}/{folder}/{len(members)}.jpg'] = photos[names[index]]
  return members, labels.IMAGENET_LABELS
