"""`tfeval report` and `tfeval figure`: files, kinds, what cannot be made."""

import json
import re
import shutil
import sys

import numpy as np
import pytest

from tfeval.reports.page import render

N = 120


@pytest.fixture
def runs(store_run):
  """Two runs of the same images; their folder."""
  random = np.random.default_rng(0)
  labels = random.integers(0, 1000, N)
  for name, share in (('one', 0.8), ('two', 0.5)):
    right = random.random(N) < share
    first = np.where(right, labels, (labels + 7) % 1000)
    run = store_run(name, first, labels, where=f'runs/{name}')
  return run.path.parent


def refused(result):
  code, out, err = result
  assert (code, out) == (2, '')
  assert err.count('\n') == 1
  return err


def test_a_page_is_written_and_said(tfeval, runs, tmp_path):
  page = tmp_path / 'a.html'
  code, out, err = tfeval('report', runs / 'one', f'--output={page}')
  assert (code, out) == (0, '')
  assert err == f'tfeval: the page is in {page}\n'
  text = page.read_text('utf-8')
  (scored,) = json.loads(tfeval('score', runs / 'one', '--json')[1])
  assert f'>{scored["metrics"][0]["correct"]}</td>' in text
  # But for names of SVG's own.
  assert set(re.findall(r'https?://[^/\s"]+', text)) <= {'http://www.w3.org'}
  assert '<script src' not in text


def test_what_is_there_is_kept_unless_overwritten(tfeval, runs, tmp_path):
  page = tmp_path / 'a.html'
  page.write_text('mine')
  given = 'report', runs / 'one', f'--output={page}'
  assert '--output' in (err := refused(tfeval(*given)))
  assert '--overwrite' in err
  assert page.read_text() == 'mine'
  assert tfeval(*given, '--overwrite')[0] == 0
  assert page.read_text('utf-8').startswith('<!doctype html>')


@pytest.mark.parametrize(
  ('name', 'words'),
  [
    ('a.txt', 'ends in .html'),
    ('no/such/a.html', 'does not exist'),
    ('.', 'ends in .html'),
  ],
)
def test_files_that_cannot_be(tfeval, runs, tmp_path, name, words):
  assert words in refused(tfeval('report', runs, f'--output={tmp_path / name}'))


def test_what_is_missing_is_said(tfeval, runs, tmp_path):
  page = f'--output={tmp_path / "a.html"}'
  assert 'no run was given' in refused(tfeval('report', page))
  assert '--output=report.html' in refused(tfeval('report', runs))
  (tmp_path / 'empty').mkdir()
  assert 'is no run directory' in refused(tfeval('report', tmp_path / 'empty', page))
  assert 'of two runs' in refused(tfeval('report', runs / 'one', page, '--kind=shift'))
  assert '--kind=run' in refused(tfeval('report', runs, page, '--kind=run'))
  assert not (tmp_path / 'a.html').exists()


@pytest.mark.parametrize(
  ('kind', 'title'),
  [
    ('auto', '2 runs compared'),
    ('comparison', '2 runs compared'),
    ('leaderboard', 'Leaderboard'),
    ('explanation', 'What differs between two runs'),
  ],
)
def test_kinds_of_two_runs(tfeval, runs, tmp_path, kind, title):
  page = tmp_path / 'a.html'
  assert tfeval('report', runs, f'--output={page}', f'--kind={kind}')[0] == 0
  assert f'<h1>{title}</h1>' in page.read_text('utf-8')


@pytest.mark.parametrize(
  ('kind', 'flag', 'words'),
  [
    ('explanation', '--labels=nonsense', '--labels is for --kind=run, --kind=compar'),
    ('explanation', '--metrics=nosuch', '--metrics is for --kind=run, this is'),
    ('explanation', '--images=5', 'this is --kind=explanation: leave it out'),
    ('comparison', '--sort=original/top1', '--sort is for --kind=leaderboard or'),
    ('leaderboard', '--metrics=brier', '--metrics is for --kind=run'),
    ('leaderboard', '--base=foo', '--base is for --kind=suite'),
    ('leaderboard', '--allow=nosuch', 'data, protocol'),
    ('leaderboard', '--dataset=folder:x', 'give --images as well'),
    ('suite', '--labels=original', 'this is --kind=suite'),
    ('suite', '--by=label', 'this is --kind=suite'),
    ('sweep', '--keep=none.txt', 'this is --kind=sweep'),
    ('shift', '--by=label', 'this is --kind=shift'),
  ],
)
def test_what_a_kind_of_page_does_not_use_is_refused(
  tfeval, runs, tmp_path, kind, flag, words
):
  page = tmp_path / 'a.html'
  err = refused(tfeval('report', runs, f'--output={page}', f'--kind={kind}', flag))
  assert words in err
  assert not page.exists()


