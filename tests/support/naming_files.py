"""Files of every kind that name other files, and the commands that read them.

`python tests/support/naming_files.py KIND...` makes them in the working directory, runs
the commands in one process and prints for each what it ended with. To whoever traces
it, opening `/begins/KIND/NUMBER/NAME` and `/ends/...`, which are nowhere, says what is
being read. No command may open anything below `decoy`, and files are written below
`out` and the case's own directory alone.
"""

import contextlib
import io
import json
import os
import pathlib
import pickle
import shutil
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tfeval import cli
from tfeval.datasets.labels import imagenet

DECOY, OUT, SECRET = 'decoy', 'out', 'raise SystemExit(0)\n'
IMAGES = [imagenet.validation_name(n + 1) for n in range(3)]
MODEL = (
  '--model=small.keras --preprocess=identity --output=logits --preflight=off '
  '--batch_size=4 --on_error=skip --output_dir={out}'
)
EVALUATE = f'evaluate --dataset=folder:photos {MODEL}'
RUN_COMMANDS = (
  'score {here}/run',
  'verify {here}/run',
  'compare {here}/run run',
  'leaderboard {here}',
  'mistakes {here}/run --other=run',
)


class Case(NamedTuple):
  """A file, or a few, that name others.

  Attributes:
    make: writes them into a directory.
    commands: that read them; `{here}` is the directory, `{out}` where they may write.
  """

  make: Callable[[pathlib.Path], Any]
  commands: tuple[str, ...]


def targets() -> list[str]:
  """Returns names of one decoy, from the working directory, a case and anywhere."""
  found = [f'{DECOY}/secret', f'../../{DECOY}/secret', f'../{DECOY}/secret']
  return [*found, os.path.abspath(found[0]), f'file://{os.path.abspath(found[0])}']


class Opens:
  """Unpickled by who trusts pickles, it writes a file."""

  def __reduce__(self):
    return open, (os.path.abspath(f'{DECOY}/secret'), 'w')


def _text(name: str, text: str | bytes) -> Callable[[pathlib.Path], None]:
  content = text if isinstance(text, bytes) else text.encode()
  return lambda here: (here / name).write_bytes(content) and None


def _array(name: str, array: Any) -> Callable[[pathlib.Path], None]:
  return lambda here: np.save(here / name, array, allow_pickle=True)


def _archive(name: str, members: dict[str, bytes]) -> Callable[[pathlib.Path], None]:
  def make(here: pathlib.Path) -> None:
    with zipfile.ZipFile(here / name, 'w') as archive:
      for member, content in members.items():
        archive.writestr(member, content)

  return make


def _npy(array: Any) -> bytes:
  file = io.BytesIO()
  np.save(file, array, allow_pickle=True)
  return file.getvalue()


def _members(content: bytes) -> dict[str, bytes]:
  return dict.fromkeys((f'{one}.npy' for one in targets()), content)


# Labels, lists and answers of raters


def labels() -> Iterator[tuple[str, Case]]:
  names = targets()
  answers = np.array([Opens()] * 3, object)
  files = {
    'references.json': json.dumps({'$ref': names[0], '$include': names[3]}),
    'ids.json': json.dumps({name: [1] for name in [*names, *IMAGES]}),
    'classes.json': json.dumps(dict.fromkeys(IMAGES, names)),
    'ids.csv': 'id,label\n' + ''.join(f'{name},1\n' for name in [*names, *IMAGES]),
    'classes.csv': 'id,label\n' + ''.join(f'{name},{names[0]}\n' for name in IMAGES),
    'pickle.npy': _npy(answers),
    'pickle.csv': pickle.dumps(Opens()),
    'pickle.json': pickle.dumps(Opens()),
  }
  for name, text in files.items():
    yield name, Case(_text(name, text), (f'score run --labels={{here}}/{name}',))
  for name in ('ids.json', 'ids.txt'):
    text = json.dumps(names) if name == 'ids.json' else '\n'.join([*names, *IMAGES])
    commands = (
      f'score run --keep={{here}}/{name}',
      f'score run --omit={{here}}/{name}',
      f'import --predictions=answers.npy --partial --order={{here}}/{name} '
      '--output_dir={out}',
    )
    yield f'list {name}', Case(_text(name, text), commands)
  info = np.array([[name, '1'] for name in [*names, *IMAGES]])
  raters = {
    'pickle.npz': {'info.npy': _npy(answers), 'tensor.npy': _npy(answers)},
    'members.npz': _members(_npy(info)),
    'names.npz': {'info.npy': _npy(info), 'score.npy': _npy(np.ones(len(info)))},
  }
  for name, members in raters.items():
    path = f'{{here}}/{name}'
    commands = (
      f'relabel --scores={path} --output={{out}}.json',
      f'relabel --raters={path} --golden={path} --raters_golden={path} '
      '--aggregate=golden --output={out}.json',
    )
    yield f'raters {name}', Case(_archive(name, members), commands)


