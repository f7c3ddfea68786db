"""Runs with outputs and hostile names, and a real browser."""

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_classes import CLASSES

_BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


@pytest.fixture(scope='session')
def hostile(tmp_path_factory):
  """A run of 400 images of classes that are called what a page might obey."""
  from tfeval import cli

  folder = tmp_path_factory.mktemp('hostile')
  random = np.random.default_rng(0)
  labels = random.integers(0, len(CLASSES), 400)
  logits = random.normal(size=(400, len(CLASSES))).astype(np.float32)
  logits[np.arange(400), labels] += 1.5
  names = [f'{i:03d}<b onclick="pwned=1">.JPEG' for i in range(400)]
  table = pa.table({'id': names, 'logits': list(logits)})
  pq.write_table(table, folder / 'mine.parquet')
  (folder / 'classes.txt').write_text('\n'.join(CLASSES), 'utf-8')
  rows = ['id,label', *(f'"{n.replace(chr(34), chr(34) * 2)}",{label}'
                        for n, label in zip(names, labels, strict=True))]  # fmt: skip
  (folder / 'labels.csv').write_text('\n'.join(rows))
  code = cli.main([
    'import', f'--predictions={folder / "mine.parquet"}', '--store_logits',
    f'--classes={folder / "classes.txt"}', f'--labels={folder / "labels.csv"}',
    f'--output_dir={folder / "run"}',
  ])  # fmt: skip
  assert code == 0
  return folder / 'run'


@pytest.fixture(scope='session')
def browser():
  sync_api = pytest.importorskip('playwright.sync_api')
  found = next(filter(None, map(shutil.which, _BROWSERS)), None)
  if found is None:
    pytest.skip('no Chromium is installed: apt-get install chromium')
  sandbox = [] if os.geteuid() else ['--no-sandbox']  # Chromium refuses root.
  with sync_api.sync_playwright() as playwright:
    opened = playwright.chromium.launch(executable_path=found, args=sandbox)
    yield opened
    opened.close()
