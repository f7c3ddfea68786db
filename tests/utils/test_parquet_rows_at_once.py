"""How many rows of long values may be decoded at once."""

import hypothesis
import pytest
from hypothesis import strategies

from tfeval.utils import budgets, parquet_pages
from tfeval.utils.parquet_pages import DATA, DELTA_BYTE_ARRAY, DICTIONARY, Page


def data(*pages):
  return [Page(DATA, size, values, 0) for size, values in pages]


@pytest.fixture
def thousand(monkeypatch):
  monkeypatch.setattr(budgets, 'DECODED', 1000)


def test_values_lie_in_the_bytes_of_their_pages(thousand):
  rows = parquet_pages.rows_at_once
  assert rows([data((500, 1000), (500, 1000))], 16) == 16
  assert rows([data((600, 1000), (600, 1000))], 16) == 1
  assert rows([data((1000, 1000))], 16) == 16
  assert rows([data(*[(100, 1)] * 50)], 16) == 8
  assert rows([data((900, 1))] * 5, 16) == 16  # Row groups are read one by one.
  assert rows([], 16) == 16


def test_values_that_repeat(thousand):
  one = data((10, 1000))
  assert parquet_pages.rows_at_once([[Page(DICTIONARY, 300, 1, 0), *one]], 16) == 3
  delta = Page(DATA, 300, 1000, DELTA_BYTE_ARRAY)
  assert parquet_pages.rows_at_once([one, [delta]], 16) == 3


@hypothesis.given(
  strategies.lists(
    strategies.tuples(strategies.integers(1, 50), strategies.integers(1, 5)),
    min_size=1,
    max_size=12,
  ),
  strategies.integers(1, 20),
)
def test_pages_that_rows_span(pages, rows):
  """The most bytes of the pages of any run of rows, counted row by row."""
  page_of = [n for n, (_, values) in enumerate(pages) for _ in range(values)]
  most = max(
    sum(pages[n][0] for n in set(page_of[start : start + rows]))
    for start in range(len(page_of))
  )
  assert parquet_pages._spanned(data(*pages), rows) == most
