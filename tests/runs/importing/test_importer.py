"""Imported predictions: known answers, every format, and what is refused."""

import dataclasses
import json
import pathlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.special
from sklearn.metrics import top_k_accuracy_score

from tfeval.datasets.labels import imagenet, sets
from tfeval.runs import run
from tfeval.runs.importing import arrays, importer, orders, sources
from tfeval.runs.importing.importer import ImportConfig
from tfeval.utils import arrow
from tfeval.utils.errors import UserError

ROWS = 60
NAMES = [
  imagenet.validation_name(int(n))
  for n in np.random.default_rng(5).permutation(50_000)[:ROWS] + 1
]
TRUTH = np.array(
  [
    imagenet.original_validation_labels()[imagenet.validation_number(n) - 1]
    for n in NAMES
  ]
)
ORIGINAL = ImportConfig(labels=(sets.LabelSource('original'),), partial=True)

# Correct of 50,000 original and of 46,837 ReaL labels, counted independently.
PUBLISHED = {
  'nasnetlarge_keras_imagenet': (40413, 47636, 40322, 45410),
  'resnet50_keras_imagenet': (35175, 44774, 36116, 43468),
  'mobilenetV2_keras_imagenet': (34988, 44743, 36079, 43504),
  'vgg16_keras_imagenet': (32620, 43099, 33850, 42226),
  'resnet152_pytorch_imagenet': (38804, 46911, 39375, 45011),
  'resnet50_pytorch_imagenet': (37531, 46238, 38398, 44613),
  'alexnet_pytorch_imagenet': (27251, 38822, 28472, 38518),
}


def all_scores(seed: int = 0) -> np.ndarray:
  """float32 logits [60, 1000]; about half of the answers are right."""
  rng = np.random.default_rng(seed)
  scores = rng.permutation(ROWS * 1000).reshape(ROWS, 1000).astype(np.float32) / 1e4
  # Other labels come third or fourth.
  right = np.where(rng.random(ROWS) < 0.5, 6.5, np.sort(scores, axis=1)[:, -3] + 1e-5)
  scores[:50][np.arange(50), TRUTH[:50]] = right[:50]
  return scores


def best(scores: np.ndarray, k: int, seed: int = 1):
  """The best classes and their probabilities, in no order."""
  probabilities = scipy.special.softmax(scores.astype(np.float64), axis=1)
  classes = np.argsort(-scores, axis=1)[:, :k]
  classes = np.random.default_rng(seed).permuted(classes, axis=1)
  return classes, np.take_along_axis(probabilities, classes, axis=1)


def ids_file(directory: pathlib.Path, names=NAMES) -> str:
  path = directory / 'ids.txt'
  path.write_text('\n'.join(names))
  return str(path)


def save(directory: pathlib.Path, array, name: str = 'model.npy') -> str:
  np.save(directory / name, array)
  return str(directory / name)


def imported(
  path: str, into: pathlib.Path, probabilities: str | None = None, **settings
) -> run.Run:
  (source,) = sources.find_sources(path, probabilities, str(into))
  return importer.import_predictions(source, dataclasses.replace(ORIGINAL, **settings))


def counts(run_: run.Run) -> dict:
  return {
    (m['labels'], m['name']): (m['correct'], m['count'], m['skipped'])
    for m in run_.metrics
  }


def counted_by_scikit_learn(scores: np.ndarray) -> dict:
  found = {
    k: int(
      top_k_accuracy_score(TRUTH, scores, k=k, labels=range(1000), normalize=False)
    )
    for k in (1, 5)
  }
  assert 0 < found[1] < found[5] < ROWS
  return {('original', f'top{k}'): (n, ROWS, 0) for k, n in found.items()}


# What is right


def test_the_seven_published_models(shared_data, tmp_path):
  found = sources.find_sources(str(shared_data / 'predictions'), None, str(tmp_path))
  real = str(shared_data / 'real' / 'real.json')
  settings = ImportConfig(
    tuple(sets.open_labels(['original', real])), order='class_folder'
  )
  runs = importer.import_all(found, settings)
  assert {r.result['model']['name']: counts(r) for r in runs} == {
    name: {
      ('original', 'top1'): (a, 50_000, 0),
      ('original', 'top5'): (b, 50_000, 0),
      ('real', 'top1'): (c, 46_837, 3163),
      ('real', 'top5'): (d, 46_837, 3163),
    }
    for name, (a, b, c, d) in PUBLISHED.items()
  }
  for made in runs:
    loaded = run.load_run(tmp_path / made.result['model']['name'])
    assert loaded == made and loaded.score() == made.metrics
  tied = [
    r.result['model']['name']
    for r in runs
    if '7 images have two best' in ' '.join(r.result['dataset']['notes'])
  ]
  assert tied == ['resnet152_pytorch_imagenet']