# Predictions


def _parquet_of_elsewhere(here: pathlib.Path) -> None:
  """Says of its columns that they are in another file."""
  import pyarrow as pa
  import pyarrow.parquet as pq

  table, collected = pa.table({'id': IMAGES, 'class_1': [1, 2, 3]}), []
  pq.write_table(table, here / 'x.parquet', metadata_collector=collected)
  collected[0].set_file_path(os.path.relpath(f'{DECOY}/secret', here))
  collected[0].write_metadata_file(here / 'x.parquet')


def predictions() -> Iterator[tuple[str, Case]]:
  def case(name: str, make: Callable[[pathlib.Path], Any]) -> tuple[str, Case]:
    text = f'import --predictions={{here}}/{name} --partial --output_dir={{out}}'
    return name, Case(make, (text, f'{text} --order=file_name'))

  rows = [f'{name},1,2\n' for name in [*targets(), *IMAGES]]
  text = 'id,class_1,class_2\n' + ''.join(rows)
  opens = np.array([[Opens()]], object)
  yield case('ids.csv', _text('ids.csv', text))
  yield case('pickle.npy', _array('pickle.npy', opens))
  yield case('pickle.npz', _archive('pickle.npz', {'classes.npy': _npy(opens)}))
  members = _members(_npy(np.ones((3, 5), int)))
  yield case('members.npz', _archive('members.npz', members))
  yield case('x.parquet', _parquet_of_elsewhere)


# Run directories, of which every text of every file may be a name


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
  """Yields every container and key of a text in JSON."""
  for key in list(node) if isinstance(node, dict) else range(len(node)):
    if isinstance(node[key], str):
      yield node, key
    elif isinstance(node[key], (dict, list)):
      yield from _places(node[key])


def each_text(source: str, name: str) -> Iterator[tuple[str, Any]]:
  """Yields ways to make a copy of a directory with one text of a JSON file changed."""
  path = pathlib.Path(source, name)
  for number in range(len(list(_places(json.loads(path.read_text()))))):

    def make(here: pathlib.Path, number: int = number) -> None:
      copy = here / path.parts[0]
      shutil.copytree(path.parts[0], copy)
      changed = copy.joinpath(*path.parts[1:])
      content = json.loads(changed.read_text())
      inside, key = list(_places(content))[number]
      inside[key] = targets()[3 if number % 2 else 1]
      changed.write_text(json.dumps(content))

    yield f'{path.name} {number}', make


def _linked(*names: str) -> Callable[[pathlib.Path], None]:
  def make(here: pathlib.Path) -> None:
    shutil.copytree('run', here / 'run')
    for name in names:
      (here / 'run' / name).unlink()
      (here / 'run' / name).symlink_to(os.path.abspath(f'{DECOY}/secret'))

  return make


def _incomplete(here: pathlib.Path) -> None:
  shutil.copytree('run', here / 'run')
  (here / 'run/result.json').unlink()
  lines = [f'--flagfile={DECOY}/secret', f'--model={DECOY}.module:build']
  (here / 'run/flags.txt').write_text('\n'.join(lines))


def runs() -> Iterator[tuple[str, Case]]:
  for name in ('result.json', 'manifest.json', 'predictions/index.json'):
    for what, make in each_text('run', name):
      yield what, Case(make, RUN_COMMANDS)
  for path in sorted(pathlib.Path('run').rglob('*')):
    if path.is_file():
      name = str(path.relative_to('run'))
      yield f'link {path.name}', Case(_linked(name), RUN_COMMANDS)
  yield 'incomplete', Case(_incomplete, RUN_COMMANDS)
  again = 'import --predictions=answers.csv --partial --output_dir={here}/run'
  commands = (*RUN_COMMANDS, again, f'{again} --overwrite')
  yield 'rows elsewhere', Case(_rows_elsewhere('run'), commands)


