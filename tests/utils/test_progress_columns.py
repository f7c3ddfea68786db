"""What progress shows fits into the terminal, whole."""

import io

import pytest
import rich.console
import rich.progress

from tfeval.utils import progress

LABEL = 'MobileNet:alpha=0.25: preflight'


@pytest.mark.parametrize('width', [24, 40, 60, 80, 120])
@pytest.mark.parametrize('total', [9, 50_000])
def test_nothing_is_cut(width, total):
  columns, named = progress._columns(LABEL, total, width)
  out = io.StringIO()
  console = rich.console.Console(file=out, force_terminal=True, width=width)
  with rich.progress.Progress(*columns, console=console, auto_refresh=False) as bar:
    task = bar.add_task(LABEL, total=total, status='')
    bar.update(
      task, advance=total, status='top-1 44.44 %, ranking and storing are slowest'
    )
    (line,) = console.render_lines(bar.get_renderable(), pad=False)
  text = ''.join(segment.text for segment in line)
  assert '…' not in text and len(text.rstrip()) <= width
  assert f'{total}/{total}' in text and ('top-1 44.44 %' in text) == (
    width > 24 or total == 9
  )
  assert (LABEL in text) == named
  assert ('slowest' in text) == (width >= 120)


def test_at_80_columns_all_is_there():
  columns, named = progress._columns('ResNet50', 50_000, 80)
  assert named and len(columns) == 6
