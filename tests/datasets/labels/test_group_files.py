"""Files of groups in all their forms, and what is wrong with others."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from tfeval.datasets.labels import group_files
from tfeval.utils.errors import UserError

ROWS = [
  {'file_name': 'a.jpg', 'angle': 20, 'size': 0.5, 'dark': True, 'note': 'x, y'},
  {'file_name': 'b.jpg', 'angle': 0, 'size': None, 'dark': False, 'note': ''},
]


def write(path, rows):
  if path.suffix == '.jsonl':
    path.write_text('\n'.join(map(json.dumps, rows)) + '\n')
  elif path.suffix == '.parquet':
    parquet.write_table(pa.Table.from_pylist(rows), path)
  else:
    mark = '\t' if path.suffix == '.tsv' else ','
    cells = [list(rows[0])] + [list(row.values()) for row in rows]
    quoted = [[f'"{c}"' if ',' in str(c) else str(c) for c in line] for line in cells]
    lines = [mark.join(line).replace('None', '') for line in quoted]
    path.write_text('\n'.join(lines))
  return path


@pytest.mark.parametrize('suffix', ['.csv', '.tsv', '.jsonl', '.parquet'])
def test_every_form_says_the_same(tmp_path, suffix):
  found = group_files.read_groups(write(tmp_path / f'groups{suffix}', ROWS))
  assert found.ids.to_pylist() == ['a.jpg', 'b.jpg']
  columns = {name: texts.to_pylist() for name, texts in found.columns.items()}
  assert columns['angle'] == ['20', '0']
  assert columns['size'] == ['0.5', '']
  assert [text.lower() for text in columns['dark']] == ['true', 'false']
  assert columns['note'] == ['x, y', '']


def test_lists_inside_of_lines_are_left_out(tmp_path):
  rows = [{'id': 'a', 'boxes': [1, 2], 'kind': 'k'}, {'id': 'b', 'kind': 'l'}]
  found = group_files.read_groups(write(tmp_path / 'x.jsonl', rows))
  assert list(found.columns) == ['kind']


def imagenet_x(tmp_path):
  rows = [
    {
      'file_name': f'ILSVRC2012_val_{i:08d}.JPEG',
      'class': i,
      **{name: int(at == i % 16) for at, name in enumerate(group_files.IMAGENET_X)},
      'justification': f'picture {i}',
    }
    for i in range(1, 41)
  ]
  return write(tmp_path / 'imagenet_x_val_top_factor.jsonl', rows)


def test_of_imagenet_x_factors_alone_are_read(tmp_path):
  found = group_files.read_groups(imagenet_x(tmp_path))
  assert list(found.columns) == list(group_files.IMAGENET_X)
  assert len(found.ids) == 40 and 'is missing' in found.notes[0]


@pytest.mark.parametrize('line', ['{}', 'n01440764,{}'])
def test_prototypes_of_imagenet_x_are_left_out(tmp_path, line):
  path = imagenet_x(tmp_path)
  names = ['ILSVRC2012_val_00000003.JPEG', 'ILSVRC2012_val_00049999.JPEG']
  header = line.replace('n01440764', 'wnid').format('file_name')
  lines = [header, *map(line.format, names)]
  (tmp_path / 'prototypical_paths.csv').write_text('\n'.join(lines))
  found = group_files.read_groups(path)
  assert len(found.ids) == 39 and names[0] not in found.ids.to_pylist()
  assert '1 prototypes' in found.notes[0]


def test_prototypes_without_a_column_of_images(tmp_path):
  path = imagenet_x(tmp_path)
  (tmp_path / 'prototypical_paths.csv').write_text('a,b\n1,2\n')
  with pytest.raises(UserError, match='prototypical_paths.csv has the columns a, b'):
    group_files.read_groups(path)


@pytest.mark.parametrize(
  'name, content, what',
  [
    ('x.csv', 'a,b\n1,2\n', 'expected one of images'),
    ('x.csv', 'id,b\n1,2\n1,3\n', 'names 1 images more than once: 1'),
    ('x.csv', 'id\n1\n', 'has no groups'),
    ('x.csv', 'id,b\n', 'has no groups'),
    ('x.csv', 'id,b,b\n1,2,3\n', 'two columns of one name'),
    ('x.csv', '', 'is not a CSV file'),
    ('x.jsonl', '{"id": 1}\n[2]\n', 'an object of JSON on each line'),
    ('x.jsonl', '{"id": 1\n', 'is not JSON'),
    ('x.xlsx', '', 'expected a .csv'),
    ('x.parquet', 'PAR1', 'cannot read'),
  ],
)
def test_what_is_no_file_of_groups(tmp_path, name, content, what):
  (tmp_path / name).write_text(content)
  with pytest.raises(UserError, match=what):
    group_files.read_groups(tmp_path / name)
