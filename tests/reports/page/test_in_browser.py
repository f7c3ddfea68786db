"""Pages in a real browser: sorting, filtering, keys, colours, sizes, hostile names."""

import json

import numpy as np
import pytest
from hostile_classes import CLASSES

from tfeval.analysis.portrait import portray
from tfeval.reports.page import of_run, writing
from tfeval.runs.run import load_run
from tfeval.utils.printable import printable

axe_playwright = pytest.importorskip('axe_playwright_python.sync_playwright')


@pytest.fixture(scope='module')
def report(hostile, tmp_path_factory):
  path = tmp_path_factory.mktemp('page') / 'report.html'
  writing.save(of_run.whole(portray(load_run(hostile)), []), path)
  return path


@pytest.fixture
def page(browser, report):
  """The report in a window; whatever its console says or it asks for fails the test."""
  context = browser.new_context(viewport={'width': 1100, 'height': 800})
  context.set_default_timeout(10_000)
  opened, said, asked = context.new_page(), [], []
  opened.on('console', lambda message: said.append(message.text))
  opened.on('pageerror', lambda error: said.append(str(error)))
  opened.on('dialog', lambda dialog: (said.append('dialog'), dialog.dismiss()))
  opened.on('request', lambda request: asked.append(request.url))
  opened.goto(report.as_uri())
  yield opened
  assert not said
  assert not [url for url in asked if not url.startswith(('file:', 'data:'))]
  context.close()


def per_class(page):
  return page.locator('.table', has=page.get_by_role('heading', name='Per class'))


def column(box, title):
  titles = box.locator('thead th').all_inner_texts()
  at = [text.strip() for text in titles].index(title)
  return [
    row.split('\t')[at]
    for row in box.locator('tbody').inner_text().strip('\n').split('\n')
  ]


def test_counts_are_those_of_score(page, hostile, tfeval):
  (scored,) = json.loads(tfeval('score', hostile, '--json')[1])
  rows = page.locator('table').first.locator('tbody tr').all_inner_texts()
  for row, metric in zip(rows, scored['metrics'], strict=True):
    _, correct, count, skipped, rate, low, high = row.split('\t')
    assert int(correct) == metric['correct']
    assert (int(count), int(skipped)) == (metric['count'], metric['skipped'])
    ends = metric['interval']['low'], metric['interval']['high']
    assert [rate, low, high] == [f'{100 * x:.2f}' for x in (metric['value'], *ends)]


def test_numbers_sort_as_numbers_and_back(page):
  box = per_class(page)
  button = box.get_by_role('button', name='of', exact=True)
  button.click()
  found = [int(text) for text in column(box, 'of')]
  assert found == sorted(found, reverse=True)
  assert len(set(found)) > 3
  head = button.locator('xpath=..')
  assert head.get_attribute('aria-sort') == 'descending'
  button.click()
  assert [int(text) for text in column(box, 'of')] == sorted(found)
  assert head.get_attribute('aria-sort') == 'ascending'
  assert box.locator('[aria-sort]').count() == 1


def test_keys_sort_and_show_the_focus(page):
  box = per_class(page)
  button = box.get_by_role('button', name='top-1', exact=True)
  button.focus()
  page.keyboard.press('Enter')
  found = [int(text) for text in column(box, 'top-1')]
  assert found == sorted(found, reverse=True)
  assert button.evaluate('one => getComputedStyle(one).outlineStyle') != 'none'


def test_a_filter_keeps_rows_with_all_of_its_words(page):
  box = per_class(page)
  box.get_by_role('searchbox').fill('SCRIPT alert')
  rows = box.locator('tbody tr:visible').all_inner_texts()
  assert 1 <= len(rows) < len(CLASSES)
  assert all('<script>alert(1)</script>' in row for row in rows)
  told = f'{len(rows)} of {len(CLASSES)} rows match'
  assert box.locator('.status').inner_text() == told
  box.get_by_role('searchbox').fill('')
  assert box.locator('tbody tr:visible').count() == len(CLASSES)


def test_long_tables_show_all_rows_when_asked(page):
  box = page.locator('.table', has=page.get_by_role('heading', name='Most frequent'))
  count = box.locator('tbody tr').count()
  assert box.locator('tbody tr:visible').count() == 25 < count
  box.get_by_role('button', name=f'Show all {count} rows').click()
  assert box.locator('tbody tr:visible').count() == count


