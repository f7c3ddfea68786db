"""Multi-labels, SI-Score and TFDS' corruptions by their builders, against loops."""

import json
import tarfile

import cv2
import keras
import numpy as np
import pytest
import standin_archives
import tensorflow_datasets as tfds

from tfeval import cli
from tfeval.analysis.across import measures
from tfeval.runs.run import load_run

MODEL = 'MobileNet:alpha=0.25'
MULTILABEL = 'imagenet2012_multilabel'
TAR = 'ILSVRC2012_img_val.tar'
LAST = 60


@pytest.fixture(scope='module')
def answers_of():
  """Returns answers to encoded images, resized and cropped unless `whole`."""
  cv2.ipp.setUseIPP(False)
  model = keras.applications.MobileNet(alpha=0.25, classifier_activation=None)

  def answers(images, whole=False):
    crops = []
    for encoded in images:
      image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
      crops.append(image if whole else cropped(image))
    pixels = np.stack(crops)[..., ::-1].astype(np.float32)
    return model.predict(pixels / 127.5 - 1, verbose=0).argmax(-1).tolist()

  return answers


def cropped(image):
  height, width = image.shape[:2]
  short = min(height, width)
  sides = (width * 256 // short, height * 256 // short)
  image = cv2.resize(image, sides, interpolation=cv2.INTER_CUBIC)
  y, x = (side // 2 - 112 for side in image.shape[:2])
  return image[y : y + 224, x : x + 224]


def evaluate(output, *flags):
  how = [f'--model={MODEL}', f'--output_dir={output}', '--preflight=off']
  assert cli.main(['evaluate', *how, '--batch_size=8', *flags]) == 0
  return [load_run(path) for path in sorted(output.iterdir())]


def found(run, labels='original'):
  (one,) = (m for m in run.metrics if (m.name, m.labels) == ('top1', labels))
  return one.correct, one.count, one.skipped


@pytest.fixture(scope='module')
def images(standin_dir):
  with tarfile.open(standin_dir / TAR) as tar:
    return {name: tar.extractfile(name).read() for name in sorted(tar.getnames())}


@pytest.fixture(scope='module')
def truth(shared_data):
  """The class of each validation image, by number."""
  devkit = shared_data / 'devkit'
  lines = (devkit / 'ilsvrc_ids.tsv').read_text().splitlines()[1:]
  wnid_of = dict(line.split('\t') for line in lines)
  numbers = (devkit / 'ILSVRC2012_validation_ground_truth.txt').read_text().split()
  names = [row['wnid'] for row in standin_archives.class_names(shared_data)]
  return [names.index(wnid_of[number]) for number in numbers[:LAST]]


def test_multi_labels_and_imagenet_m(
  images, truth, standin_dir, shared_data, answers_of, tmp_path
):
  answers = dict(zip(images, answers_of(images.values()), strict=True))
  wnids = [row['wnid'] for row in standin_archives.class_names(shared_data)]
  told = standin_archives.multi_labels(answers, wnids)
  (url,) = (one for one in standin_archives.urls(MULTILABEL) if 'v3.0.0' in one)
  contents = {url: json.dumps(told).encode()}
  standin_archives.seed(tmp_path / 'tfds', MULTILABEL, contents)
  names = [MULTILABEL, f'{MULTILABEL}:split=imagenet_m']
  flags = [f'--dataset={name}' for name in names]
  flags += [f'--manual_dir={standin_dir}', f'--data_dir={tmp_path / "tfds"}']
  whole, of_m = evaluate(tmp_path / 'runs', *flags)
  # As the README of the dataset has it.
  right, count = {}, {}
  for i, (name, annotation) in enumerate(told['initial_annots'].items()):
    if name in images and name not in told['problematic_images']:
      accepted = annotation.get('correct', []) + annotation.get('unclear', [])
      label = truth[i]
      right[label] = right.get(label, 0) + (wnids[answers[name]] in accepted)
      count[label] = count.get(label, 0) + 1
  skipped = len(told['problematic_images'])
  expected = (sum(right.values()), sum(count.values()), skipped)
  assert found(whole, 'multilabel') == expected
  assert 0 < expected[0] < expected[1] and max(count.values()) > 1
  means = [right[label] / count[label] for label in count]
  assert measures.class_mean(whole) == pytest.approx(sum(means) / len(means))
  hits = sum(
    wnids[answers[name]]
    in told['initial_annots'][name].get('correct', [])
    + told['initial_annots'][name].get('unclear', [])
    for name in told['imagenet_m']
  )
  assert found(of_m, 'multilabel') == (hits, len(told['imagenet_m']), 0)
  originals = [answers[name] == truth[i] for i, name in enumerate(images)]
  there = [name in told['initial_annots'] for name in images]
  assert found(whole)[:2] == (sum(np.array(originals)[there]), sum(there))


@pytest.mark.slow
@pytest.mark.parametrize('factor', ['size', 'location', 'rotation'])
def test_si_score(factor, shared_data, answers_of, tmp_path):
  members, classes = standin_archives.on_backgrounds(shared_data, factor)
  (url,) = (u for u in standin_archives.urls('siscore') if f'/{factor}.zip' in u)
  contents = {url: standin_archives.zipped(members)}
  standin_archives.seed(tmp_path / 'tfds', 'siscore', contents)
  flags = [f'--dataset=siscore/{factor}', f'--data_dir={tmp_path / "tfds"}']
  (run,) = evaluate(tmp_path / 'runs', *flags)
  right = [classes[path.split('/')[1]] for path in members]
  hits = sum(a == b for a, b in zip(answers_of(members.values()), right, strict=True))
  assert found(run) == (hits, len(members), 0) and 0 < hits
  assert {metric.rule for metric in run.metrics} == {'all'}
  assert sorted(run.to_arrow(['id'])['id'].to_pylist()) == [str(i) for i in range(8)]


@pytest.mark.slow  # The builder makes a graph for each image.
def test_corruptions_of_tfds(images, truth, standin_dir, answers_of, tmp_path):
  """The builder's own pixels are evaluated as they are, not resized again."""
  name = 'imagenet2012_corrupted/contrast_3'
  # Every configuration asks for the textures of frost.
  frost = dict.fromkeys(standin_archives.urls('imagenet2012_corrupted'), b'.')
  standin_archives.seed(tmp_path / 'tfds', name, frost)
  flags = [f'--manual_dir={standin_dir}', f'--data_dir={tmp_path / "tfds"}']
  (run,) = evaluate(tmp_path / 'runs', f'--dataset={name}', *flags)
  builder = tfds.builder(name, data_dir=str(tmp_path / 'tfds'))
  skip = {'image': tfds.decode.SkipDecoding()}
  examples = list(tfds.as_numpy(builder.as_dataset('validation', decoders=skip)))
  numbers = [int(one['file_name'].decode()[-13:-5]) for one in examples]
  right = [truth[number - 1] for number in numbers]
  answers = answers_of([one['image'] for one in examples], whole=True)
  hits = sum(a == b for a, b in zip(answers, right, strict=True))
  assert found(run) == (hits, LAST, 0) and 0 < hits
  assert 'crop=none' in run.result.protocol.text
