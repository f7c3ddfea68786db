"""`tfeval benchmark`."""

import dataclasses

from tfeval.api.benchmark import MOST_IMAGES, PARTS, WITHOUT, benchmark
from tfeval.cli import input_flags
from tfeval.cli.command_flags import with_dashes
from tfeval.reports import terminal

USAGE = """Usage: tfeval benchmark --model=NAME [--flags]

  tfeval benchmark --model=ResNet50 --dataset=folder:VAL_DIR --batch_size=128"""
# What `--help` shows first.
FIRST = (
  *('model', 'weights', 'dataset', 'manual_dir', 'images', 'protocol', 'batch_size'),
  *('devices', 'cache_dir', 'json'),
)


def define_flags(define) -> None:
  input_flags.define_models(define)
  input_flags.define(
    define,
    PARTS,
    without=WITHOUT,
    texts={
      'cache_dir': 'Measure, and fill, this cache of preprocessed '
      'images, end to end too (default: a temporary one, alone).'
    },
  )
  define.integer(
    'images',
    512,
    'How many images to measure each stage over; those of the dataset again and again, '
    'if it has fewer, and 4 batches at least.',
    lower_bound=1,
    upper_bound=MOST_IMAGES,
  )
  define.bool('json', False, 'Print a JSON object on stdout, nothing else.')


def run(flags, arguments: list[str]) -> int:
  input_flags.check_no_arguments(arguments)
  report = benchmark(
    flags.model,
    weights=flags.weights,
    images=flags.images,
    progress=True,
    **input_flags.given(flags),
  )
  if flags.json:
    advice = with_dashes(report.advice)
    terminal.print_json({**dataclasses.asdict(report), 'advice': advice})
    return 0
  rows = [
    (stage.name, f'{stage.images_per_second:,.0f}', f'{stage.cpu_ms_per_image:.2f}')
    for stage in report.stages
  ]
  terminal.print_rows(('stage', 'images/s', 'CPU ms per image'), rows, numbers=(1, 2))
  terminal.print_line()
  for text in (
    f'{report.model}, protocol {report.protocol}, over {report.images} images on '
    f'{report.cores} CPU cores. Decoding includes reading; so do preprocessing, '
    'which decodes as far as the crop needs it, and what comes from a filled cache '
    '(--cache_dir) or is decoded and padded for the device (--resize_on=device). '
    'Files that were read before come from memory.',
    *(f'Not measured, {name}: {why}.' for name, why in report.unmeasured.items()),
    f'The model waits for input {100 * report.waiting:.0f} % of the time. The main '
    f'thread takes {report.main_thread_ms:.3f} ms of CPU time an image.',
    f'Limits: {report.input_limit:,.0f} images/s of input on {report.cores} cores, '
    f'{report.forward_limit:,.0f} images/s of the forward pass; of '
    + ('both on these cores' if report.on_cpu else 'the smaller one')
    + f' {100 * report.reached:.0f} % is reached.',
    f'Bottleneck: {report.bottleneck}. {with_dashes(report.advice)}',
  ):
    terminal.print_paragraph(text, others='')
  return 0
