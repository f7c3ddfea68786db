"""Functions that run a model: one in memory, one by its file."""

import keras
import numpy as np
import pytest
import small_models
from PIL import Image

import tfeval
from tfeval.datasets.labels import imagenet
from tfeval.utils.printable import printable


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
  """Two folders of classes with four small images each."""
  rng = np.random.default_rng(1)
  folder = tmp_path_factory.mktemp('val')
  for wnid in imagenet.label_space().class_ids[:2]:
    (folder / wnid).mkdir()
    for number in range(4):
      pixels = rng.integers(0, 255, (40, 48, 3), np.uint8)
      Image.fromarray(pixels).save(folder / wnid / f'{wnid}_{number}.png')
  return folder


@pytest.fixture(scope='module')
def model():
  keras.utils.set_random_seed(3)
  return small_models.build()


KNOWN = {'preprocess': 'tf', 'output': 'logits', 'protocol': 'opencv:size=32'}


def test_predictions_of_a_model_in_memory_are_those_that_a_run_stores(model, photos):
  found = tfeval.predict(photos / 'n01440764', model, top=3, **KNOWN)
  run = tfeval.evaluate(
    model, f'folder:{photos}', preflight='off', batch_size=4, **KNOWN
  )
  rows = {one['id']: one for one in run.to_arrow().to_pylist()}
  assert len(found.images) == 4 and not found.failed
  for image in found.images:
    (ranked,) = image.predictions
    row = rows[image.path.rpartition('/')[2]]
    assert [one.index for one in ranked] == row['classes'][:3]
    log_probs = np.log([one.probability for one in ranked])
    np.testing.assert_allclose(log_probs, row['log_probs'][:3], rtol=1e-4)


def test_predictions_as_a_frame_and_html(model, photos):
  pytest.importorskip('pandas')
  found = tfeval.predict(sorted(photos.iterdir()), model, top=2, **KNOWN)
  frame = found.to_pandas()
  assert len(frame) == 8 * 2 and frame['rank'].tolist() == [1, 2] * 8
  first = found.images[0].predictions[0][0]
  assert frame.loc[0, 'class'] == first.index
  assert frame.probability[0] == first.probability
  pytest.importorskip('jinja2')
  assert printable(found.images[0].path) in found._repr_html_()


@pytest.mark.slow
def test_a_sweep_of_a_file(model, photos, tmp_path):
  pytest.importorskip('pandas')
  model.save(tmp_path / 'small.keras')
  found = tfeval.sweep(
    str(tmp_path / 'small.keras'),
    axis='channels',
    dataset=f'folder:{photos}',
    output_dir=tmp_path / 'runs',
    batch_size=4,
    preprocess='tf',
    output='logits',
    protocol='opencv',
  )
  assert [one.name for one in found.effects] == ['base', 'channels=bgr']
  assert found.base.path == found.runs['base'].path
  assert found.departures == {'base': {}, 'channels=bgr': {'channels': 'bgr'}}
  base, other = (
    tfeval.load_run(found.runs[name].path) for name in ('base', 'channels=bgr')
  )
  pair = tfeval.compare(other, base).pairs['original'][0]
  assert found.effects[1].hits == pair.hits
  with pytest.raises(tfeval.UserError, match='its name or file'):
    tfeval.sweep(model, dataset=f'folder:{photos}')


@pytest.mark.slow
def test_a_benchmark_of_a_model_in_memory(model, photos):
  pytest.importorskip('pandas')
  found = tfeval.benchmark(
    model, dataset=f'folder:{photos}', images=16, batch_size=4, **KNOWN
  )
  frame = found.to_pandas()
  assert frame.stage.tolist() == [one.name for one in found.stages]
  assert frame.images_per_second.iloc[-1] == found.stages[-1].images_per_second


@pytest.mark.parametrize('how', ['mean', 'votes'])
@pytest.mark.slow
def test_an_ensemble_under_the_class_rules_of_its_members(model, photos, tmp_path, how):
  pytest.importorskip('jsonschema')
  keras.utils.set_random_seed(4)
  members = []
  for number, one in enumerate((model, small_models.build())):
    members.append(
      tfeval.evaluate(
        one,
        f'folder:{photos}',
        name=f'm{number}',
        preflight='off',
        batch_size=4,
        store_logits=True,
        output_dir=tmp_path,
        **KNOWN,
      )
    )
  run = tfeval.ensemble(*members, how=how, output_dir=tmp_path / how)
  assert not tfeval.verify(run).failed
  keys = [one.key for one in members[0].metrics]
  assert [one.key for one in run.metrics] == keys and len(keys) > 2
  restricted = members[0].classes.restricted
  logits = [
    np.array(one.to_arrow().sort_by('id')['logits'].to_pylist()) for one in members
  ]
  exponents = np.exp(np.stack(logits) - np.max(logits, axis=2, keepdims=True))
  probabilities = exponents / exponents.sum(axis=2, keepdims=True)
  rows = run.to_arrow().sort_by('id')
  stored = np.array(rows['classes@restricted'].to_pylist())[:, 0]
  among = probabilities[:, :, restricted]
  if how == 'mean':
    np.testing.assert_array_equal(stored, restricted[among.mean(axis=0).argmax(axis=1)])
  else:
    # Two classes compete, two models vote: a tie goes by probabilities among these.
    shares = among / among.sum(axis=2, keepdims=True)
    np.testing.assert_array_equal(stored, restricted[shares.sum(axis=0).argmax(axis=1)])