def _rows_elsewhere(source: str) -> Callable[[pathlib.Path], None]:
  def make(here: pathlib.Path) -> None:
    copy = here / pathlib.Path(source).name
    shutil.copytree(source, copy)
    (copy / 'result.json').unlink(missing_ok=True)
    shutil.rmtree(copy / 'predictions')
    (copy / 'predictions').symlink_to(os.path.abspath(f'{DECOY}/predictions'))

  return make


def resumed() -> Iterator[tuple[str, Case]]:
  """Yields runs that an evaluation has begun, and goes on with."""
  _run(EVALUATE, '', 'evaluated')
  os.remove('evaluated/small.keras/result.json')
  commands = (EVALUATE.replace('{out}', '{here}/evaluated'),)
  for name in ('manifest.json', 'predictions/index.json'):
    for what, make in each_text('evaluated', f'small.keras/{name}'):
      yield what, Case(make, commands)
  again = EVALUATE.replace('{out}', '{here}')
  make = _rows_elsewhere('evaluated/small.keras')
  yield 'rows elsewhere', Case(make, (again, f'{again} --overwrite'))


# Flagfiles


def flagfiles() -> Iterator[tuple[str, Case]]:
  secret = targets()[3]
  for number, line in enumerate(
    [
      f'--model={DECOY}.module:build',
      f'--preprocess={DECOY}.module:build',
      f'--model:json="{DECOY}.module:build"',
      f'--tf_data_service={DECOY}:5050',
      f'--tpu=unix://{secret}',
      f'--dataset={DECOY}:secret',
      f'--model=file://{secret}',
    ]
  ):
    # What it names as data beside that is not looked at either.
    text = f'--class_map={secret}\n--weights={secret}\n--output_dir={DECOY}\n{line}\n'
    command = f'evaluate --flagfile={{here}}/{number}'
    yield str(number), Case(_text(str(number), text), (command,))


# Caches


def caches() -> Iterator[tuple[str, Case]]:
  commands = (
    'cache list {here}/cache',
    'cache verify {here}/cache',
    'cache prune {here}/cache --dry_run',
    EVALUATE + ' --cache_dir={here}/cache',
    'cache prune {here}/cache',
  )
  (entry,) = pathlib.Path('cache').glob('*/entry.json')
  for what, make in each_text('cache', str(entry.relative_to('cache'))):
    yield what, Case(make, commands[:3])
  for path in sorted(entry.parent.iterdir()):
    yield f'link {path.name.split("-")[0]}', Case(_cache_with_link(path), commands)
  yield 'link entry', Case(_cache_with_link(entry.parent), commands)


def _cache_with_link(path: pathlib.Path) -> Callable[[pathlib.Path], None]:
  def make(here: pathlib.Path) -> None:
    shutil.copytree('cache', here / 'cache')
    changed, decoy = here / path, os.path.abspath(f'{DECOY}/secret')
    if changed.is_dir():
      shutil.rmtree(changed)
      decoy = os.path.dirname(decoy)
    else:
      changed.unlink()
    changed.symlink_to(decoy)

  return make


# Images


def _chunk(kind: bytes, content: bytes) -> bytes:
  crc = zlib.crc32(kind + content)
  return struct.pack('>I', len(content)) + kind + content + struct.pack('>I', crc)


def _readable(here: pathlib.Path) -> None:
  _images(here, ('JPEG', 'PNG', 'commented', 'chunks'))


