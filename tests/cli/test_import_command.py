"""`tfeval import`, and `tfeval score` against other labels and over subsets."""

import csv
import json
import re
import shutil
import subprocess
import sys

import nasty
import numpy as np
import pytest
import scipy.stats

from tfeval.datasets.labels import imagenet
from tfeval.utils.printable import decimal_text

ROWS = 20
NAMES = [imagenet.validation_name(n) for n in range(101, 101 + ROWS)]
TRUTH = np.array(imagenet.original_validation_labels()[100 : 100 + ROWS])
# The first class is right in rows 0 to 7, the second in rows 8 to 11.
CLASSES = np.stack(
  [
    np.where(np.arange(ROWS) < 8, TRUTH, (TRUTH + 1) % 1000),
    np.where(np.arange(ROWS) < 12, (TRUTH + 2) % 1000, 7),
    *((TRUTH + 500 + i) % 1000 for i in range(3)),
  ],
  axis=1,
)
CLASSES[8:12, 1] = TRUTH[8:12]


@pytest.fixture
def files(tmp_path):
  np.save(tmp_path / 'mine.npy', CLASSES)
  (tmp_path / 'ids').write_text('\n'.join(NAMES))
  (tmp_path / 'real.json').write_text(
    json.dumps(
      {
        name: [] if i % 5 == 0 else [int(TRUTH[i]), int(TRUTH[i] + 1) % 1000]
        for i, name in enumerate(NAMES)
      }
    )
  )
  return tmp_path


@pytest.fixture
def imported(files, tfeval):
  """A run of 20 images with original and ReaL labels."""
  code, out, err = tfeval(
    *import_of(files), f'--labels={files}/real.json', '--labels=original', '--json'
  )
  where = f'tfeval: the result and the predictions are in {files}/run\n'
  assert (code, err) == (0, where)
  return json.loads(out)[0]


def import_of(files, *flags):
  return (
    'import',
    f'--predictions={files}/mine.npy',
    f'--order={files}/ids',
    '--partial',
    f'--output_dir={files}/run',
    *flags,
  )


def counts(result) -> dict:
  return {
    f'{m["labels"]}/{m["name"]}': (m['correct'], m['count'], m['skipped'])
    for m in result['metrics']
  }


EXPECTED = {
  'real/top1': (16, 16, 4),
  'real/top5': (16, 16, 4),
  'original/top1': (8, 20, 0),
  'original/top5': (12, 20, 0),
}


def test_import_prints_json(imported, files):
  assert counts(imported) == EXPECTED
  assert imported['model']['name'] == 'mine'
  assert imported['dataset']['partial'] and imported['protocol'] == {'name': 'unknown'}
  assert json.loads((files / 'run' / 'result.json').read_text()) == imported


def test_import_prints_a_table(files, tfeval):
  code, out, err = tfeval(*import_of(files))
  where = f'tfeval: the result and the predictions are in {files}/run\n'
  assert (code, err) == (0, where)
  assert re.search(r'mine +top-1 +8 +20 +0 +40.00', out)
  assert re.search(r'\(partial\) +top-5 +12 +20 +0 +60.00', out)
  assert 'PARTIAL: some 20 examples only' in ' '.join(out.split())
  assert 'taken to stand best first' in ' '.join(out.split())


def test_the_state_of_a_single_metric_is_shown(files, tfeval):
  np.save(files / 'mine.npy', CLASSES[:, 0])
  _, out, _ = tfeval(*import_of(files))
  assert re.search(r'mine +top-1 +8.*\n\(partial\)', out)
  assert 'no top-5' in ' '.join(out.split())


def test_the_flagfile_repeats_the_import(imported, files, tfeval):
  code, out, _ = tfeval(
    'import',
    f'--flagfile={files}/run/flags.txt',
    '--json',
    f'--output_dir={files}/again',
  )
  assert code == 0
  again = json.loads(out)[0]
  assert {**again, 'timing': 0} == {**imported, 'timing': 0}


def test_the_flagfile_repeats_an_import_of_any_name(files, tfeval):
  folder = files / "a\n--overwrite\n '#\x1b[31m\u2028 "
  folder.mkdir()
  name = f'-{nasty.ALL}.npy'.replace('/', '')
  for file in (files / 'mine.npy', files / 'ids', files / 'real.json'):
    shutil.copy(file, folder / (name if file.suffix == '.npy' else file.name))
  code, out, err = tfeval(
    'import',
    f'--predictions={folder / name}',
    f'--order={folder}/ids',
    f'--labels={folder}/real.json',
    '--partial',
    '--json',
    f'--output_dir={files}/first',
  )
  assert code == 0, err
  lines = (files / 'first/flags.txt').read_text().splitlines()
  assert [line.partition('=')[0].partition(':')[0] for line in lines] == [
    *('--predictions', '--labels', '--order', '--partial')
  ]
  code, again, err = tfeval(
    'import',
    f'--flagfile={files}/first/flags.txt',
    '--json',
    f'--output_dir={files}/again',
  )
  assert code == 0, err
  first, second = json.loads(out)[0], json.loads(again)[0]
  assert {**first, 'timing': 0} == {**second, 'timing': 0}
  assert tfeval('verify', files / 'again')[0] == 0