def test_a_page_of_one_run_refuses_what_ranks_several(tfeval, runs, tmp_path):
  page = f'--output={tmp_path / "a.html"}'
  for flag in ('--sort=original/top1', '--base=one', '--allow=data', '--level=0.01'):
    err = refused(tfeval('report', runs / 'one', page, flag))
    assert f'{flag.partition("=")[0]} is for ' in err


def test_a_sweep_counts_by_the_first_labels(tfeval, store_run, tmp_path):
  labels = np.arange(N) % 10
  for name in ('opencv', 'opencv:aspect=squash'):
    store_run(
      'm', labels, labels, where=f'sweep/{name[-6:]}', model={'weights_sha256': 'x'},
      protocol={'name': name, 'spec': name, 'hash': name}, hashes=[bytes(32)] * N,
    )  # fmt: skip
  mine = tmp_path / 'mine.csv'
  mine.write_text('id,label\n' + ''.join(f'{i:04d}.JPEG,3\n' for i in range(N)))
  page = tmp_path / 'a.html'
  given = 'report', tmp_path / 'sweep', f'--output={page}', f'--labels={mine}'
  assert tfeval(*given)[0] == 0
  text = page.read_text('utf-8')
  assert 'mine top-1 of each cell' in text
  assert f'>{np.count_nonzero(labels == 3)}</td>' in text


def test_slices_are_a_section(tfeval, runs, tmp_path):
  groups = tmp_path / 'groups.csv'
  rows = [f'{i:04d}.JPEG,{"even" if i % 2 == 0 else "<i>odd"}' for i in range(N)]
  groups.write_text('\n'.join(['id,half', *rows]))
  page = tmp_path / 'a.html'
  assert tfeval('report', runs, f'--output={page}', f'--by={groups}')[0] == 0
  text = page.read_text('utf-8')
  assert 'Slices by' in text
  assert '&lt;i&gt;odd' in text
  assert '<i>odd' not in text


def test_images_are_shown_where_they_are_at_hand(tfeval, photos, tmp_path):
  labels = [(path.name, 3) for path in sorted(photos.glob('*.JPEG'))][:6]
  assert len(labels) == 6
  folder = tmp_path / 'photos'
  folder.mkdir()
  for name, _ in labels:
    shutil.copy(photos / name, folder / name)
  rows = [f'{name},{label},{4 if i else 3}' for i, (name, label) in enumerate(labels)]
  (tmp_path / 'said.csv').write_text(
    'id,class_1,probability_1\n'
    + '\n'.join(f'{row.split(",")[0]},{row.split(",")[2]},0.9' for row in rows)
  )
  (tmp_path / 'labels.csv').write_text(
    'id,label\n' + '\n'.join(f'{name},{label}' for name, label in labels)
  )
  (tmp_path / 'classes.txt').write_text('\n'.join('abcdef'))
  code, _, err = tfeval(
    'import', f'--predictions={tmp_path / "said.csv"}',
    f'--labels={tmp_path / "labels.csv"}', f'--classes={tmp_path / "classes.txt"}',
    f'--output_dir={tmp_path / "run"}',
  )  # fmt: skip
  assert code == 0, err
  page = tmp_path / 'a.html'
  given = 'report', tmp_path / 'run', f'--output={page}', '--overwrite', '--images=4'
  assert tfeval(*given)[0] == 0
  assert '<img' not in page.read_text('utf-8')
  assert '--dataset' in page.read_text('utf-8')
  assert tfeval(*given, f'--dataset=folder:{folder}')[0] == 0
  text = page.read_text('utf-8')
  assert text.count('<img src="data:image/jpeg;base64,') == 4
  assert 'may not be redistributed' in text
  (folder / labels[1][0]).unlink()
  assert tfeval(*given, f'--dataset=folder:{folder}')[0] == 0
  text = page.read_text('utf-8')
  assert text.count('<img src="data:image/jpeg;base64,') == 3
  assert 'is no longer in' in text