def _images(here: pathlib.Path, kinds: tuple[str, ...] = ('',)) -> None:
  import PIL.Image

  photos = {}
  for kind in ('JPEG', 'PNG', 'TIFF', 'GIF', 'BMP', 'WEBP'):
    file = io.BytesIO()
    PIL.Image.new('RGB', (40, 40), (9, 99, 199)).save(file, kind)
    photos[kind] = file.getvalue()
  for name in targets():
    text = name.encode()
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x xlink:href="' + text + b'"/>'
    segments = [b'\xff\xfe' + _sized(text), b'\xff\xe1' + _sized(xmp)]
    photos['commented' + name] = _in_jpeg(photos['JPEG'], b''.join(segments))
    profile = _chunk(b'iCCP', text[:70].replace(b'/', b' ') + b'\0\0' + text)
    chunks = _chunk(b'tEXt', b'Comment\0' + text) + profile
    photos['chunks' + name] = photos['PNG'][:33] + chunks + photos['PNG'][33:]
    photos['svg' + name] = b'<svg><image xlink:href="%s"/></svg>' % text
    photos['mvg' + name] = b"push graphic-context\nimage over 0,0 0,0 '%s'" % text
    photos['eps' + name] = b'%%!PS-Adobe-3.0 EPSF-3.0\n(%s) (w) file' % text
    photos['list' + name] = b'#EXTM3U\n#EXTINF:1,\n%s\n' % text
    photos['text' + name] = text
  for number, (name, content) in enumerate(photos.items()):
    if name.startswith(kinds):
      (here / imagenet.validation_name(number + 1)).write_bytes(content)


def _sized(content: bytes) -> bytes:
  return struct.pack('>H', len(content) + 2) + content


def _in_jpeg(photo: bytes, segments: bytes) -> bytes:
  return photo[:2] + segments + photo[2:]


def images() -> Iterator[tuple[str, Case]]:
  for protocol in ('opencv', 'pil', 'slim'):
    command = f'evaluate --dataset=folder:{{here}} {MODEL} --protocol={protocol}'
    yield protocol, Case(_images, (command,))
  yield 'predict', Case(_readable, (f'predict {{here}} {_for_predict()}',))


def _for_predict() -> str:
  return '--model=small.keras --preprocess=identity --output=logits'


# Datasets of TFDS: what they are made of, and prepared ones


def _tar(here: pathlib.Path) -> None:
  with tarfile.open(here / 'ILSVRC2012_img_val.tar', 'w') as tar:
    for name, photo in zip(
      IMAGES, pathlib.Path('photos').rglob('*.JPEG'), strict=False
    ):
      tar.add(photo, name)
    for name in targets():
      tar.addfile(tarfile.TarInfo(name))
      for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        link = tarfile.TarInfo(IMAGES[0])
        link.type, link.linkname = kind, name
        tar.addfile(link)


def datasets() -> Iterator[tuple[str, Case]]:
  import mutated_datasets

  of_tfds = f'evaluate {MODEL} --split=validation --data_dir='
  tar = of_tfds + '{out}/data --manual_dir={here} --dataset=imagenet2012'
  yield 'tar', Case(_tar, (tar,))
  mutated_datasets.prepare(pathlib.Path('prepared'))
  for name in ('dataset_info.json', 'features.json'):
    for what, make in each_text('prepared', f'damaged/1.0.0/{name}'):
      yield what, Case(make, (of_tfds + '{here}/prepared --dataset=damaged',))


# Containers


def _shards(here: pathlib.Path) -> None:
  """Tar files, each with a member that leads elsewhere by its name or as a link."""
  names = [(name, tarfile.REGTYPE, '') for name in targets()]
  links = [
    ('x.cls', kind, name)
    for name in targets()
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)
  ]
  for number, (name, kind, link) in enumerate(names + links):
    with tarfile.open(here / f'{number}.tar', 'w') as tar:
      tar.add(next(pathlib.Path('photos').rglob('*.JPEG')), 'x.jpg')
      member = tarfile.TarInfo(name)
      member.type, member.linkname = kind, link
      tar.addfile(member)


def _paths_in_parquet(here: pathlib.Path) -> None:
  """Images that are paths alone, and one whose columns are in another file."""
  import container_writers
  import pyarrow.parquet as pq

  for number, name in enumerate(targets()):
    photos = [(name, None)]
    container_writers.write_parquet(here / f'{number}.parquet', photos, [0])
  collected: list[Any] = []
  table = pq.read_table(here / '0.parquet')
  pq.write_table(table, here / 'x.parquet', metadata_collector=collected)
  collected[0].set_file_path(os.path.relpath(f'{DECOY}/secret', here))
  collected[0].write_metadata_file(here / 'x.parquet')