def test_score_agrees_with_import(imported, files, tfeval):
  code, out, err = tfeval('score', files / 'run', '--json')
  assert (code, err) == (0, '')
  assert counts(json.loads(out)[0]) == EXPECTED


def test_score_against_other_labels(imported, files, tfeval):
  (files / 'first.csv').write_text(
    '\n'.join(
      [
        'id,label',
        *(f'{name},{c}' for name, c in zip(NAMES[:9], CLASSES[:9, 0], strict=True)),
      ]
    )
  )
  code, out, err = tfeval(
    'score',
    files / 'run',
    '--json',
    '--labels=original',
    f'--labels={files}/first.csv',
    '--labels=real',
  )
  assert (code, err) == (0, '')
  result = json.loads(out)[0]
  assert counts(result) == {
    'first/top1': (9, 9, 11),
    'first/top5': (9, 9, 11),
    **EXPECTED,
  }
  assert [m['labels'] for m in result['metrics'][::2]] == ['original', 'first', 'real']
  assert 'subset' not in result
  _, out, _ = tfeval('score', files / 'run', f'--labels={files}/first.csv')
  assert re.search(r'first top-1 +9 +9 +11 +100.00', out)
  assert (
    tfeval(
      'score',
      files / 'run',
      f'--labels={files}/first.csv',
      '--expect=first/top1:0.5:0.1',
    )[0]
    == 1
  )


def test_score_of_a_subset(imported, files, tfeval):
  (files / 'omit').write_text('\n'.join(NAMES[:6]))
  code, out, err = tfeval('score', files / 'run', f'--omit={files}/omit', '--json')
  assert (code, err) == (0, '')
  result = json.loads(out)[0]
  # Of rows 6 to 19 two are right at once and six in all; 10 and 15 have no ReaL label.
  subset = {
    'original@subset/top1': (2, 14, 0),
    'original@subset/top5': (6, 14, 0),
    'real@subset/top1': (12, 12, 2),
    'real@subset/top5': (12, 12, 2),
  }
  assert counts(result) == {**EXPECTED, **subset}
  assert result['subset'] == {
    'keep': None,
    'omit': f'{files}/omit',
    'images': 14,
    'of': 20,
  }
  (files / 'keep').write_text(json.dumps(NAMES[6:]))
  (files / 'keep').rename(files / 'keep.json')
  for flags in (
    [f'--keep={files}/keep.json'],
    [f'--keep={files}/keep.json', f'--omit={files}/omit'],
  ):
    _, out, _ = tfeval('score', files / 'run', *flags, '--json')
    assert counts(json.loads(out)[0]) == {**EXPECTED, **subset}
  _, out, _ = tfeval('score', files / 'run', f'--omit={files}/omit')
  assert re.search(r'ReaL top-1 subset +12 +12 +2', out)
  assert 'subset: 14 of 20 images' in ' '.join(out.split())
  assert (
    tfeval(
      'score',
      files / 'run',
      f'--omit={files}/omit',
      '--expect=original@subset/top1:0.143:0.001',
    )[0]
    == 0
  )


def test_score_with_another_interval_and_k(imported, files, tfeval):
  code, out, err = tfeval(
    'score',
    files / 'run',
    '--json',
    '--metrics=top2',
    '--interval=clopper_pearson',
    '--labels=original',
  )
  (metric,) = json.loads(out)[0]['metrics']
  assert (code, err) == (0, '')
  expected = scipy.stats.binomtest(metric['correct'], ROWS).proportion_ci()
  assert metric['interval'] == {
    'method': 'clopper_pearson',
    'level': 0.95,
    'low': pytest.approx(expected.low),
    'high': pytest.approx(expected.high),
  }
  assert tfeval('score', files / 'run', '--interval=clopper_pearson')[2] == ''


