"""The same labels of 40 images in every form: the same hits of the same predictions.

`top5_of_40.csv` holds what MobileNet(alpha=0.25) predicted for the 40 photos of
../shared/cases, where 23 and 33 were counted by cv2 and `model.predict` alone.
"""

import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfeval.datasets.labels import imagenet, sets
from tfeval.runs.importing import importer, sources
from tfeval.utils.errors import UserError

PREDICTIONS = pathlib.Path(__file__).parents[2] / 'data' / 'top5_of_40.csv'
CASES = pathlib.Path(__file__).resolve().parents[4] / 'shared' / 'cases' / 'labels'
SPACE = imagenet.label_space()
COUNT = 40
NAMES = [imagenet.validation_name(n + 1) for n in range(COUNT)]
STEMS = [name.removesuffix('.JPEG') for name in NAMES]
TRUTH = imagenet.original_validation_labels()
INDICES = [str(label) for label in TRUTH[:COUNT]]
WNIDS = [SPACE.class_ids[label] for label in TRUTH[:COUNT]]
# Two classes are called crane.
READABLE = [
  SPACE.class_ids[label] if name == 'crane' else name
  for label in TRUTH[:COUNT]
  for name in [SPACE.class_names[label]]
]


def lines(*columns, between=',', header=None, end='\n'):
  rows = [between.join(row) for row in zip(*columns, strict=True)]
  return end.join([header, *rows] if header else rows) + end


def of_folder(folder):
  return [f'{folder}{name}' for name in NAMES]


NUMBERS = [str(i) for i in range(COUNT)]
FLOATS = [f'{label}.000000' for label in INDICES]
BOXES = [f'{wnid} 11 22 333 444 {wnid} 5 6 77 88 ' for wnid in WNIDS]
OBJECTS = [
  {'file_name': n, 'label': int(i)} for n, i in zip(NAMES, INDICES, strict=True)
]
ORDER_OF_ALL = [str(label) for label in TRUTH]