def test_names_are_shown_and_not_obeyed(page):
  assert page.evaluate('window.pwned') is None
  assert not page.locator('img[src="x"], [onclick], [onload], [onerror]').count()
  shown = column(per_class(page), 'class')
  expected = {' '.join(printable(name.replace('_', ' ')).split()) for name in CLASSES}
  assert {' '.join(text.split()) for text in shown} == expected


def test_tab_reaches_everything_that_can_be_used(page):
  usable = 'a[href], button, input, summary, [tabindex="0"]'
  seen = '[...document.querySelectorAll(arguments)].filter(x => x.checkVisibility())'
  count = page.evaluate(f'arguments => {seen}.length', usable)
  page.evaluate(f'arguments => {seen}.forEach((x, i) => x.dataset.at = i)', usable)
  reached = set()
  for _ in range(count):
    page.keyboard.press('Tab')
    reached.add(page.evaluate('document.activeElement.dataset.at'))
  assert reached == {str(i) for i in range(count)}


@pytest.mark.parametrize(
  'scheme', [pytest.param('light', marks=pytest.mark.slow), 'dark']
)
def test_axe_finds_nothing_serious(page, scheme):
  page.emulate_media(color_scheme=scheme)
  page.locator('details').evaluate_all('all => all.forEach(one => one.open = true)')
  found = axe_playwright.Axe().run(page).response['violations']
  assert not [
    (one['id'], [node['html'][:200] for node in one['nodes'][:3]])
    for one in found
    if one['impact'] in ('serious', 'critical')
  ]


def test_every_figure_has_a_name_and_its_numbers(page):
  figures = page.locator('figure')
  assert figures.count() >= 4
  for one in figures.all():
    named = one.locator('svg').get_attribute('aria-labelledby')
    assert page.locator(f'#{named}').inner_text()
    assert one.locator('details table tbody tr').count() > 0


def test_figures_follow_the_colours_of_the_page(page):
  def ink():
    return page.evaluate(
      "getComputedStyle(document.querySelector('figure svg text')).fill"
    )

  page.emulate_media(color_scheme='light')
  light = ink()
  page.emulate_media(color_scheme='dark')
  assert sum(map(int, ink()[4:-1].split(','))) > sum(map(int, light[4:-1].split(',')))


def test_nothing_is_wider_than_a_phone(page):
  page.set_viewport_size({'width': 400, 'height': 800})
  assert page.evaluate('document.documentElement.scrollWidth') <= 400


def test_paper_has_no_buttons(page):
  page.emulate_media(media='print', color_scheme='dark')
  assert not page.locator('nav, .filter, .all, .skip').filter(visible=True).count()
  ground = page.evaluate('getComputedStyle(document.body).backgroundColor')
  assert ground == 'rgb(255, 255, 255)'


def test_ids_are_unique_and_references_lead_somewhere(page):
  ids = page.evaluate('[...document.querySelectorAll("[id]")].map(one => one.id)')
  assert len(ids) == len(set(ids))
  lost = page.evaluate(
    '[...document.querySelectorAll("use")].map(one => one.getAttribute("xlink:href"))'
    '.filter(one => !document.querySelector(one))'
  )
  assert not lost


def test_the_same_run_is_the_same_page(hostile, report, tmp_path):
  again = tmp_path / 'again.html'
  writing.save(of_run.whole(portray(load_run(hostile)), []), again)
  assert again.read_bytes() == report.read_bytes()


def test_a_page_without_script_has_all_rows(browser, report):
  context = browser.new_context(java_script_enabled=False)
  opened = context.new_page()
  opened.goto(report.as_uri())
  rows = opened.locator('.table').filter(has_text='Most frequent').locator('tbody tr')
  assert rows.count() == rows.filter(visible=True).count() > 25
  context.close()


def test_reliability_is_counted_as_scikit_learn_does(hostile):
  calibration = pytest.importorskip('sklearn.calibration')
  portrait = portray(load_run(hostile))
  found = portrait.sets[0].confidences
  (diagram,) = [
    figure
    for figure in of_run.whole(portrait, []).figures()
    if figure.title.startswith('Reliability')
  ]
  accuracy, confidence = calibration.calibration_curve(
    found.hit, found.confidence, n_bins=15
  )
  rows = [row for row in diagram.table.rows if row[2]]
  np.testing.assert_allclose([row[4] for row in rows], accuracy, rtol=1e-12)
  np.testing.assert_allclose([row[7] for row in rows], confidence, rtol=1e-12)