def test_score_with_metrics(imported, files, tfeval):
  code, out, err = tfeval(
    'score',
    files / 'run',
    '--json',
    '--metrics=top1, top10',
    '--metrics=class_balanced,top1',
    '--labels=original',
  )
  assert (code, err) == (0, '')
  top1, top10, balanced = json.loads(out)[0]['metrics']
  assert (top1['correct'], top1['count']) == (8, 20)
  assert top10['unavailable'] == ('needs 10 ranked classes of each image, 5 are stored')
  by_class = {c: [] for c in TRUTH.tolist()}
  for label, right in zip(TRUTH.tolist(), np.arange(ROWS) < 8, strict=True):
    by_class[label].append(right)
  assert balanced['value'] == pytest.approx(
    np.mean([np.mean(right) for right in by_class.values()])
  )
  code, out, err = tfeval('score', files / 'run', '--metrics=top1,top10,ece')
  assert (code, err) == (0, '')
  assert re.search(r'mine +top-1 +8 +20 +0 +40.00', out)
  assert re.search(r'top-10 +- +20 +0 +- +-\n', out)
  assert re.search(r'mine +ece +20 +0 +-\n', out)
  assert (
    'no ece, ReaL ece: needs probabilities, which these rows do not have'
    in ' '.join(out.split())
  )
  assert (
    tfeval(
      'score',
      files / 'run',
      '--metrics=class_balanced',
      '--labels=original',
      '--expect=original/class_balanced:0.9:0.1',
    )[0]
    == 1
  )
  code, _, err = tfeval(
    'score',
    files / 'run',
    '--metrics=nll',
    '--labels=original',
    '--expect=original/nll:1.5:0.1',
  )
  assert code == 1 and 'nll is nothing, expected 1.5' in err


def test_score_by_class(imported, files, tfeval):
  code, out, err = tfeval(
    'score', files / 'run', f'--per_class={files}/out.csv', '--confusions=2', '--json'
  )
  assert code == 0
  assert re.fullmatch(
    r'tfeval: \S+: real is not one label for each image: .*\n'
    rf'tfeval: the classes are in {files}/out.csv\n',
    err,
  )
  with open(files / 'out.csv', newline='') as file:
    lines = list(csv.DictReader(file))
  assert [line['class'] for line in lines] == [str(c) for c in range(1000)]
  for c, line in enumerate(lines):
    mine = np.flatnonzero(TRUTH == c)
    assert (line['model'], line['labels']) == ('mine', 'original')
    assert (line['wnid'], line['name']) == (
      imagenet.label_space().class_ids[c],
      imagenet.label_space().class_names[c],
    )
    assert [int(line[key]) for key in ('count', 'top1', 'top5')] == [
      len(mine),
      (mine < 8).sum(),
      (mine < 12).sum(),
    ]
    assert line['top1_rate'] == (decimal_text((mine < 8).mean()) if len(mine) else '')
  found = json.loads(out)[0]['confusions']
  pairs = [(int(t), int(p)) for t, p in zip(TRUTH[8:], CLASSES[8:, 0], strict=True)]
  assert len(found) == 2
  for pair in found:
    key = pair['label'], pair['predicted']
    assert pair['count'] == pairs.count(key) > 0
    assert pair['of'] == (pair['label'] == TRUTH).sum()
    assert pair['label_name'] == imagenet.label_space().class_names[key[0]]
    assert pair['predicted_name'] == imagenet.label_space().class_names[key[1]]
  _, out, _ = tfeval('score', files / 'run', '--confusions=1')
  name = imagenet.label_space().class_names[found[0]['label']].replace('_', ' ')
  assert f'{name} ({found[0]["label"]})' in out


def test_score_by_class_needs_one_label(imported, files, tfeval):
  code, out, err = tfeval('score', files / 'run', '--labels=real', '--confusions=2')
  assert (code, out) == (2, '')
  assert 'need one label for each image, real of' in err
  code, _, err = tfeval('score', files / 'run', f'--per_class={files}/none/x.csv')
  assert code == 2 and f'the folder {files}/none does not exist' in err


def test_verify(imported, files, tfeval):
  code, out, err = tfeval('verify', files / 'run')
  assert (code, err) == (0, '')
  first, *checks = out.splitlines()
  assert first == str(files / 'run')
  assert len(checks) == 14 and {line.split()[0] for line in checks} == {'ok'}
  code, out, err = tfeval('verify', files / 'run', '--json')
  assert (code, err) == (0, '')
  (verified,) = json.loads(out)
  assert verified['ok'] and verified['run'] == str(files / 'run')
  assert len(verified['checks']) == 14
  assert all(set(c) == {'name', 'state', 'seen'} for c in verified['checks'])


def test_verify_fails(imported, files, tfeval):
  imported['metrics'][0]['correct'] += 1
  (files / 'run' / 'result.json').write_text(json.dumps(imported))
  code, out, err = tfeval('verify', files / 'run')
  assert (code, err) == (1, f'tfeval: 1 of 1 runs failed: {files}/run\n')
  assert 'FAILED metrics real/top1: correct is 17, the rows give 16' in (
    ' '.join(out.split())
  )
  code, out, err = tfeval('verify', files / 'run', '--json')
  assert (code, json.loads(out)[0]['ok']) == (1, False)