def test_class_folder_order_is_that_of_a_walk():
  truth = imagenet.original_validation_labels()
  wnids = imagenet.label_space().class_ids
  names = [imagenet.validation_name(n) for n in range(1, 50_001)]
  walked = sorted(range(50_000), key=lambda i: (wnids[truth[i]], names[i]))
  assert orders.named_ids('class_folder').to_pylist() == [names[i] for i in walked]
  assert orders.named_ids('file_name').to_pylist() == names


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('output', ['logits', 'probabilities'])
def test_all_outputs(tmp_path, dtype, output):
  scores = np.round(all_scores(), 2)
  if output == 'probabilities':
    scores = scipy.special.softmax(scores, axis=1)
  scores = scores.astype(dtype)
  # In order, as tools save arrays of a table too.
  for array in (scores, np.asfortranarray(scores)):
    made = imported(
      save(tmp_path, array), tmp_path / 'run', overwrite=True, order=ids_file(tmp_path)
    )
    assert made.result['model']['output'] == output
    # Ties: lowest class first, as a stable sort has it.
    ranked = np.argsort(-scores.astype(np.float64), axis=1, kind='stable')
    for k in (1, 5):
      hits = (ranked[:, :k] == TRUTH[:, None]).any(axis=1).sum()
      assert counts(made)['original', f'top{k}'] == (hits, ROWS, 0)


def test_all_outputs_against_scikit_learn(tmp_path):
  made = imported(
    save(tmp_path, all_scores()),
    tmp_path / 'run',
    order=ids_file(tmp_path),
    store_logits=True,
  )
  assert counts(made) == counted_by_scikit_learn(all_scores())
  table = pa.concat_tables(made.parts())
  np.testing.assert_array_equal(arrow.matrix(table['logits']), all_scores())
  expected = scipy.special.log_softmax(all_scores().astype(np.float64), axis=1)
  np.testing.assert_allclose(
    table['label_log_prob'].to_numpy(), expected[np.arange(ROWS), TRUTH], rtol=1e-6
  )
  assert table['image_sha256'].null_count == ROWS


def written(directory: pathlib.Path, kind: str, scores: np.ndarray, k: int) -> dict:
  """Writes predictions; returns the arguments of `imported`."""
  classes, probabilities = best(scores, k)
  order = {'order': ids_file(directory)}
  lists = {
    'id': NAMES,
    'classes': classes.tolist(),
    'probabilities': probabilities.tolist(),
  }
  wnids = np.array(imagenet.label_space().class_ids)
  path = directory / f'model.{kind.split()[0]}'
  if kind == 'npy pair':
    return {
      'path': save(directory, classes.astype(np.uint16)),
      **order,
      'probabilities': save(directory, probabilities, 'p.npy'),
    }
  if kind.startswith('npz'):
    arrays = [all_scores()] if kind == 'npz all' else [probabilities, classes]
    (np.savez if kind == 'npz pair' else np.savez_compressed)(path, *arrays)
    return {'path': str(path), **order}
  if kind == 'csv all':
    columns = np.random.default_rng(3).permutation(1000)
    lines = [','.join(['id', *wnids[columns]])]
    lines += [
      ','.join([name, *map(str, row[columns])])
      for name, row in zip(NAMES, scores, strict=True)
    ]
    path.write_text('\n'.join(lines))
  elif kind == 'parquet flat all':
    columns = np.random.default_rng(3).permutation(1000)
    pq.write_table(
      pa.table({'id': NAMES, **{str(c): scores[:, c] for c in columns}}), path
    )
  elif kind == 'parquet flat':
    columns = {f'class_{i + 1}': classes[:, i].astype(np.int16) for i in range(k)}
    columns |= {f'prob_{i + 1}': probabilities[:, i] for i in range(k)}
    pq.write_table(
      pa.table({**dict(sorted(columns.items(), reverse=True)), 'id': NAMES}), path
    )
  elif kind == 'csv':
    names = [f'{what}_{i}' for what in ('class', 'probability') for i in range(k)]
    path.write_text(
      '\n'.join(
        [','.join([*names, 'id'])]
        + [
          ','.join(map(str, [*c, *p, name]))
          for name, c, p in zip(
            NAMES, classes.tolist(), probabilities.tolist(), strict=True
          )
        ]
      )
    )
  else:
    if kind == 'parquet logs':
      lists['log_probs'] = np.log(lists.pop('probabilities')).tolist()
    elif kind == 'parquet all':
      lists = {'id': NAMES, 'logits': scores.tolist()}
    pq.write_table(pa.table(lists), path)
  return {'path': str(path)}


