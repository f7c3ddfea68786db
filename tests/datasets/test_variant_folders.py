"""Test sets that lie in folders, as their authors publish them."""

import json

import cv2
import keras
import numpy as np
import pytest
import standin_archives

import tfeval
from tfeval import cli, datasets
from tfeval.datasets import variant_folders, variants
from tfeval.datasets.labels import class_sets
from tfeval.runs.run import load_run
from tfeval.utils.errors import UserError

MODEL = 'MobileNet:alpha=0.25'


@pytest.fixture(scope='module')
def photos(shared_data):
  return standin_archives.photos_by_wnid(shared_data)


@pytest.fixture(scope='module')
def facts(shared_data):
  return lambda name: standin_archives.facts(shared_data, name)


def put(root, members):
  for name, content in members.items():
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(content)
  return root


def pixels_of(encoded):
  return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)


def png(image):
  return cv2.imencode('.png', image)[1].tobytes()


@pytest.fixture(scope='module')
def model():
  return keras.applications.MobileNet(alpha=0.25, classifier_activation=None)


@pytest.fixture(scope='module')
def logits_of(model):
  def logits(image, whole=False):
    cv2.ipp.setUseIPP(False)
    height, width = image.shape[:2]
    short = min(height, width)
    if not whole:
      sides = (width * 256 // short, height * 256 // short)
      image = cv2.resize(image, sides, interpolation=cv2.INTER_CUBIC)
      y, x = (side // 2 - 112 for side in image.shape[:2])
      image = image[y : y + 224, x : x + 224]
    crop = image[None, ..., ::-1].astype(np.float32)
    return model.predict(crop / 127.5 - 1, verbose=0)[0]

  return logits


def evaluate(output, *flags):
  how = [f'--model={MODEL}', f'--output_dir={output}', '--preflight=off']
  code = cli.main(['evaluate', *how, '--store_logits', '--batch_size=8', *flags])
  assert code == 0
  return [load_run(path) for path in sorted(output.iterdir())]


def found(run, rule):
  (one,) = (m for m in run.metrics if (m.name, m.rule) == ('top1', rule))
  return one.correct, one.count


PNG_START = b'\x89PNG\r\n\x1a\n'
BORDER = (0, 0, 255)  # OpenCV's red.


@pytest.fixture(scope='module')
def objectnet(photos, facts, tmp_path_factory):
  """Ten photos with a border, three without, and a class that ImageNet lacks."""
  members, rows = {}, []
  for row in facts('objectnet_113'):
    wnids = [one for one in row['wnids'].split(',') if one in photos]
    if wnids and len(rows) < 13:
      image = pixels_of(photos[wnids[0]])
      bordered = cv2.copyMakeBorder(image, *[2] * 4, cv2.BORDER_CONSTANT, value=BORDER)
      shown = bordered if len(rows) < 10 else image
      members[f'images/{row["folder"]}/{len(rows):04}.png'] = png(shown)
      rows.append((row, image))
  members['images/coffee_grinder_of_ours/9999.png'] = png(rows[0][1])
  return put(tmp_path_factory.mktemp('objectnet'), members), rows


@pytest.mark.slow
def test_objectnet(objectnet, logits_of, facts, tmp_path):
  folder, rows = objectnet
  (run,) = evaluate(tmp_path, f'--dataset=objectnet:{folder}')
  group_of = {
    int(one): i
    for i, row in enumerate(facts('objectnet_113'))
    for one in row['imagenet_indices'].split(',')
  }
  inside, hits, restricted = sorted(group_of), 0, 0
  for row, image in rows:
    logits, right = (
      logits_of(image),
      group_of[int(row['imagenet_indices'].split(',')[0])],
    )
    hits += group_of.get(int(logits.argmax())) == right
    restricted += group_of[inside[int(logits[inside].argmax())]] == right
  assert found(run, 'all') == (hits, len(rows))
  assert found(run, 'restricted') == (restricted, len(rows))
  notes = ' '.join(run.result.dataset.notes)
  assert 'left out: 1 images of 1 classes' in notes and '18,574' in notes
  assert '3 of 13 images that were looked at have no red border' in notes
  assert run.path.name == f'{MODEL.replace(":", "_")}+objectnet'
  assert cli.main(['verify', str(run.path)]) == 0


def test_borders_of_objectnet_that_stay(photos, facts, tmp_path):
  folder = facts('objectnet_113')[0]['folder']
  image = np.zeros((12, 12, 3), np.uint8)
  image[:] = BORDER
  jpeg = cv2.imencode('.jpg', image)[1].tobytes()
  half = png(image)[:-20]  # What is wrong with it is told where it is decoded.
  members = {'a.png': png(image), 'b.jpg': jpeg, 'c.png': half}
  put(tmp_path, {f'{folder}/{name}': one for name, one in members.items()})
  dataset = datasets.open_dataset(f'objectnet:{tmp_path}')
  assert dataset.notes[2:] == ('1 images are no PNG: a red border in them is not cut',)
  cut, *kept = (one['image'] for one in dataset.strided(1).as_numpy_iterator())
  assert pixels_of(cut).shape == (8, 8, 3) and kept == [jpeg, half]


def test_cue_conflicts_without_a_conflict_have_no_label(photos, tmp_path):
  photo = png(pixels_of(next(iter(photos.values()))))
  names = ('cat1-bear2.png', 'cat2-cat1.png')
  put(tmp_path, {f'cat/{name}': photo for name in names})
  dataset = datasets.open_dataset(f'geirhos_conflict_stimuli:{tmp_path}')
  labels = [int(one['label']) for one in dataset.examples().as_numpy_iterator()]
  cat = class_sets.read('cue_conflict')
  assert labels == [cat.groups[cat.names.index('cat')][0], -1]


@pytest.mark.slow
def test_imagenet_a_in_a_folder_of_few_classes(photos, facts, logits_of, tmp_path):
  rows = [row for row in facts('imagenet_a_200') if row['wnid'] in photos][:9]
  names = {row['wnid']: f'imagenet-a/{row["wnid"]}/x.jpg' for row in rows}
  put(tmp_path / 'a', {name: photos[wnid] for wnid, name in names.items()})
  (run,) = evaluate(tmp_path / 'runs', f'--dataset=imagenet_a:{tmp_path / "a"}')
  inside = sorted(int(row['index']) for row in facts('imagenet_a_200'))
  hits = sum(
    inside[int(logits_of(pixels_of(photos[row['wnid']]))[inside].argmax())]
    == int(row['index'])
    for row in rows
  )
  # All 200 compete, though few have an image here.
  assert found(run, 'restricted') == (hits, len(rows))
  assert len(run.classes.restricted) == 200
  notes = ' '.join(run.result.dataset.notes)
  assert '9 images, ImageNet-A has 7,500' in notes
  assert 'no image of 191 of its 200 classes' in notes
  other = next(
    w for w in photos if w not in {r['wnid'] for r in facts('imagenet_a_200')}
  )
  put(tmp_path / 'a', {f'imagenet-a/{other}/y.jpg': photos[other]})
  with pytest.raises(UserError, match=f'none of ImageNet-A \\({other}\\)'):
    datasets.open_dataset(f'imagenet_a:{tmp_path / "a"}')


def test_imagenet_o_has_no_labels(photos, facts, tmp_path):
  rows = [row for row in facts('imagenet_o_200') if row['wnid'] in photos][:4]
  put(tmp_path / 'o', {f'{r["wnid"]}/{r["wnid"]}.jpg': photos[r['wnid']] for r in rows})
  (run,) = evaluate(tmp_path / 'runs', f'--dataset=imagenet_o:{tmp_path / "o"}')
  inside = sorted(int(row['index']) for row in facts('imagenet_o_200'))
  for row in run.to_arrow(['label', 'logits', 'log_probs@restricted']).to_pylist():
    logits = np.array(row['logits'])[inside]
    assert row['label'] is None
    p = np.exp(logits - logits.max())
    assert np.exp(row['log_probs@restricted'][0]) == pytest.approx((p / p.sum()).max())


@pytest.mark.slow
def test_files_of_imagenet_c_are_not_resized_again(photos, logits_of, tmp_path, caplog):
  wnids, names = list(photos)[:6], ('weather/fog/1', 'weather/fog/3', 'weather/frost/2')
  images = {}
  for name in names:
    for wnid in wnids:
      image = cv2.resize(pixels_of(photos[wnid]), (224, 224)) // 2 * (1 + len(name) % 2)
      images[f'{name}/{wnid}/x.JPEG'] = cv2.imencode('.jpg', image)[1].tobytes()
  put(tmp_path / 'c', images)
  runs = evaluate(tmp_path / 'runs', f'--dataset=imagenet_c:{tmp_path / "c"}')
  kinds = [name.split('/', 1)[1].replace('/', '_') for name in names]
  assert [run.path.name.partition('+')[2] for run in runs] == [
    f'imagenet_c_{kind}' for kind in kinds
  ]
  index = {wnid: i for i, wnid in enumerate(imagenet_ids())}
  for run, name in zip(runs, names, strict=True):
    hits = sum(
      int(logits_of(pixels_of(images[f'{name}/{w}/x.JPEG']), True).argmax()) == index[w]
      for w in wnids
    )
    assert found(run, 'all') == (hits, len(wnids))
    assert run.result.dataset.config == name.split('/', 1)[1].replace('/', '_')
  said = variants.protocol_of(f'imagenet_c:{tmp_path / "c"}/fog/1', 'pil', 'opencv')
  assert said == 'pil' and 'cropped already' in caplog.text


def test_validation_images_alone_have_the_rules_of_other_sets(photos, tmp_path):
  small = cv2.resize(pixels_of(next(iter(photos.values()))), (224, 224))
  photo = cv2.imencode('.jpg', small)[1].tobytes()
  image = {'fog/1/n01751748/ILSVRC2012_val_00000001.JPEG': photo}  # A sea snake.
  folder = put(tmp_path, image) / 'fog' / '1'
  as_they_are = datasets.open_dataset(f'folder:{folder}')
  assert [rule.name for rule in as_they_are.rules] == list(class_sets.PARTNERS)
  assert not datasets.open_dataset(f'imagenet_c:{folder}').rules


def test_corruptions_and_severities_in_a_folder(tmp_path):
  names = ('fog/1', 'fog/10', 'weather/snow/2.5')
  put(tmp_path, {f'{name}/n01440764/3/x.JPEG': b'' for name in names})
  found = variant_folders.corruptions(str(tmp_path))
  assert found == [f'{tmp_path}/{name}' for name in names]
  # One corruption with all its severities, or one of these.
  assert datasets.several(f'imagenet_c:{tmp_path}/fog:limit=2') == [
    f'imagenet_c:{tmp_path}/fog/{severity}:limit=2' for severity in ('1', '10')
  ]
  one = f'imagenet_c_bar:{tmp_path}/fog/1'
  assert datasets.several(one) == [one]


def test_messages_name_the_set(tmp_path):
  put(tmp_path, {f'{name}/cat/x.png': PNG_START for name in ('train', 'val')})
  v2 = 'imagenet_v2/topimages'
  with pytest.raises(UserError, match=f'`dataset=imagenet_a:{tmp_path}/val`'):
    datasets.open_dataset(f'imagenet_a:{tmp_path}')
  with pytest.raises(UserError, match=f'`dataset={v2}:{tmp_path}/val`') as error:
    datasets.open_dataset(f'{v2}:{tmp_path}')
  assert 'folder:' not in str(error.value)


def test_a_run_is_called_by_the_whole_path(tmp_path, monkeypatch):
  put(tmp_path, {'fog/1/x.JPEG': b''})
  monkeypatch.chdir(tmp_path / 'fog')
  assert variants.run_name('imagenet_c:1') == 'imagenet_c_fog_1'


def test_python_does_not_resize_them_again_either(photos, model, tmp_path):
  wnid, photo = next(iter(photos.items()))
  image = cv2.resize(pixels_of(photo), (224, 224))
  encoded = cv2.imencode('.jpg', image)[1].tobytes()
  name = f'imagenet_c:{put(tmp_path, {f"fog/1/{wnid}/x.JPEG": encoded})}/fog/1'
  as_usual = tfeval.Evaluator(model, name, preprocess='tf')
  assert as_usual.identity()['protocol'] == 'opencv:resize=squash,crop=none'
  (batch,) = tfeval.build_dataset(name, batch_size=1)
  np.testing.assert_array_equal(batch['pixels'][0][..., ::-1], pixels_of(encoded))
  with pytest.raises(UserError, match='corrupted already'):
    tfeval.Evaluator(model, name, preprocess='tf', corruption='fog:1')
  v2 = put(tmp_path / 'v2', {'0/x.jpeg': photo})
  of_authors = tfeval.Evaluator(
    model, f'imagenet_v2:{v2}', preprocess='tf', protocol='authors'
  )
  assert of_authors.identity()['protocol'] == 'pil:kernel=bilinear'


def imagenet_ids():
  from tfeval.datasets.labels import imagenet

  return imagenet.label_space().class_ids


def test_tiny_imagenet_by_its_annotations(photos, facts, tmp_path):
  rows = [row for row in facts('tiny_imagenet_200') if row['wnid'] in photos][:5]
  members = {
    f'val/images/val_{i}.JPEG': photos[row['wnid']] for i, row in enumerate(rows)
  }
  lines = [f'val_{i}.JPEG\t{row["wnid"]}\t0\t0\t9\t9' for i, row in enumerate(rows)]
  put(tmp_path, members | {'val/val_annotations.txt': '\n'.join(lines).encode()})
  dataset = datasets.open_dataset(f'tiny_imagenet:{tmp_path}')
  labels = {
    one['id'].decode(): int(one['label'])
    for one in dataset.examples().as_numpy_iterator()
  }
  assert labels == {f'val_{i}.JPEG': int(row['index']) for i, row in enumerate(rows)}
  assert sorted(dataset.competing) == sorted(
    int(r['index']) for r in facts('tiny_imagenet_200')
  )
  (tmp_path / 'val/val_annotations.txt').write_text('val_0.JPEG\tn00000000\n')
  with pytest.raises(UserError, match="line 1: 'n00000000' is no class of Tiny"):
    datasets.open_dataset(f'tiny_imagenet:{tmp_path}')


def test_folders_of_v2_are_numbers(photos, tmp_path):
  index = {wnid: i for i, wnid in enumerate(imagenet_ids())}
  # Its archive has a folder around them.
  top = tmp_path / 'imagenetv2-topimages'
  put(top, {f'{index[w]}/{w}.jpeg': photos[w] for w in list(photos)[:12]})
  dataset = datasets.open_dataset(f'imagenet_v2:{tmp_path}')
  for one in dataset.examples().as_numpy_iterator():
    assert index[one['id'].decode()[:9]] == one['label']


@pytest.mark.parametrize(
  ('name', 'message'),
  [
    ('objectnet', 'get it from https://objectnet.dev and give --dataset=objectnet:DIR'),
    ('imagenet_o:/nowhere', "folder '/nowhere' does not exist"),
    ('imagenet_a:/nowhere', "folder '/nowhere' does not exist"),
    ('imagenet_x', 'imagenet_x has no images'),
    ('imagenet_c', 'give --dataset=imagenet_c:DIR'),
  ],
)
def test_what_is_not_there_is_told_in_a_line(name, message, tmp_path, capsys):
  flags = [f'--model={MODEL}', f'--output_dir={tmp_path / "runs"}', f'--dataset={name}']
  assert cli.main(['evaluate', *flags]) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert message in line
  assert not (tmp_path / 'runs').exists() or not list((tmp_path / 'runs').iterdir())


def test_protocols_of_the_authors():
  found = variants.protocol_of('imagenet_r', 'authors', 'opencv')
  assert found == 'pil:kernel=bilinear'
  assert variants.protocol_of('folder:x', 'pil', 'opencv') == 'pil'
  with pytest.raises(UserError, match='of folder:x no preprocessing of its authors'):
    variants.protocol_of('folder:x', 'authors', 'opencv')


def test_the_command_lists_them(capsys):
  assert cli.main(['datasets']) == 0
  out = capsys.readouterr().out
  assert max(map(len, out.splitlines())) <= 80
  assert all(name in out for name in variants.variants())
  assert cli.main(['datasets', 'imagenet_a', '--json']) == 0
  found = json.loads(capsys.readouterr().out)
  assert len(found['classes']) == 200 and found['rule'] == 'restricted'
  assert cli.main(['datasets', 'imagenet_q']) == 2
  assert 'did you mean' in capsys.readouterr().err


def test_what_is_no_imagenet_c_is_refused(photos, tmp_path):
  photo = next(iter(photos.values()))
  small = cv2.imencode('.jpg', cv2.resize(pixels_of(photo), (224, 224)))[1].tobytes()
  wnid = next(iter(photos))
  for folder, content, message in (
    ('a/fog/6', small, 'and fog/6 is none'),
    ('b/foggy/3', small, 'and foggy/3 is none'),
    ('c/fog/3', photo, 'images of ImageNet-C have 224 x 224'),
  ):
    put(tmp_path, {f'{folder}/{wnid}/x.JPEG': content})
    with pytest.raises(UserError, match=message):
      datasets.open_dataset(f'imagenet_c:{tmp_path}/{folder}')
  twice = {f'd/{name}/{wnid}/x.JPEG': small for name in ('fog/3', 'weather/fog/3')}
  put(tmp_path, twice)
  with pytest.raises(UserError, match='holds fog/3 in several places'):
    datasets.several(f'imagenet_c:{tmp_path}/d')