TEXTS = {
  'id-label.csv': lines(NAMES, INDICES, header='id,label'),
  'wnid.csv': lines(NAMES, WNIDS, header='id,label'),
  'upper.csv': lines(NAMES, [w.upper() for w in WNIDS], header='id,label'),
  'readable.csv': lines(NAMES, READABLE, header='filename,class_name'),
  'with-name.csv': lines(
    NAMES, [f'{w}_{n}' for w, n in zip(WNIDS, READABLE, strict=True)], header='f,label'
  ),
  'spaced-header.csv': lines(NAMES, INDICES, header='"Image ID", Class Index'),
  'label-first.csv': lines(INDICES, NAMES, header='target,image_path'),
  'more.csv': lines(NUMBERS, NAMES, INDICES, header=',ImageId,label'),
  'bom-crlf.csv': '\ufeff' + lines(NAMES, WNIDS, header='id,label', end='\r\n'),
  'bom-no-header.csv': '\ufeff' + lines(NAMES, INDICES, end='\r\n'),
  'floats.csv': lines(NAMES, FLOATS, header='id,label'),
  'stems.csv': lines(STEMS, WNIDS, header='id,label'),
  'jpg.csv': lines([f'{s}.jpg' for s in STEMS], INDICES, header='id,label'),
  'folders.csv': lines(of_folder('val/'), INDICES, header='id,label'),
  'absolute.csv': lines(of_folder('/data/val/'), INDICES, header='path,label'),
  'windows.csv': lines(of_folder('D:\\val\\'), INDICES, header='path,label'),
  'no-header.csv': lines(NAMES, INDICES),
  'no-header-reversed.csv': lines(INDICES, NAMES),
  'stems-no-header.csv': lines(STEMS, WNIDS),
  'semicolons.csv': lines(NAMES, INDICES, between=';', header='id;label'),
  'semicolons-no-header.csv': lines(NAMES, WNIDS, between=';'),
  'tabs.tsv': lines(NAMES, INDICES, between='\t', header='id\tlabel'),
  'tabs-no-header.tsv': lines(NAMES, WNIDS, between='\t'),
  'quoted.csv': lines([f'"{n}"' for n in NAMES], INDICES, header='"id","label"'),
  'blanks.csv': lines(NAMES, INDICES, between=' '),
  'blanks.txt': lines(NAMES, INDICES, between=' '),
  'wide.txt': lines(NAMES, WNIDS, between='   '),
  'header.txt': lines(NAMES, WNIDS, between=' ', header='image label'),
  'label-first.txt': lines(INDICES, of_folder('val/'), between=' '),
  'tabs.txt': lines(NAMES, INDICES, between='\t'),
  'commas.txt': lines(NAMES, INDICES),
  'names.txt': lines(NAMES, [n.replace('_', ' ') for n in READABLE], between=' '),
  'synonyms.txt': lines(
    NAMES, [f'{w} {n}, {n}' for w, n in zip(WNIDS, READABLE, strict=True)], between=' '
  ),
  'mxnet.lst': lines(NUMBERS, FLOATS, NAMES, between='\t'),
  'mxnet-from-7.lst': lines(
    [str(7 + i) for i in range(COUNT)], INDICES, of_folder('val/'), between='\t'
  ),
  'kaggle.csv': lines(STEMS, BOXES, header='ImageId,PredictionString'),
  'object.json': json.dumps(dict(zip(NAMES, map(int, INDICES), strict=True))),
  'texts.json': json.dumps(dict(zip(STEMS, INDICES, strict=True))),
  'wnids.json': json.dumps(dict(zip(NAMES, WNIDS, strict=True))),
  'lists.json': json.dumps({n: [w] for n, w in zip(NAMES, WNIDS, strict=True)}),
  'objects.json': json.dumps(OBJECTS),
  'order.json': json.dumps(TRUTH),
  'order.txt': lines(ORDER_OF_ALL),
  'order-wnids.txt': lines([SPACE.class_ids[label] for label in TRUTH]),
  'order.csv': lines(ORDER_OF_ALL, header='label'),
  'ILSVRC2012_validation_ground_truth.txt': lines(
    [str(imagenet.ilsvrc_ids()[label]) for label in TRUTH]
  ),
}
FEATURES = {'label': {'names': list(SPACE.class_names), '_type': 'ClassLabel'}}
TABLES = {
  'int.parquet': pa.table({'id': NAMES, 'label': [*map(int, INDICES)]}),
  'wnid.parquet': pa.table({'filename': STEMS, 'wnid': WNIDS}),
  'coded.parquet': pa.table(
    {'id': NAMES, 'label': pa.array(WNIDS).dictionary_encode()}
  ),
  'float.parquet': pa.table({'path': of_folder('val/'), 'label': map(float, INDICES)}),
  'lists.parquet': pa.table({'id': NAMES, 'label': [[int(i)] for i in INDICES]}),
  'order.parquet': pa.table({'label': TRUTH}),
  'named.parquet': pa.table(
    {'id': NAMES, 'label': np.array(INDICES, np.int64)},
    metadata={'huggingface': json.dumps({'info': {'features': FEATURES}})},
  ),
}


def imported(directory, labels, **options):
  (source,) = sources.find_sources(str(PREDICTIONS), None, str(directory))
  labels = tuple(sets.open_labels(labels))
  return importer.import_predictions(
    source, importer.ImportConfig(labels, partial=True, **options)
  )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """The predictions, as a run."""
  return imported(tmp_path_factory.mktemp('run') / 'run', ['original'])


def hits(metrics):
  return [(metric.correct, metric.count) for metric in metrics]


@pytest.mark.parametrize('name', [*TEXTS, *TABLES])
def test_every_form_gives_the_same_hits(run, tmp_path, name):
  path = tmp_path / name
  if name in TEXTS:
    path.write_bytes(TEXTS[name].encode())
  else:
    pq.write_table(TABLES[name], path)
  assert hits(run.score(labels=str(path))) == [(23, 40), (33, 40)]


@pytest.mark.parametrize(
  'name', ['kaggle.csv', 'mxnet.lst', 'windows.csv', 'stems.csv', 'jpg.csv']
)
def test_import_takes_the_same_forms(tmp_path, name):
  path = tmp_path / name
  path.write_bytes(TEXTS[name].encode())
  found = imported(tmp_path / 'run', [str(path)])
  assert hits(found.metrics) == [(23, 40), (33, 40)]


def test_the_cases(run, tfeval):
  if not CASES.is_dir():
    pytest.skip('needs ../shared/cases')
  for path in sorted(CASES.iterdir()):
    expected = [(0, 40), (3, 40)] if path.stem == 'off1' else [(23, 40), (33, 40)]
    assert hits(run.score(labels=str(path))) == expected, path
  code, out, err = tfeval('score', run.path, f'--labels={CASES / "off1.csv"}')
  assert code == 0 and len(err.splitlines()) == 1
  assert 'off by one (too high): 0 of 40' in err and '23 if they are off by one' in err


