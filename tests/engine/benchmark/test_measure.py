"""Where the time goes: figures that hang together, and the right conclusion."""

import contextlib
import json
import tempfile

import keras
import numpy as np
import pytest

from tfeval import cli, datasets
from tfeval.datasets.labels import imagenet
from tfeval.engine import pipeline
from tfeval.engine.benchmark import measure as benchmark
from tfeval.engine.benchmark.report import (
  CACHED,
  CANVAS,
  COPYING,
  DECODING,
  END_TO_END,
  FORWARD,
  MAIN_THREAD,
  PREPROCESSING,
  RANKING,
  READING,
  BenchmarkReport,
  Stage,
)
from tfeval.engine.cache import entries, writer
from tfeval.engine.cache import reader as cached
from tfeval.evaluation import evaluate
from tfeval.evaluation.config import EvaluationConfig
from tfeval.evaluation.plans import requests
from tfeval.preprocess import protocol as protocol_lib
from tfeval.utils.errors import UserError

SIZE = 32
STAGES = [
  READING,
  DECODING,
  PREPROCESSING,
  CACHED,
  CANVAS,
  FORWARD,
  RANKING,
  END_TO_END,
]


def tiny_model():
  inputs = keras.Input((SIZE, SIZE, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  return keras.Model(inputs, keras.layers.Dense(1000)(x))


def measure(folder, images, advance=lambda count: None, **arguments):
  (request,) = requests([f'{__name__}:tiny_model'], ['imagenet'])
  return evaluate.measure(
    request,
    EvaluationConfig.of(
      dataset=f'folder:{folder}',
      preprocess='identity',
      output='logits',
      batch_size=8,
      **arguments,
    ),
    images,
    lambda name, total: contextlib.nullcontext(advance),
  )


@pytest.mark.parametrize(
  'protocol',
  [
    'efficientnet',
    *(pytest.param(name, marks=pytest.mark.slow) for name in ('opencv', 'pil')),
  ],
)
def test_figures_hang_together(noise, tmp_path, monkeypatch, protocol):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  told = []
  report = measure(noise, 30, told.append, protocol=protocol)
  assert report.images == 32
  assert sum(told) == benchmark.RUNS * 32
  stages = {stage.name: stage for stage in report.stages}
  assert list(stages) == [name for name in STAGES if name not in report.unmeasured]
  assert list(report.unmeasured) == [CANVAS] * (protocol != 'opencv')
  assert report.input == PREPROCESSING
  # The temporary cache is gone; AutoGraph leaves files of its own.
  assert not [path for path in tmp_path.iterdir() if 'autograph' not in path.name]
  for stage in report.stages:
    assert stage.images_per_second > 0
    assert stage.cpu_ms_per_image > 0
  # A wide margin: only a stage that was not run would miss it.
  assert stages[END_TO_END].images_per_second < 2 * stages[FORWARD].images_per_second
  assert 0 <= report.waiting <= 1
  assert report.protocol == protocol


@pytest.mark.slow
def test_a_broken_image_is_named(noise, tmp_path):
  for path in noise.iterdir():
    (tmp_path / path.name).write_bytes(path.read_bytes())
  broken = tmp_path / imagenet.validation_name(3)
  broken.write_bytes(broken.read_bytes()[:200])
  with pytest.raises(UserError, match=f'example {broken.name} is not a readable image'):
    measure(tmp_path, 8)


def test_end_to_end_from_the_cache_that_is_given(noise, tmp_path):
  report = measure(noise, 32, protocol='slim', cache_dir=str(tmp_path))
  assert report.input == CACHED
  (entry,) = entries.listed(str(tmp_path))
  # The ten images of the folder, all of them and whole.
  assert entry.images == 10
  assert all(entry.fault(chunk) is None for chunk in entry.chunks)
  assert report.cache_bytes_per_image == round(entry.bytes / 10)
  assert report.cache_bytes_per_image >= SIZE * SIZE * 3


@pytest.mark.slow
def test_end_to_end_on_the_device(noise):
  report = measure(noise, 32, resize_on='device')
  assert report.input == CANVAS
  assert [stage.name for stage in report.stages] == STAGES
  assert report.unmeasured == {}


def test_a_cache_that_cannot_be_written_is_left_out(noise, tmp_path, caplog):
  root, _ = entries.prepare(str(tmp_path / 'cache'))
  # Where an entry would be made there is a file, which holds for root as well.
  key = entries.key_of(
    cached.describe(
      datasets.open_dataset(f'folder:{noise}'), protocol_lib.resolve('slim', SIZE)
    )
  )
  (root / key).write_bytes(b'')
  told = []
  report = measure(noise, 8, told.append, protocol='slim', cache_dir=str(root))
  assert report.unmeasured[CACHED] == f'{root} cannot be written'
  assert report.input == PREPROCESSING
  assert report.cache_bytes_per_image is None
  assert sum(told) == benchmark.RUNS * report.images
  assert 'are not cached' in caplog.text


def test_what_comes_from_the_cache_is_what_is_made(noise, tmp_path):
  """Over and over, in order: batches of four out of ten images."""
  dataset = datasets.open_dataset(f'folder:{noise}')
  protocol = protocol_lib.resolve('slim', SIZE)
  told = []
  batches, _ = cached.filled(
    writer.Cache(str(tmp_path)), dataset, protocol, 4, told.append
  )
  assert sum(told) == 10
  found = [batch for batch in batches.take(7)]
  made = next(iter(pipeline.make_pipeline(dataset, protocol, 10)))
  order = np.concatenate([batch['position'].numpy() for batch in found])
  assert order.tolist() == [i % 10 for i in range(28)]
  np.testing.assert_array_equal(
    np.concatenate([batch['pixels'].numpy() for batch in found]),
    made['pixels'].numpy()[order],
  )


def figures(
  reading=1,
  decoding=3,
  preprocessing=5,
  cached=2,
  canvas=4,
  forward=9,
  used=PREPROCESSING,
  waiting=0.5,
  devices=('GPU',),
  replicas=1,
  ranking=0.1,
  copying=0.1,
  main_thread=0.01,
):
  """Stages that take so many milliseconds an image, of wall and of CPU time."""
  return BenchmarkReport(
    model='m',
    protocol='opencv',
    images=64,
    batch_size=64,
    cores=4,
    devices=devices,
    replicas=replicas,
    stages=tuple(
      Stage(name, 1000 / ms, ms)
      for name, ms in zip(
        [*STAGES, COPYING],
        (
          *(reading, decoding, preprocessing, cached, canvas, forward),
          *(ranking, forward, copying),
        ),
        strict=True,
      )
    ),
    unmeasured={},
    input=used,
    waiting=waiting,
    main_thread_ms=main_thread,
    cache_bytes_per_image=150577,
  )


@pytest.mark.parametrize(
  'measured, bottleneck',
  [
    (figures(1, 3, 4), DECODING),
    (figures(3, 4, 5), READING),
    (figures(1, 2, 5, devices=('GPU', 'GPU')), PREPROCESSING),
    (figures(1, 2, 5, forward=9, waiting=0.05), FORWARD),
    (figures(1, 2, 5, forward=9, devices=('CPU',)), FORWARD),
    (figures(1, 2, 5, forward=4, waiting=0.05, devices=('CPU',)), PREPROCESSING),
    (figures(1, 2, 5, cached=3, used=CACHED), CACHED),
    (figures(1, 2, 5, canvas=4, used=CANVAS), CANVAS),
    (figures(2, 3, 5, cached=3, used=CACHED), READING),
    # The model waits less for a cache than it computes, though not without one.
    (figures(1, 2, 5, cached=2, forward=4, used=CACHED, devices=('CPU',)), FORWARD),
    (figures(1, 2, 5, copying=6), COPYING),
    (figures(1, 2, 5, forward=9, waiting=0, main_thread=8.5), MAIN_THREAD),
    (figures(1, 2, 5, forward=9, waiting=0, ranking=17), RANKING),
  ],
)
def test_bottleneck(measured, bottleneck):
  assert measured.bottleneck == bottleneck


def test_limits():
  measured = figures(preprocessing=5, forward=2)
  # Four cores of 5 ms; a model of 2 ms; end to end 2 ms too.
  assert (measured.input_limit, measured.forward_limit) == (800, 500)
  assert measured.reached == 1
  assert figures(preprocessing=16, forward=4).input_limit == 250


CACHE = '`cache_dir`: 2.0 ms instead of 5.0 once it is filled, for 150,577 bytes'
ON_DEVICE = '`resize_on=device`: 4.0 ms instead of 5.0'
TOGETHER = 'Several `model'
SERVICE = '`tf_data_service'
CORES = 'More than 4 CPU cores'
ALL = {
  CACHE,
  ON_DEVICE,
  TOGETHER,
  SERVICE,
  CORES,
  '`data_dir',
  'A GPU',
  'no flag',
  '`strategy=mirrored` would use all 2 GPUs',
  '`batch_size` than 64',
}
CPU = ('CPU',)


@pytest.mark.parametrize(
  'measured, words',
  [
    (figures(3, 4, 5), {'`data_dir', TOGETHER}),
    (figures(), {CORES, SERVICE, TOGETHER, CACHE, ON_DEVICE}),
    (figures(cached=6, canvas=6), {CORES, SERVICE, TOGETHER}),
    (figures(cached=3, used=CACHED), {CORES, TOGETHER}),
    # Never on a CPU: it would do itself what it saves.
    (figures(forward=4, devices=CPU), {CORES, SERVICE, TOGETHER, CACHE}),
    (figures(forward=9, devices=CPU), {'A GPU', TOGETHER, CACHE}),
    (figures(forward=90, devices=CPU), {'A GPU', 'no flag'}),
    (
      figures(waiting=0, devices=('GPU', 'GPU')),
      {'`strategy=mirrored` would use all 2 GPUs'},
    ),
    (figures(waiting=0, devices=('GPU', 'GPU'), replicas=2), {'`batch_size` than 64'}),
  ],
)
def test_advice(measured, words):
  assert {word for word in ALL if word in measured.advice} == words


def test_command(noise, capsys):
  arguments = [
    'benchmark',
    f'--model={__name__}:tiny_model',
    '--preprocess=identity',
    '--output=logits',
    f'--dataset=folder:{noise}',
    '--images=16',
    '--batch_size=8',
    '--protocol=pil',
  ]
  assert cli.main([*arguments, '--json']) == 0
  report = json.loads(capsys.readouterr().out)
  assert [s['name'] for s in report['stages']][-1] == END_TO_END
  assert cli.main(arguments) == 0
  shown = capsys.readouterr().out
  assert all(len(line) <= 80 for line in shown.splitlines())
  for words in (
    'from the cache',
    'images/s',
    'CPU ms per image',
    'waits for input',
    'Bottleneck: ',
  ):
    assert words in shown
  assert (
    'Not measured, for the device: protocol pil cannot be resized on the device, '
    'library=pillow.'
  ) in ' '.join(shown.split())
  assert cli.main([*arguments, '--model=VGG16']) == 2
  assert '2 --model were given: benchmark takes one' in capsys.readouterr().err