@pytest.mark.parametrize(
  'arguments, said',
  [
    ((), 'no run was given'),
    (('nowhere',), 'nowhere is not a run directory'),
    (('nowhere', '--jsn'), 'Did you mean: json?'),
  ],
)
def test_verify_mistakes(tfeval, arguments, said):
  code, out, err = tfeval('verify', *arguments)
  assert (code, out) == (2, '')
  assert said in err and err.count('\n') == 1


@pytest.mark.parametrize(
  'flags, said',
  [
    ((), 'no predictions were given'),
    (('x.npy', '--predictions=x.npy'), 'unexpected argument'),
    (('--predictions=nowhere.npy', '--order=file_name'), 'is not a file'),
    (('--predictions=ids', '--order=file_name'), 'expected an .npy, .npz, .csv or'),
    (('--predictions=mine.npy',), 'say which row is which image'),
    (('--predictions=mine.npy', '--order=file_name'), 'has 20 rows'),
    (('--predictions=mine.npy', '--order=ids'), '49980 images are missing'),
    (('--predictions=mine.npy', '--order=ids', '--labels=real'), 'give the path'),
    (('--predictions=mine.npy', '--order=ids', '--labels=x'), 'labels x: expected'),
    (
      ('--predictions=mine.npy', '--order=ids', '--partial', '--store_logits'),
      'no scores of all classes',
    ),
    (('--predictions=mine.npy', '--order=ids', '--labels=short.json'), '3 entries'),
    (
      (
        '--predictions=mine.npy',
        '--order=ids',
        '--partial',
        '--labels=original',
        '--labels=other.json',
      ),
      'ids are neither of',
    ),
  ],
)
def test_import_mistakes_are_told_in_one_line(files, tfeval, monkeypatch, flags, said):
  monkeypatch.chdir(files)
  (files / 'short.json').write_text('[[1], [2], [3]]')
  (files / 'other.json').write_text('{"cat.jpg": 1}')
  code, out, err = tfeval('import', '--output_dir=run', *flags)
  assert (code, out) == (2, '')
  assert re.fullmatch(r'tfeval: [^\n]+\n', err)
  assert said in err


@pytest.mark.parametrize(
  'flags, said',
  [
    (('--metrics=top1,ecc',), "unknown metric 'ecc': did you mean ece?"),
    (('--metrics=',), "unknown metric ''"),
    (('--confusions=-1',), '-1'),
    (('--labels=real',), 'stores no ReaL labels: give the path of real.json'),
    (('--labels=other.json',), 'ids are neither of'),
    (('--keep=other.json',), 'is not a list of ids'),
    (('--keep=unknown',), '--keep: 1 of 1 ids are none of the 20 images: cat.jpg'),
    (('--omit=ids',), 'leave none of the 20 images'),
  ],
)
def test_score_mistakes_are_told_in_one_line(files, tfeval, monkeypatch, flags, said):
  monkeypatch.chdir(files)
  assert tfeval(*import_of(files))[0] == 0
  (files / 'other.json').write_text('{"cat.jpg": 1}')
  (files / 'unknown').write_text('cat.jpg')
  code, out, err = tfeval('score', 'run', *flags)
  assert (code, out) == (2, '')
  assert re.fullmatch(r'tfeval: [^\n]+\n', err)
  assert said in err


def test_a_run_of_a_newer_schema(imported, files, tfeval):
  path = files / 'run' / 'result.json'
  path.write_text(json.dumps({**imported, 'schema_version': 9}))
  code, _, err = tfeval('score', files / 'run')
  assert code == 2 and 'has schema version 9' in err


def test_a_file_that_is_wrong_does_not_stop_the_others(files, tfeval):
  (files / 'all').mkdir()
  np.save(files / 'all' / 'good.npy', CLASSES)
  np.save(files / 'all' / 'bad.npy', CLASSES + 999)
  code, out, err = tfeval(
    'import',
    f'--predictions={files}/all',
    f'--order={files}/ids',
    '--partial',
    f'--output_dir={files}/runs',
  )
  assert code == 2
  assert re.search(r'good +top-1 +8 ', out) and re.search(r'bad +failed', out)
  assert 'outside of 0 to 999' in ' '.join(out.split())
  assert err == (
    f'tfeval: the result and the predictions are in {files}/runs/good\n'
    'tfeval: 1 of 2 models failed: bad\n'
  )


def test_nothing_slow_is_imported(files):
  command = [*import_of(files), f'--labels={files}/real.json']
  code = (
    'import sys\nfrom tfeval import cli\n'
    f'assert cli.main({command}) == 0\n'
    f'assert cli.main(["score", "{files}/run"]) == 0\n'
    'print(*{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], check=True, text=True, capture_output=True
  )
  slow = {'tensorflow', 'keras', 'tensorflow_datasets', 'scipy', 'pandas'}
  assert 'pyarrow' in done.stderr.split() and not slow & set(done.stderr.split())