def shifted(by):
  return [str(int(label) + by) for label in INDICES]


def ranked(key):
  order = sorted(range(1000), key=lambda index: key(SPACE.class_names[index]))
  return [str(order.index(int(label))) for label in INDICES]


NUMBERINGS = {
  'off by one (too high)': shifted(1),
  'off by one (too low)': shifted(-1),
  'ids 1 to 1000 of the development kit': [
    str(imagenet.ilsvrc_ids()[int(label)]) for label in INDICES
  ],
  'ids of the development kit less 1': [
    str(imagenet.ilsvrc_ids()[int(label)] - 1) for label in INDICES
  ],
  'numbers in the order of names': ranked(str),
  'numbers in the order of names whatever their case': ranked(str.lower),
  'numbers from the last class on': [str(999 - int(label)) for label in INDICES],
}


@pytest.mark.parametrize('words', NUMBERINGS)
def test_other_numberings_are_named_with_their_counts(run, tfeval, tmp_path, words):
  path = tmp_path / 'x.csv'
  path.write_text(lines(NAMES, NUMBERINGS[words], header='id,label'))
  runs = [run.path, imported(tmp_path / 'again', [str(path)]).path]
  for command in (['score', runs[0]], ['compare', *runs], ['leaderboard', runs[0]]):
    code, out, err = tfeval(*command, f'--labels={path}')
    assert code == 0, err
    for line in err.splitlines():
      assert f'its labels seem to be {words}: ' in line
      assert f'23 if they are {words}' in line
    assert len(err.splitlines()) == len(command) - 1


def test_right_labels_are_not_called_otherwise(run, tfeval, tmp_path):
  path = tmp_path / 'x.csv'
  path.write_text(TEXTS['id-label.csv'])
  assert tfeval('score', run.path, f'--labels={path}')[2] == ''


def test_images_without_labels_are_counted_as_such(run, tmp_path):
  path = tmp_path / 'x.txt'
  path.write_text(''.join(TEXTS['blanks.txt'].splitlines(True)[:30]))
  assert [one.count for one in run.score(labels=str(path))] == [30, 30]


def test_labels_of_unknown_images_are_named(run, tmp_path):
  path = tmp_path / 'x.txt'
  path.write_text(TEXTS['blanks.txt'] + ''.join(f'val/c{i}.jpg 1\n' for i in range(12)))
  with pytest.raises(UserError, match=r'12 of its 52 ids .*val/c0.jpg.*c9.jpg, \.\.\.'):
    run.score(labels=str(path))


def test_how_files_are_read_is_said(run, tfeval, tmp_path):
  for name, text, said in (
    (
      'kit.txt',
      TEXTS['ILSVRC2012_validation_ground_truth.txt'],
      'read as ids 1 to 1000 of the development kit',
    ),
    (
      'sets.csv',
      TEXTS['id-label.csv'] + f'{NAMES[0]},1\n{NAMES[1]},{INDICES[1]}\n',
      '1 images have several labels, of which each is right',
    ),
  ):
    (tmp_path / name).write_text(text)
    code, _, err = tfeval('score', run.path, f'--labels={tmp_path / name}')
    assert (code, err) == (0, f'tfeval: {tmp_path / name}: {said}\n')


@pytest.mark.parametrize('command', ['score', 'compare', 'leaderboard', 'import'])
def test_faults_are_one_line(run, tfeval, tmp_path, command):
  (tmp_path / 'x.csv').write_text(TEXTS['id-label.csv'].replace(',65', ',tiger cub'))
  arguments = [run.path]
  if command == 'compare':
    arguments.append(imported(tmp_path / 'again', ['original']).path)
  if command == 'import':
    arguments = [f'--predictions={PREDICTIONS}', f'--output_dir={tmp_path / "run"}']
  code, out, err = tfeval(command, *arguments, f'--labels={tmp_path / "x.csv"}')
  assert code == 2 and not out and len(err.splitlines()) == 1
  assert "the label of ILSVRC2012_val_00000001.JPEG is 'tiger cub', expected" in err
  assert not (tmp_path / 'run').exists()