def _names_in_records(here: pathlib.Path) -> None:
  """Names of files in records, and a link beside them."""
  import container_writers

  photo = next(pathlib.Path('photos').rglob('*.JPEG')).read_bytes()
  photos = [(name, photo) for name in targets()]
  container_writers.write_records(
    here / 'a.tfrecord', container_writers.slim(photos, [0] * len(photos))
  )
  (here / 'labels.txt').symlink_to(os.path.abspath(f'{DECOY}/secret'))


def _arrays(here: pathlib.Path) -> None:
  images = np.zeros((3, 8, 8, 3), np.uint8)
  opens = np.array([Opens()] * 3, object)
  for name, labels in (('objects', opens), ('names', np.array(targets()[:3]))):
    members = {'images.npy': _npy(images), 'labels.npy': _npy(labels)}
    _archive(f'{name}.npz', members)(here)
  np.save(here / 'x.npy', images)
  (here / 'y.npy').symlink_to(os.path.abspath(f'{DECOY}/secret'))


def containers() -> Iterator[tuple[str, Case]]:
  def evaluate(*names: str) -> tuple[str, ...]:
    return tuple(EVALUATE.replace('folder:photos', name) for name in names)

  numbers = range(3 * len(targets()))
  shards = [f'webdataset:{{here}}/{number}.tar' for number in numbers]
  yield 'shards', Case(_shards, evaluate(*shards))
  names = [*map(str, range(len(targets()))), 'x']
  parquet = [f'parquet:{{here}}/{name}.parquet' for name in names]
  yield 'parquet', Case(_paths_in_parquet, evaluate(*parquet))
  yield 'tfrecord', Case(_names_in_records, evaluate('tfrecord:{here}'))
  files = ('objects.npz', 'names.npz', 'x.npy')
  yield 'npz', Case(_arrays, evaluate(*(f'npz:{{here}}/{name}' for name in files)))


# Models, weights and class maps


def _hdf5(change: Callable[[Any], Any]) -> Callable[[pathlib.Path], None]:
  def make(here: pathlib.Path) -> None:
    import h5py

    for name in ('x.h5', 'x.weights.h5'):
      with h5py.File(here / name, 'w') as file:
        change(file)

  return make


def _external_link(file: Any) -> None:
  import h5py

  for number, name in enumerate(targets()):
    file[f'a{number}'] = h5py.ExternalLink(name, '/')


def _external_values(file: Any) -> None:
  for number, name in enumerate(targets()):
    file.create_dataset(f'a{number}', (4,), 'f4', external=[(name, 0, 16)])


def _virtual_values(file: Any) -> None:
  import h5py

  layout = h5py.VirtualLayout((4,), 'f4')
  layout[:] = h5py.VirtualSource(targets()[3], 'a', (4,))
  file.create_virtual_dataset('a', layout)


def _keras(change: Callable[[Any], Any]) -> Callable[[pathlib.Path], None]:
  """Changes the config of the model."""

  def make(here: pathlib.Path) -> None:
    with zipfile.ZipFile('small.keras') as archive:
      members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members['config.json'])
    change(config)
    _archive('x.keras', {**members, 'config.json': json.dumps(config).encode()})(here)

  return make


def _with_layer(module: str, name: str, **config: Any) -> Callable[[Any], Any]:
  layer = {'module': module, 'class_name': name, 'config': {'name': 'x', **config}}
  layer['registered_name'] = None

  def change(model: Any) -> None:
    layers = model['config']['layers']
    layers.insert(1, {**layers[0], **layer})

  return change


def _members_outside(here: pathlib.Path) -> None:
  shutil.copyfile('small.keras', here / 'x.keras')
  with zipfile.ZipFile(here / 'x.keras', 'a') as archive:
    for name in targets():
      archive.writestr(f'assets/../{name}', b'changed')
      archive.writestr(name, b'changed')
    link = zipfile.ZipInfo('assets/link')
    link.external_attr = 0o120777 << 16
    archive.writestr(link, targets()[3])
    archive.writestr('assets/link/secret', b'changed')


def _checkpoint(here: pathlib.Path) -> None:
  lines = [f'model_checkpoint_path: "{targets()[3]}"']
  lines += [f'all_model_checkpoint_paths: "{name}"' for name in targets()]
  (here / 'checkpoint').write_text('\n'.join(lines))