KINDS = [
  'npy pair',
  'npz pair',
  'npz packed',
  'npz all',
  'csv',
  'csv all',
  'parquet',
  'parquet logs',
  'parquet all',
  'parquet flat',
  'parquet flat all',
]


@pytest.mark.parametrize('kind', KINDS)
def test_every_format_gives_the_same_rows(tmp_path, kind):
  made = imported(into=tmp_path / 'run', **written(tmp_path, kind, all_scores(), 8))
  assert counts(made) == counted_by_scikit_learn(all_scores())
  table = pa.concat_tables(made.parts())
  assert table['id'].to_pylist() == NAMES
  assert table['label'].to_pylist() == TRUTH.tolist()
  ranked = np.argsort(-all_scores(), axis=1)[:, :8]
  np.testing.assert_array_equal(arrow.matrix(table['classes'])[:, :8], ranked)
  expected = scipy.special.log_softmax(all_scores().astype(np.float64), axis=1)
  np.testing.assert_allclose(
    arrow.matrix(table['log_probs'])[:, :8],
    np.take_along_axis(expected, ranked, axis=1),
    rtol=1e-5,
  )
  of_label = table['label_log_prob'].to_pylist()
  for i, label in enumerate(TRUTH):
    if label in ranked[i]:
      assert of_label[i] == pytest.approx(expected[i, label], rel=1e-5)
    elif 'all' not in kind:
      assert of_label[i] is None


def test_permuted_rows_change_no_integer(tmp_path):
  classes, probabilities = best(all_scores(), 5)
  expected = None
  for seed in range(5):
    order = np.random.default_rng(seed).permutation(ROWS)
    directory = tmp_path / str(seed)
    directory.mkdir()
    made = imported(
      save(directory, classes[order]),
      directory / 'run',
      save(directory, probabilities[order].astype(np.float32), 'p.npy'),
      order=ids_file(directory, [NAMES[i] for i in order]),
    )
    digest = made.result['dataset']['label_digest']
    expected = expected or (counts(made), digest)
    assert (counts(made), digest) == expected


def test_blocks_and_parts_change_no_integer(tmp_path, monkeypatch):
  path, order = save(tmp_path, all_scores()), ids_file(tmp_path)
  whole = imported(path, tmp_path / 'whole', order=order)
  monkeypatch.setattr(arrays, 'BLOCK', 7000)
  monkeypatch.setattr(importer, '_ROWS_PER_PART', 14)
  split = imported(path, tmp_path / 'split', order=order)
  assert [len(p) for p in split.parts(['id'])] == [14, 14, 14, 14, 4]
  assert split.metrics == whole.metrics
  for name in ('label_digest', 'content_digest'):
    assert split.result['dataset'][name] == whole.result['dataset'][name]


def test_equal_probabilities_rank_by_class(tmp_path):
  classes = np.tile([9, 3, 7], (ROWS, 1))
  classes[:, 1] = TRUTH % 2 + 3
  made = imported(
    save(tmp_path, classes),
    tmp_path / 'run',
    save(tmp_path, np.full((ROWS, 3), 0.25, np.float16), 'p.npy'),
    order=ids_file(tmp_path),
  )
  table = pa.concat_tables(made.parts(['classes']))
  assert arrow.matrix(table['classes']).tolist() == [[t % 2 + 3, 7, 9] for t in TRUTH]
  assert '60 images have two best classes' in ' '.join(made.result['dataset']['notes'])


def test_classes_alone_stand_best_first(tmp_path):
  ranked = np.argsort(-all_scores(), axis=1)[:, :5]
  made = imported(save(tmp_path, ranked), tmp_path / 'run', order=ids_file(tmp_path))
  assert counts(made) == counted_by_scikit_learn(all_scores())
  assert 'best first' in ' '.join(made.result['dataset']['notes'])
  table = pa.concat_tables(made.parts())
  assert table['log_probs'].null_count == table['label_log_prob'].null_count == ROWS
  assert np.isnan(arrow.matrix(table['log_probs'])).all()


