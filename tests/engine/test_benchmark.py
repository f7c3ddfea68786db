"""Where the time goes: figures that hang together, and the right conclusion."""

import contextlib
import json

import keras
import pytest

from tfeval import cli, evaluation, labels, settings
from tfeval.engine import benchmark
from tfeval.engine.benchmark import (
  DECODING,
  END_TO_END,
  FORWARD,
  PREPROCESSING,
  READING,
)
from tfeval.errors import UserError

SIZE = 32


def tiny_model():
  inputs = keras.Input((SIZE, SIZE, 3))
  x = keras.layers.GlobalAveragePooling2D()(inputs)
  return keras.Model(inputs, keras.layers.Dense(1000)(x))


def measure(folder, images, advance=lambda count: None, **arguments):
  request, = settings.requests([f'{__name__}:tiny_model'], ['imagenet'])
  return evaluation.measure(
      request, settings.Settings(dataset=f'folder:{folder}', preprocess='identity',
                                 output='logits', batch_size=8, **arguments),
      images, lambda name, total: contextlib.nullcontext(advance))


@pytest.mark.parametrize('protocol', ['opencv', 'efficientnet', 'pil'])
def test_figures_hang_together(noise, protocol):
  told = []
  report = measure(noise, 30, told.append, protocol=protocol)
  assert report.images == 32
  assert sum(told) == benchmark.RUNS * 32
  stages = {stage.name: stage for stage in report.stages}
  assert list(stages) == [READING, DECODING, PREPROCESSING, FORWARD, END_TO_END]
  for stage in report.stages:
    assert stage.images_per_second > 0
    assert stage.cpu_ms_per_image > 0
  # A wide margin: only a stage that was not run would miss it.
  assert stages[END_TO_END].images_per_second < 2 * stages[FORWARD].images_per_second
  assert 0 <= report.waiting <= 1
  assert report.protocol == protocol


def test_a_broken_image_is_named(noise, tmp_path):
  for path in noise.iterdir():
    (tmp_path / path.name).write_bytes(path.read_bytes())
  broken = tmp_path / labels.validation_name(3)
  broken.write_bytes(broken.read_bytes()[:200])
  with pytest.raises(UserError, match=f'example {broken.name} is not a readable image'):
    measure(tmp_path, 8)


def stages(reading, decoding, preprocessing, forward):
  """Stages that take so many milliseconds an image, of wall and of CPU time."""
  return [benchmark.Stage(name, 1000 / ms, ms) for name, ms in zip(
      (READING, DECODING, PREPROCESSING, FORWARD),
      (reading, decoding, preprocessing, forward), strict=True)]


@pytest.mark.parametrize('costs, waiting, devices, bottleneck', [
    ((1, 3, 4, 2), 0.5, ('GPU',), DECODING),
    ((3, 4, 5, 2), 0.5, ('GPU',), READING),
    ((1, 2, 5, 2), 0.5, ('GPU', 'GPU'), PREPROCESSING),
    ((1, 2, 5, 9), 0.05, ('GPU',), FORWARD),
    ((1, 2, 5, 9), 0.5, ('CPU',), FORWARD),
    ((1, 2, 5, 4), 0.05, ('CPU',), PREPROCESSING),
])
def test_bottleneck(costs, waiting, devices, bottleneck):
  assert benchmark._bottleneck(stages(*costs), waiting, devices) == bottleneck


@pytest.mark.parametrize('bottleneck, devices, replicas, words', [
    (READING, ('GPU',), 1, '--data_dir'),
    (DECODING, ('GPU',), 1, 'More than 4 CPU cores'),
    (FORWARD, ('CPU',), 1, 'A GPU'),
    (FORWARD, ('GPU', 'GPU'), 1, '--strategy=mirrored would use all 2 GPUs'),
    (FORWARD, ('GPU', 'GPU'), 2, '--batch_size than 64'),
])
def test_advice(bottleneck, devices, replicas, words):
  assert words in benchmark._advice(bottleneck, devices, 4, 64, replicas)


def test_command(noise, capsys):
  arguments = ['benchmark', f'--model={__name__}:tiny_model', '--preprocess=identity',
               '--output=logits', f'--dataset=folder:{noise}', '--images=16',
               '--batch_size=8']
  assert cli.main([*arguments, '--json']) == 0
  report = json.loads(capsys.readouterr().out)
  assert [s['name'] for s in report['stages']][-1] == END_TO_END
  assert cli.main(arguments) == 0
  shown = capsys.readouterr().out
  assert all(len(line) <= 80 for line in shown.splitlines())
  for words in ('images/s', 'CPU ms per image', 'waits for input', 'Bottleneck: '):
    assert words in shown
  assert cli.main([*arguments, '--model=VGG16']) == 2
  assert '2 --model were given: benchmark takes one' in capsys.readouterr().err