def test_figures_of_each_kind(tfeval, runs, tmp_path):
  for kind, of, suffix, start in (
    ('confusion', runs / 'one', 'png', b'\x89PNG'),
    ('ranks', runs, 'svg', b'<?xml'),
    ('agreement', runs, 'pdf', b'%PDF'),
  ):
    path = tmp_path / f'{kind}.{suffix}'
    code, out, err = tfeval('figure', of, f'--kind={kind}', f'--output={path}')
    assert (code, out, err) == (0, '', f'tfeval: the figure is in {path}\n')
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
  ('kind', 'words'),
  [
    ('reliability', 'is of one run, 2 were given'),
    ('pr', 'no confidences'),
    ('tradeoff', '--against=parameters'),
    ('severity', '--corruption'),
    ('slices', '--by'),
  ],
)
def test_figures_that_runs_do_not_have(tfeval, runs, tmp_path, kind, words):
  path = tmp_path / 'a.png'
  assert words in refused(tfeval('figure', runs, f'--kind={kind}', f'--output={path}'))
  assert not path.exists()


def test_a_figure_that_is_there_is_kept(tfeval, runs, tmp_path):
  path = tmp_path / 'a.png'
  path.write_text('mine')
  given = 'figure', runs, '--kind=ranks', f'--output={path}'
  assert '--overwrite' in refused(tfeval(*given))
  assert path.read_text() == 'mine'
  assert tfeval(*given, '--overwrite')[0] == 0


@pytest.mark.parametrize('command', ['compare', 'leaderboard', 'explain'])
def test_commands_write_pages_of_what_they_print(tfeval, runs, tmp_path, command):
  page = tmp_path / 'a.html'
  given = command, runs / 'one', runs / 'two', f'--report={page}'
  code, out, err = tfeval(*given)
  assert code == 0
  assert out
  assert f'the page is in {page}' in err
  assert '<h1>' in page.read_text('utf-8')
  assert '--overwrite' in refused(tfeval(*given))


def test_what_is_not_installed_is_told_without_a_flag_that_is_not_there(
  tfeval, runs, tmp_path, monkeypatch
):
  monkeypatch.setitem(sys.modules, 'jinja2', None)
  render._made_environment.cache_clear()
  said = refused(tfeval('report', runs / 'one', f'--output={tmp_path / "a.html"}'))
  assert said.startswith("tfeval: a page needs Jinja2: pip install 'tfeval[report]'")
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  given = '--kind=reliability', f'--output={tmp_path / "a.png"}'
  said = refused(tfeval('figure', runs / 'one', *given))
  assert said.startswith(
    "tfeval: figures need matplotlib: pip install 'tfeval[figure]'"
  )


def test_runs_of_some_other_images_are_compared_on_common_ones(
  tfeval, store_run, tmp_path
):
  labels = np.arange(20)
  for name, start in (('a', 0), ('b', 5)):
    ids = [f'{i:04d}.JPEG' for i in range(start, start + 20)]
    store_run(name, labels + start, labels + start, ids=ids, where=f'runs/{name}')
  page = tmp_path / 'a.html'
  given = 'report', tmp_path / 'runs', f'--output={page}'
  assert '--common' in refused(tfeval(*given))
  assert tfeval(*given, '--common')[0] == 0
  assert '15 images' in page.read_text('utf-8')


@pytest.mark.parametrize('command', [('report',), ('figure', '--kind=slices')])
def test_slices_by_the_images_themselves_are_of_score(tfeval, runs, tmp_path, command):
  name, *more = command
  suffix = 'html' if name == 'report' else 'png'
  output = f'--output={tmp_path / "a"}.{suffix}'
  err = refused(tfeval(name, runs, '--by=images', output, *more))
  assert 'tfeval score' in err and '--write_groups' in err


@pytest.mark.parametrize(
  ('given', 'words'),
  [
    (('--kind=severity', '--labels=nonsense'), '--labels is for --kind='),
    (('--kind=ranks', '--against=multiply_adds'), '--against is for --kind=tradeoff'),
    (('--kind=agreement', '--sort=nonsense'), '--sort is for --kind=ranks or'),
    (('--kind=ranks', '--by=label'), '--by is for --kind=slices'),
    (('--kind=ranks', '--allow=nonsense'), "unknown --allow 'nonsense'"),
  ],
)
def test_figures_refuse_what_they_do_not_use(tfeval, runs, tmp_path, given, words):
  assert words in refused(tfeval('figure', runs, f'--output={tmp_path}/a.png', *given))