@pytest.mark.parametrize('shape', [(ROWS,), (ROWS, 1)])
def test_a_single_class_gives_no_top5(tmp_path, shape):
  top1 = all_scores().argmax(axis=1).reshape(shape)
  made = imported(save(tmp_path, top1), tmp_path / 'run', order=ids_file(tmp_path))
  expected = counted_by_scikit_learn(all_scores())
  assert counts(made) == {key: n for key, n in expected.items() if key[1] == 'top1'}
  assert 'no top-5' in ' '.join(made.result['dataset']['notes'])
  assert made.score() == made.metrics


def test_labels_by_file_name_need_no_validation_images(tmp_path):
  names = [f'photo {i}.jpg' for i in range(4)]
  (tmp_path / 'mine.json').write_text(
    json.dumps(dict(zip(names, [[1, 2], 3, [], 5], strict=True)))
  )
  mine = tuple(sets.open_labels([str(tmp_path / 'mine.json')]))
  path = save(tmp_path, np.array([2, 4, 4, 5]))
  made = imported(
    path, tmp_path / 'run', order=ids_file(tmp_path, names), labels=mine, partial=False
  )
  assert counts(made) == {('mine', 'top1'): (2, 3, 1)}
  assert made.result['dataset']['name'] == 'unknown'
  assert counts(made) == {
    (m['labels'], m['name']): (m['correct'], m['count'], m['skipped'])
    for m in made.score(mine)
  }
  with pytest.raises(UserError, match='1 image is missing .*: photo 3.jpg'):
    imported(
      save(tmp_path, np.array([2, 4, 4])),
      tmp_path / 'other',
      labels=mine,
      order=ids_file(tmp_path, names[:3]),
      partial=False,
    )


# Run directories


def test_the_same_import_is_shown_as_it_is(tmp_path, caplog):
  caplog.set_level('INFO', 'tfeval')
  path, order = save(tmp_path, all_scores()), ids_file(tmp_path)
  made = imported(path, tmp_path / 'run', order=order)
  assert imported(path, tmp_path / 'run', order=order) == made
  assert 'is complete' in caplog.text
  for change in ({'order': ids_file(tmp_path, NAMES[::-1])}, {'store_logits': True}):
    with pytest.raises(UserError, match='holds another run'):
      imported(path, tmp_path / 'run', **{'order': order, **change})
  save(tmp_path, all_scores(2))
  ids_file(tmp_path)
  with pytest.raises(UserError, match='holds another run'):
    imported(path, tmp_path / 'run', order=order)
  assert imported(path, tmp_path / 'run', order=order, overwrite=True) != made


def test_other_files_are_not_touched(tmp_path):
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / 'thesis.txt').write_text('')
  with pytest.raises(UserError, match='holds no run'):
    imported(save(tmp_path, all_scores()), tmp_path / 'run', order=ids_file(tmp_path))


def test_a_failed_import_leaves_nothing(tmp_path):
  path = save(tmp_path, all_scores())
  with pytest.raises(UserError, match='are missing'):
    imported(path, tmp_path / 'run', order=ids_file(tmp_path), partial=False)
  assert not (tmp_path / 'run').exists()
  imported(path, tmp_path / 'run', order=ids_file(tmp_path))
  assert run.load_run(tmp_path / 'run').result['dataset']['partial']


# What is refused


def changed(at, value, array=None):
  array = all_scores() if array is None else array.copy()
  array[at] = value
  return array


CLASSES = best(all_scores(), 5)[0]
PROBABILITIES = scipy.special.softmax(all_scores(), axis=1)


