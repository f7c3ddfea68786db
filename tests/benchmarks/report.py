"""What a page of 50,000 images costs, and how soon a browser can use it.

python tests/benchmarks/report.py [RUN]

Without a run one of made predictions is stored: 50,000 images of 1000 classes, five
classes with probabilities each. Prints CPU seconds and memory of `tfeval report` and,
where Chromium and Playwright are installed, milliseconds from the start of loading
until the page is interactive, and of a click that sorts 1000 classes.
"""

import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfeval.datasets.labels import imagenet

IMAGES = 50_000


def main(given: str | None) -> None:
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    run = pathlib.Path(given) if given else made(folder)
    page = folder / 'report.html'
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command('report', run, f'--output={page}')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
      f'CPU {seconds:.2f} s, at most {after.ru_maxrss / 1024:.0f} MB (of all so far)'
    )
    print(f'page {page.stat().st_size / 1e6:.2f} MB')
    in_browser(page)


def made(folder: pathlib.Path) -> pathlib.Path:
  """Stores a run."""
  random = np.random.default_rng(0)
  labels = np.arange(IMAGES) % 1000
  others = labels[:, None] + 1 + random.integers(0, 100, (IMAGES, 1)) + np.arange(4) * 7
  ranked = np.concatenate([labels[:, None], others % 1000], axis=1)
  wrong = random.random(IMAGES) < 0.3
  ranked[wrong] = ranked[wrong][:, ::-1]
  shares = -np.sort(-random.dirichlet(np.ones(6), IMAGES)[:, :5], axis=1)
  ids = [f'{i:05d}.JPEG' for i in range(IMAGES)]
  table = pa.table({
    'id': ids,
    'classes': pa.array(list(ranked.astype(np.int32))),
    'probabilities': pa.array(list(shares.astype(np.float32))),
  })  # fmt: skip
  pq.write_table(table, folder / 'made.parquet')
  wnids = imagenet.label_space().class_ids
  (folder / 'classes.txt').write_text('\n'.join(wnids))
  rows = [f'{one},{label}' for one, label in zip(ids, labels, strict=True)]
  (folder / 'labels.csv').write_text('\n'.join(['id,label', *rows]))
  command(
    'import', f'--predictions={folder / "made.parquet"}',
    f'--classes={folder / "classes.txt"}', f'--labels={folder / "labels.csv"}',
    f'--output_dir={folder / "run"}',
  )  # fmt: skip
  return folder / 'run'


def command(*arguments: object) -> None:
  subprocess.run(
    [sys.executable, '-m', 'tfeval', *map(str, arguments)],
    check=True,
    stdout=subprocess.DEVNULL,
  )


def in_browser(page: pathlib.Path) -> None:
  browser = shutil.which('chromium') or shutil.which('google-chrome')
  try:
    from playwright import sync_api
  except ImportError:
    browser = None
  if browser is None:
    print('no Chromium or no Playwright: not measured in a browser')
    return
  with sync_api.sync_playwright() as playwright:
    opened = playwright.chromium.launch(executable_path=browser, args=['--no-sandbox'])
    window = opened.new_page()
    for number in range(3):
      window.goto(page.as_uri())
      loaded = window.evaluate(
        'performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd'
      )
      sorting = window.evaluate(
        """() => {
          const tables = [...document.querySelectorAll('.table')];
          const rows = (one) => one.querySelectorAll('tbody tr').length;
          const long = tables.sort((a, b) => rows(b) - rows(a))[0];
          const start = performance.now();
          long.querySelectorAll('.sort')[3].click();
          document.body.getBoundingClientRect();
          return [rows(long), performance.now() - start];
        }"""
      )
      print(
        f'load {number + 1}: interactive after {loaded:.0f} ms, {sorting[0]} rows '
        f'sorted in {sorting[1]:.0f} ms'
      )
    opened.close()


if __name__ == '__main__':
  main(sys.argv[1] if sys.argv[1:] else None)
