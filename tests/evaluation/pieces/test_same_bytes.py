"""Pieces out of order, some twice, by several workers: the bytes of one process."""

import shutil

import container_writers as writers
import in_pieces
import numpy as np
import pytest
import small_models
from evaluations import make_inputs

from tfeval.datasets.labels import imagenet

IMAGES = 13
SKIP = '--on_error=skip'


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
  """Flags of a small model on thirteen images: of two a batch, the last is not full."""
  flags = make_inputs(tmp_path_factory.mktemp('inputs'), IMAGES)[1:]
  return [*flags, '--batch_size=2']


@pytest.fixture(scope='module')
def folder(inputs):
  return in_pieces.folder_of(inputs)


@pytest.fixture(scope='module')
def broken(inputs, folder, tmp_path_factory):
  """The same with broken images: first, last, a whole batch, a whole piece of four."""
  out = tmp_path_factory.mktemp('broken') / 'images'
  shutil.copytree(folder, out)
  for position in (0, 2, 3, 8, 9, 10, 11, 12):
    sorted(out.iterdir())[position].write_bytes(b'')
  return [*in_pieces.without(inputs, '--dataset'), f'--dataset=folder:{out}', SKIP]


@pytest.fixture(scope='module')
def containers(folder, tmp_path_factory):
  """The same images as shards, of which one has more than the other."""
  root = tmp_path_factory.mktemp('containers')
  photos = [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]
  labels = np.array(imagenet.original_validation_labels()[:IMAGES])
  for number, part in enumerate((slice(0, 5), slice(5, None))):
    writers.write_shard(root / f'shard-{number:03d}.tar', photos[part], labels[part])
    writers.write_parquet(
      root / f'parquet/data/validation-{number:05d}-of-00002.parquet',
      photos[part],
      labels[part],
      imagenet.label_space().class_ids,
      row_group_size=3,
    )
  return root


@pytest.fixture
def same(tmp_path):
  """Holds that pieces make the runs of one process, and nothing beside them stays."""

  def check(flags, size, kind='evaluate', seed=0, workers=2):
    expected = in_pieces.whole(flags, tmp_path / 'whole', kind)
    assert expected
    output = tmp_path / 'pieces'
    planned = in_pieces.plan([*flags, f'--piece_images={size}'], output, kind)
    in_pieces.do_in_disorder(planned, seed, workers)
    assert in_pieces.runs_of(output) == {}
    assert {one.path.name for one in in_pieces.join(planned)} == expected.keys()
    assert in_pieces.runs_of(output) == expected
    assert in_pieces.others_of(output) == {'plan.json', planned[1].root.name}
    return planned, expected

  return check


# Of two rows a batch and four a part: less, as many, more, and no multiple.
@pytest.mark.parametrize(
  'size', [6, *[pytest.param(n, marks=pytest.mark.slow) for n in (2, 4, 8, 10, 20)]]
)
@pytest.mark.parametrize(
  'more',
  [
    ('--rows_per_part=4',),
    pytest.param(('--rows_per_part=3', '--store_logits'), marks=pytest.mark.slow),
    pytest.param(('--rows_per_part=100',), marks=pytest.mark.slow),
  ],
  ids=' '.join,
)
def test_pieces_and_parts_of_any_size(inputs, same, size, more):
  planned, _ = same([*inputs, *more], size)
  assert planned[0].count == -(-IMAGES // size)


HOWS = {
  'a model of features and logits': ('--store_logits', '--store_features'),
  'ranked on the device': ('--rank_on=device',),
  'resized on the device': ('--resize_on=device', '--protocol=opencv', '--canvas=256'),
  'corrupted': ('--corruption=gaussian_noise:3',),
  'compiled': ('--jit', '--store_logits'),
  'sampled': ('--sample=7',),
  'with metrics': ('--metrics=ece,nll',),
  'with crops': ('--tta=flip',),
  'looked at first': ('--preflight=warn',),
}
QUICK = ('a model of features and logits',)


@pytest.mark.parametrize(
  'how',
  [
    *QUICK,
    *[pytest.param(n, marks=pytest.mark.slow) for n in HOWS if n not in QUICK],
  ],
)
def test_whatever_is_computed(inputs, same, how):
  same([*inputs, '--rows_per_part=4', *HOWS[how]], 6)


@pytest.mark.parametrize(
  'size', [4, *[pytest.param(n, marks=pytest.mark.slow) for n in (2, 6, 20)]]
)
def test_broken_images_are_skipped_also_whole_pieces_of_them(broken, same, size):
  planned, expected = same([*broken, '--rows_per_part=4'], size)
  (content,) = expected.values()
  assert content['result.json']['dataset']['evaluated'] == IMAGES - 8
  if size == 4:  # Of the last two pieces no image can be read.
    assert [one.rows for one in in_pieces.records_of(planned)] == [1, 4, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize('name', ['parquet', 'webdataset'])
def test_containers(inputs, containers, same, name):
  names = {
    'parquet': f'parquet:{containers}/parquet',
    'webdataset': f'webdataset:{containers}/shard-{{000..001}}.tar',
  }
  flags = in_pieces.without(inputs, '--dataset')
  same([*flags, '--rows_per_part=4', f'--dataset={names[name]}'], 4)


@pytest.mark.slow
def test_several_models_and_sets_have_runs_of_their_own(
  inputs, broken, same, tmp_path_factory
):
  other = tmp_path_factory.mktemp('other') / 'other.keras'
  small_models.build().save(other)
  (data,) = (flag for flag in broken if flag.startswith('--dataset='))
  flags = [*in_pieces.without(inputs, '--name', '--protocol'), data, SKIP]
  flags += [f'--model={other}', '--protocol=slim:rounding=nearest,crop=none']
  planned, expected = same(
    [*flags, '--corruption=none', '--corruption=brightness:2'], 6, workers=1
  )
  assert len(planned[0].runs) == len(expected) == 8