@pytest.mark.parametrize(
  'array, said',
  [
    (changed((3, 7), np.nan), rf'row 3 \({NAMES[3]}\) has NaN or infinite scores'),
    (changed((59, 7), -np.inf), r'row 59 .* has NaN or infinite scores'),
    (changed((0, 0), np.inf).astype(np.float16), 'row 0 .*infinite'),
    (changed((2, 4), 1000, CLASSES), 'row 2 .*outside of 0 to 999.*counted from 1'),
    (changed((2, 4), -1, CLASSES), 'row 2 .*outside of 0 to 999'),
    (changed((2, 4), CLASSES[2, 0], CLASSES), 'row 2 .* a class twice'),
    (np.clip(all_scores(), 0, 1), 'row 0 .*say `output=logits'),
    (all_scores()[:, :999], r'holds floats \[60, 999\]'),
    (np.zeros((ROWS, 1001), np.float32), 'leave the background class out'),
    (np.zeros((ROWS, 5, 2), int), 'expected whole numbers'),
    (np.zeros((ROWS, 1001), int), 'expected .n, k.'),
    (np.zeros((ROWS, 0), int), 'expected .n, k.'),
    (np.zeros((0, 5), int), 'expected .n, k.'),
    (np.array(7), 'expected whole numbers'),
    (CLASSES > 4, 'holds bool'),
    (CLASSES.astype(str), 'holds <U'),
    (CLASSES.astype(complex), 'holds complex'),
    (CLASSES[:59], 'has 59 rows, `order=.*is of 60'),
  ],
)
def test_arrays_that_are_refused(tmp_path, array, said):
  with pytest.raises(UserError, match=said) as error:
    imported(save(tmp_path, array), tmp_path / 'run', order=ids_file(tmp_path))
  assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
  'at, value, said',
  [
    ((4, 1), np.nan, 'row 4 .*NaN'),
    ((4, 1), np.inf, 'row 4 .*infinite'),
    ((4, 1), -0.1, 'row 4 .*outside of 0 to 1'),
    ((4, 1), 1.5, 'row 4 .*outside of 0 to 1'),
    ((4, slice(0, 2)), 0.9, 'row 4 .*add up to'),
  ],
)
def test_probabilities_that_are_refused(tmp_path, at, value, said):
  path = save(tmp_path, CLASSES)
  wrong = save(tmp_path, changed(at, value, best(all_scores(), 5)[1]), 'p.npy')
  with pytest.raises(UserError, match=f'^{wrong}: {said}'):
    imported(path, tmp_path / 'run', wrong, order=ids_file(tmp_path))
  path = save(tmp_path, changed((2, 4), 1000, CLASSES))
  with pytest.raises(UserError, match=f'^{path}: row 2 .*outside of 0 to 999'):
    imported(
      path,
      tmp_path / 'run',
      save(tmp_path, best(all_scores(), 5)[1], 'p.npy'),
      order=ids_file(tmp_path),
    )


def test_pairs_that_do_not_fit(tmp_path):
  path = save(tmp_path, CLASSES)
  for array, said in (
    (CLASSES[:, :4] / 9e3, 'expected the same'),
    (CLASSES, 'p.npy: row 0 .* scores of type int64'),
  ):
    with pytest.raises(UserError, match=said):
      imported(
        path, tmp_path / 'run', save(tmp_path, array, 'p.npy'), order=ids_file(tmp_path)
      )
  with pytest.raises(UserError, match='expected an .npy beside'):
    imported(path, tmp_path / 'run', ids_file(tmp_path), order=ids_file(tmp_path))


def test_what_one_output_is_holds_for_all_rows(tmp_path, monkeypatch):
  monkeypatch.setattr(arrays, 'BLOCK', 10_000)
  with pytest.raises(UserError, match='row 33 .* add up to 2'):
    imported(
      save(tmp_path, changed(33, 2e-3, PROBABILITIES)),
      tmp_path / 'run',
      order=ids_file(tmp_path),
    )
  made = imported(
    save(tmp_path, np.clip(all_scores() / 20, 0, 1)),
    tmp_path / 'run',
    order=ids_file(tmp_path),
    output='logits',
  )
  assert made.result['model']['output'] == 'logits'


@pytest.mark.parametrize(
  'names, said',
  [
    (NAMES[:-1] + NAMES[:1], f'has 1 ids twice: {NAMES[0]}'),
    (NAMES[:-12] + [f'x{i:02d}' for i in range(12)], '12 images are none .*x09, ...'),
  ],
)
def test_ids_that_are_refused(tmp_path, names, said):
  with pytest.raises(UserError, match=said) as error:
    imported(save(tmp_path, CLASSES), tmp_path / 'run', order=ids_file(tmp_path, names))
  assert 'x10' not in str(error.value)


def test_missing_ids_are_listed(tmp_path):
  with pytest.raises(UserError, match='49940 images are missing') as error:
    imported(
      save(tmp_path, CLASSES), tmp_path / 'run', order=ids_file(tmp_path), partial=False
    )
  there = {imagenet.validation_number(name) for name in NAMES}
  first = [n for n in range(1, 99) if n not in there][:10]
  assert ', '.join(map(imagenet.validation_name, first)) + ', ...' in str(error.value)


