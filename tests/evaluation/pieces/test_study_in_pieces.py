"""Real models on real photos in pieces, and a sweep: the runs of one process."""

import shutil

import in_pieces
import pytest

from tfeval.datasets.labels import imagenet
from tfeval.runs.run import load_run

MODELS = ('--model=MobileNet:alpha=0.25', '--model=EfficientNetLite0')


@pytest.fixture(scope='module')
def sets(shared_data, tmp_path_factory):
  """Three sets: photos in folders of their classes, others, and the sample."""
  root, found = tmp_path_factory.mktemp('sets'), []
  photos = sorted((shared_data / 'images').glob('n*.JPEG'))
  for name, chosen in (('first', photos[:45:5]), ('second', photos[-31::5])):
    for path in chosen:
      folder = root / name / path.name[:9]
      folder.mkdir(parents=True, exist_ok=True)
      shutil.copy(path, folder)
    found.append(f'--dataset=folder:{root / name}')
  return [*found, '--dataset=sample']


def counted_by_hand(run):
  """Counts right answers by the classes that names of photos say."""
  of_class = {name: i for i, name in enumerate(imagenet.label_space().class_ids)}
  rows = run.to_arrow(['id', 'classes']).to_pylist()
  return sum(row['classes'][0] == of_class[row['id'][:9]] for row in rows), len(rows)


@pytest.mark.slow
@pytest.mark.parametrize('protocol', ['opencv', 'tf'])
def test_two_models_on_three_sets_and_a_corruption(sets, tmp_path, protocol):
  flags = [*MODELS, *sets, f'--protocol={protocol}', '--batch_size=3']
  flags += ['--corruption=none', '--corruption=defocus_blur:2', '--rows_per_part=4']
  expected = in_pieces.whole(flags, tmp_path / 'whole')
  assert len(expected) == 12
  output = tmp_path / 'study'
  planned = in_pieces.plan([*flags, '--piece_images=8'], output)
  in_pieces.do_in_disorder(planned, seed=1, workers=2)
  runs = in_pieces.join(planned)
  assert in_pieces.runs_of(output) == expected
  for run in runs:
    if 'sample' not in run.path.name:
      top1 = next(one for one in run.metrics if one.key == 'top1')
      assert (top1.correct, top1.count) == counted_by_hand(run)
    assert load_run(run.path).metrics == run.metrics


@pytest.mark.slow
@pytest.mark.parametrize('grid', [(), ('--grid',)], ids=['', 'grid'])
def test_a_sweep_has_the_runs_of_tfeval_sweep(sets, tmp_path, grid):
  flags = [*MODELS[:1], sets[0], '--batch_size=3', '--rows_per_part=4', *grid]
  flags += ['--axis=resize=opencv-area,tf-cubic', '--axis=channels=bgr']
  expected = in_pieces.whole(flags, tmp_path / 'whole', 'sweep')
  assert len(expected) == (6 if grid else 4)
  output = tmp_path / 'study'
  planned = in_pieces.plan(flags, output, 'sweep')
  in_pieces.do_in_disorder(planned)
  in_pieces.join(planned)
  assert in_pieces.runs_of(output) == expected