def models() -> Iterator[tuple[str, Case]]:
  def evaluate(what: str) -> str:
    return EVALUATE.replace('--model=small.keras', what)

  of_weights = EVALUATE + ' --weights={here}/'
  of_torch = of_weights.replace('small.keras', 'EfficientNetLite0')
  of_torch = of_torch.replace('--preprocess=identity --output=logits', '')
  hdf5 = (of_weights + 'x.weights.h5', evaluate('--model={here}/x.h5'))
  yield 'link', Case(_hdf5(_external_link), hdf5)
  yield 'external', Case(_hdf5(_external_values), hdf5)
  yield 'virtual', Case(_hdf5(_virtual_values), hdf5)
  keras = (evaluate('--model={here}/x.keras'), of_weights + 'x.keras')
  secret = targets()[3]
  lookup = _with_layer('keras.layers', 'StringLookup', vocabulary=secret)
  yield 'vocabulary', Case(_keras(lookup), keras)
  layer = _with_layer('keras.layers', 'TFSMLayer', filepath=secret)
  yield 'saved model', Case(_keras(layer), keras)
  yield 'module', Case(_keras(_with_layer(f'{DECOY}.module', 'Layer')), keras)
  yield 'members', Case(_members_outside, keras)
  for name in ('x.pth', 'x.pt'):
    content = _text(name, pickle.dumps(Opens()))
    yield f'pickle {name}', Case(content, (of_weights + name, of_torch + name))
    packed = {'archive/data.pkl': pickle.dumps(Opens()), 'archive/version': b'3'}
    packed |= _members(b'')
    yield f'packed {name}', Case(_archive(name, packed), (of_torch + name,))
  watch = f'watch {{here}} --dataset=folder:photos {MODEL} --timeout=1 --poll_seconds=1'
  watch = watch.replace('--preflight=off ', '')
  yield 'checkpoint', Case(_checkpoint, (of_weights, of_weights + 'checkpoint', watch))
  class_map = _text('map.txt', '\n'.join(targets()))
  yield 'class map', Case(class_map, (EVALUATE + ' --class_map={here}/map.txt',))


KINDS: dict[str, Callable[[], Iterator[tuple[str, Case]]]] = {
  one.__name__: one
  for one in (
    labels,
    predictions,
    runs,
    resumed,
    flagfiles,
    caches,
    images,
    datasets,
    containers,
    models,
  )
}


def make_inputs() -> None:
  """Makes what cases are made of and read with, beside the model and the photos."""
  os.makedirs(f'{DECOY}/module')
  os.mkdir(OUT)
  for name in ('secret', 'module/__init__.py', '__init__.py'):
    pathlib.Path(DECOY, name).write_text(SECRET)
  with open('answers.csv', 'w', encoding='ascii') as file:
    file.write('id,class_1\n' + ''.join(f'{name},1\n' for name in IMAGES))
  np.save('answers.npy', np.ones((len(IMAGES), 1), int))
  _run('import --predictions=answers.csv --partial --output_dir={out}', '', 'run')
  shutil.copytree('run/predictions', f'{DECOY}/predictions')


def _run(command: str, here: Any, out: Any) -> tuple[int, str]:
  """Runs a command; returns its exit code and what it said."""
  said = io.StringIO()
  arguments = [word.format(here=here, out=out) for word in command.split()]
  with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    code = cli.main(arguments)
  return code, said.getvalue()


def _tell(what: str) -> None:
  """Says something to whoever traces this process."""
  with contextlib.suppress(OSError):
    os.open(what, os.O_RDONLY)


def main() -> None:
  make_inputs()
  for kind in sys.argv[1:]:
    if kind == 'caches':
      _run(EVALUATE + ' --cache_dir=cache', '', f'{OUT}/cache')
    for number, (name, case) in enumerate(KINDS[kind]()):
      here = pathlib.Path('cases', f'{kind}{number}')
      here.mkdir(parents=True)
      case.make(here)
      for command in case.commands:
        place = f'{kind}/{number}/{name}'
        _tell(f'/begins/{place}')
        code, said = _run(command, here, f'{OUT}/{kind}{number}')
        _tell(f'/ends/{place}')
        word = {'case': place, 'command': command, 'code': code}
        print(json.dumps({**word, 'said': said[-600:]}), flush=True)


if __name__ == '__main__':
  main()