def test_orders_that_are_none(tmp_path):
  path = save(tmp_path, CLASSES)
  for order, said in (
    (None, 'say which row is which image'),
    ('by_name', 'expected file_name'),
    ('class_folder', 'has 60 rows, .* is of 50000'),
  ):
    with pytest.raises(UserError, match=said):
      imported(path, tmp_path / 'run', order=order)


def test_another_class_order_is_named(tmp_path):
  by_ilsvrc_id = np.array(imagenet.ilsvrc_ids()) - 1
  with pytest.raises(UserError, match='in another order .(ILSVRC|ilsvrc).id'):
    imported(
      save(tmp_path, by_ilsvrc_id[TRUTH]), tmp_path / 'run', order=ids_file(tmp_path)
    )


def test_another_row_order_is_named(tmp_path):
  truth = np.array(imagenet.original_validation_labels())
  path = save(tmp_path, truth)
  with pytest.raises(UserError, match='with `order=file_name` it would be 50000'):
    imported(path, tmp_path / 'run', order='class_folder')
  save(tmp_path, np.sort(truth))
  with pytest.raises(UserError, match='with `order=class_folder` it would be 50000'):
    imported(path, tmp_path / 'run', order='file_name')


@pytest.mark.parametrize('other', orders.NAMED)
def test_another_row_order_than_that_of_a_list_is_named(tmp_path, other):
  order = orders.named_ids(other).to_pylist()
  truth = np.array(imagenet.original_validation_labels())
  truth = truth[[imagenet.validation_number(name) - 1 for name in order]]
  path = save(tmp_path, truth)
  wrong = ids_file(tmp_path, np.random.default_rng(2).permutation(order).tolist())
  with pytest.raises(UserError, match=f'with `order={other}` it would be 50000'):
    imported(path, tmp_path / 'run', order=wrong)
  by_ilsvrc_id = np.array(imagenet.ilsvrc_ids()) - 1
  save(tmp_path, by_ilsvrc_id[truth])
  with pytest.raises(UserError, match=f'(ILSVRC|ilsvrc).*rows in .*`order={other}`'):
    imported(path, tmp_path / 'run', order=wrong)


@pytest.mark.parametrize(
  'key, said',
  [
    (lambda i: NAMES[i], 'the ids of `order` sorted by file name it would be 60'),
    (lambda i: (TRUTH[i], NAMES[i]), 'sorted by wnid, then file name it would be 60'),
  ],
)
def test_another_row_order_of_some_images_is_named(tmp_path, key, said):
  in_order = sorted(range(ROWS), key=key)
  path = save(tmp_path, TRUTH[in_order])
  wrong = ids_file(tmp_path, [NAMES[i] for i in np.roll(in_order, 7)])
  with pytest.raises(UserError, match=said):
    imported(path, tmp_path / 'run', order=wrong)
  # What ten or fewer images have in common may be luck.
  few = sorted(range(10), key=key)
  save(tmp_path, TRUTH[few])
  wrong = ids_file(tmp_path, [NAMES[i] for i in np.roll(few, 1)])
  made = imported(path, tmp_path / 'run', order=wrong)
  assert any('AT CHANCE' in note for note in made.result['dataset']['notes'])


def test_chance_is_up_to_one_in_a_hundred(tmp_path):
  ids = orders.named_ids('file_name')
  truth = np.array(imagenet.original_validation_labels())
  top1 = (truth + np.random.default_rng(1).integers(1, 1000, len(truth))) % 1000
  right = np.arange(50_000) % 100 == 7
  top1[right] = truth[right]
  path = tmp_path / 'x.npy'
  assert 'AT CHANCE' in orders.explain_chance(path, top1, ids, 'file_name')
  top1[:1] = truth[:1]
  assert orders.explain_chance(path, top1, ids, 'file_name') is None
  for order in ('class_folder', 'list.txt'):
    with pytest.raises(UserError, match='with `order=file_name` it would be 501'):
      orders.explain_chance(path, top1, orders.named_ids('class_folder'), order)
  # Nothing is said of rows that have ids.
  assert 'AT CHANCE' in orders.explain_chance(
    path, top1, orders.named_ids('class_folder'), None
  )


def test_guesses_are_said_to_be_at_chance(tmp_path):
  path = save(tmp_path, (TRUTH + 13) % 1000)
  made = imported(path, tmp_path / 'run', order=ids_file(tmp_path))
  assert any('AT CHANCE' in note for note in made.result['dataset']['notes'])


class _Runs:
  """What a pickle would run."""

  def __reduce__(self):
    return (pathlib.Path('ran').write_text, ('',))


