"""Where the time of an evaluation goes, as a page."""

from tfeval.engine.benchmark.report import BenchmarkReport
from tfeval.reports.page.content import Column, Document, Remarks, Section, Table

_COLUMNS = (
  Column('stage', 'stage'),
  Column('images_per_second', 'images/s', '{:,.0f}'.format),
  Column('cpu_ms_per_image', 'CPU ms per image', '{:.2f}'.format),
)


def document(found: BenchmarkReport) -> Document:
  """Returns a row for each stage, and what follows."""
  rows = [
    (one.name, one.images_per_second, one.cpu_ms_per_image) for one in found.stages
  ]
  remarks = [
    *(f'not measured, {name}: {why}' for name, why in found.unmeasured.items()),
    f'the model waits for input {100 * found.waiting:.0f} % of the time; the main '
    f'thread takes {found.main_thread_ms:.3f} ms of CPU time an image',
    f'limits: {found.input_limit:,.0f} images/s of input on {found.cores} cores, '
    f'{found.forward_limit:,.0f} images/s of the forward pass; '
    f'{100 * found.reached:.0f} % is reached',
    f'bottleneck: {found.bottleneck}. {found.advice}',
  ]
  table = Table('in the order of the data', _COLUMNS, rows)
  return Document(
    f'Benchmark of {found.model}',
    [Section('Stages', [table, Remarks(remarks)])],
    f'protocol {found.protocol}, over {found.images:,} images, batches of '
    f'{found.batch_size} on {", ".join(found.devices)}, {found.cores} CPU cores',
  )