def test_nothing_that_is_read_is_run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  evil = np.array([_Runs()], object)
  np.save('x.npy', evil, allow_pickle=True)
  np.savez('y.npz', evil)
  (tmp_path / 'z.npy').write_bytes(evil.dumps())
  for name in ('x.npy', 'y.npz', 'z.npy'):
    with pytest.raises(UserError, match='never loaded'):
      imported(name, tmp_path / 'run', order=ids_file(tmp_path))
  assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('kind', KINDS)
def test_files_that_are_cut_or_changed(tmp_path, kind):
  arguments = written(tmp_path, kind, all_scores(), 5)
  path = pathlib.Path(arguments['path'])
  whole = path.read_bytes()
  rng = np.random.default_rng(0)
  for attempt in range(40):
    content = bytearray(whole)
    if attempt < 15:
      content = content[: rng.integers(0, len(whole))]
    else:
      for at in rng.integers(0, min(len(whole), 400), 4):
        content[at] = rng.integers(0, 256)
    path.write_bytes(content)
    try:
      imported(into=tmp_path / str(attempt), **arguments)
    except UserError as error:
      assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
  'content, said',
  [
    ('', 'has the columns'),
    ('id,class_1\n', 'no rows|Empty CSV'),
    ('id,guess\na,1', 'has the columns id, guess, expected'),
    ('id,class_1,class_1\na,1,2', "two columns called 'class_1'"),
    ('id,class_1,prob_1,prob_2\na,1,1,1', 'prob_2 has no class of the number 2'),
    ('id,class_1,class_2,prob_2\na,1,2,1', 'class_1 has no probability .* number 1'),
    ('id,class_0,class_1,prob_1,prob_2\na,1,2,1,0', 'class_0 has no probability'),
    ('id,class_1,class_3\na,1,2', 'has class_3 and no class of the number 2'),
    ('id,class_2,class_3\na,1,2', 'has class_3 and no class of the number 1'),
    ('id,class_1,class_01\na,1,2', 'class_1 and class_01: expected different numbers'),
    ('id,class_1,class2\na,1,2', 'class_1 and class2: expected names that differ in'),
    ('id,class_1,class_best\na,1,2', "column 'class_best' has no number"),
    ('id,class_1\na,x', "column class_1 has the cell 'x', expected whole numbers"),
    ('id,class_1,prob_1\na,1,x', "column prob_1 has the cell 'x', expected a number"),
    ('id,class_1\na', 'cannot be read: .*Expected 2 columns, got 1'),
    ('id,class_1\na,', 'column class_1 has an empty cell'),
    ('id,class_1,prob_1\na,1,nan', 'column prob_1 has an empty cell or NaN'),
    ('id,class_1\na,1.5', "'1.5', expected whole numbers.*by index"),
    (
      ','.join(['id', *(f'class_{i}' for i in range(1000))]) + '\na' + ',0.5' * 1000,
      "column class_0 has the cell '0.5', expected whole numbers",
    ),
    ('class_1\n1', 'has no ids'),
  ],
)
def test_csv_that_is_refused(tmp_path, content, said):
  (tmp_path / 'x.csv').write_text(content)
  with pytest.raises(UserError, match=said) as error:
    imported(str(tmp_path / 'x.csv'), tmp_path / 'run')
  assert len(str(error.value).splitlines()) == 1


def csv_file(directory: pathlib.Path, columns: dict) -> str:
  """Writes columns in their order."""
  lines = [','.join(columns)] + [
    ','.join(map(str, row)) for row in zip(*columns.values(), strict=True)
  ]
  (directory / 'model.csv').write_text('\n'.join(lines))
  return str(directory / 'model.csv')


# Where columns stand in a file: reversed, sorted as texts (class_10 before class_2),
# probabilities the other way round than their classes, all shuffled.
ARRANGED = {
  'reversed': lambda names: names[::-1],
  'as texts': sorted,
  'swapped': lambda names: names[11::-1] + names[12:],
  'shuffled': lambda names: np.random.default_rng(4).permutation(names).tolist(),
}


@pytest.mark.parametrize('first', [0, 1])
@pytest.mark.parametrize('paired', [False, True])
@pytest.mark.parametrize('how', ARRANGED)
def test_columns_are_known_by_their_numbers(tmp_path, how, paired, first):
  scores = all_scores()
  if paired:
    classes, probabilities = best(scores, 12)
  else:
    classes, probabilities = np.argsort(-scores, axis=1)[:, :12], np.empty((ROWS, 0))
  columns = {f'class_{i + first}': c for i, c in enumerate(classes.T)}
  columns |= {f'prob_{i + first}': p for i, p in enumerate(probabilities.T)}
  arranged = {name: columns[name] for name in ARRANGED[how](list(columns))}
  assert list(arranged) != list(columns)
  made = imported(csv_file(tmp_path, {**arranged, 'id': NAMES}), tmp_path / 'run')
  table = pa.concat_tables(made.parts())
  ranked = np.argsort(-scores, axis=1)[:, :12]
  np.testing.assert_array_equal(arrow.matrix(table['classes']), ranked)
  if paired:
    expected = scipy.special.log_softmax(scores.astype(np.float64), axis=1)
    np.testing.assert_allclose(
      arrow.matrix(table['log_probs']),
      np.take_along_axis(expected, ranked, 1),
      rtol=1e-5,
    )


@pytest.mark.parametrize(
  'columns, said',
  [
    (
      {'id': NAMES[:2], 'x': [1, 2]},
      'has the columns id, x, expected .* class_1 .*; or lists: classes with',
    ),
    (
      {'id': NAMES[:2], 'log_probs': [[1, 2], [1, 2]]},
      'has the columns id, log_probs, expected id and classes with',
    ),
    (
      {'id': NAMES[:2], 'class_1': [0.5, 0.2]},
      'column class_1 is double, expected whole numbers',
    ),
    ({'id': NAMES[:2], 'class_1': [1, None]}, 'column class_1 has an empty cell'),
    (
      {'id': NAMES[:2], 'class_1': [1, 2], 'prob_1': ['a', 'b']},
      'column prob_1 is string, expected numbers',
    ),
    ({'id': NAMES[:2], 'class_1': [1, 2], 'prob_2': [0.5, 0.2]}, 'has no probability'),
    ({'id': NAMES[:2], 'classes': [[1, 2], [3]]}, 'equally long'),
    ({'id': NAMES[:2], 'classes': [[1, 2], None]}, 'equally long'),
    ({'id': NAMES[:2], 'classes': [[1, None], [3, 4]]}, 'equally long'),
    ({'id': NAMES[:2], 'classes': ['a', 'b']}, 'equally long'),
    ({'id': [NAMES[0], None], 'classes': [1, 2]}, '1 rows have no id'),
    ({'id': NAMES[:2], 'logits': [[0.1], [0.2]]}, 'logits has 1 values'),
    (
      {'id': NAMES[:2], 'classes': [1, 2], 'probabilities': [[0.1, 0.2], [0.3, 0.1]]},
      'probabilities has 2 values in a row, expected 1',
    ),
    ({'id': pa.array([], pa.string()), 'classes': pa.array([], pa.int64())}, 'no rows'),
    ({'classes': [1, 2]}, 'has no ids'),
  ],
)
def test_parquet_that_is_refused(tmp_path, columns, said):
  pq.write_table(pa.table(columns), tmp_path / 'x.parquet')
  with pytest.raises(UserError, match=said):
    imported(str(tmp_path / 'x.parquet'), tmp_path / 'run')


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
  monkeypatch.setattr(arrays, '_LARGEST_MEMBER', 1000)
  np.savez_compressed(tmp_path / 'x.npz', np.zeros((ROWS, 1000), np.float32))
  with pytest.raises(UserError, match='unpacks to 240128 bytes'):
    imported(str(tmp_path / 'x.npz'), tmp_path / 'run', order=ids_file(tmp_path))


@pytest.mark.parametrize('beside', [True, False])
def test_published_columns_that_are_not_best_first(shared_data, tmp_path, beside):
  """Keras' resnet50: 70.35 % by its probabilities, 32.46 % by its first column."""
  name = 'resnet50_keras_imagenet_top5preds.npy'
  there = shared_data / 'predictions/keras_imagenet'
  for one in [name, *[name.replace('preds', 'probs')] * beside]:
    (tmp_path / one).symlink_to(there / one)
  (source,) = sources.find_sources(str(tmp_path / name), None, str(tmp_path / 'run'))
  config = ImportConfig(tuple(sets.open_labels(['original'])), order='class_folder')
  run = importer.import_predictions(source, config)
  correct, notes = run.metrics[0].correct, ' '.join(run.result.dataset.notes)
  if beside:
    assert correct == 35_175 and 'do not have their best class first' in notes
  else:
    assert correct == 16_232
    assert 'the columns hit 16,232, 12,426, 8,423, 5,232, 2,461 times' in notes
