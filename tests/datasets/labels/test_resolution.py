"""What names of classes mean: wnids, readable names, numbers, or only themselves."""

import pytest

from tfeval.datasets.labels import class_numbers, imagenet, resolution
from tfeval.utils.errors import UserError

SPACE = imagenet.label_space()
WNIDS, NAMES = SPACE.class_ids, SPACE.class_names


def resolved(names, form='auto', known=()):
  """Returns the indices of ImageNet's classes, None where names are their own."""
  space, indices = resolution.resolve('mine', names, form, known)
  if space is SPACE:
    return indices
  assert (space.name, space.class_ids) == ('mine', tuple(names))
  assert indices == list(range(len(names)))
  return None


def refused(words, *arguments):
  with pytest.raises(UserError, match=words) as caught:
    resolved(*arguments)
  assert '\n' not in str(caught.value)


@pytest.fixture(scope='module')
def devkit(shared_data):
  """Wnids by ILSVRC id, and the words of each wnid, as the development kit has them."""
  kit = shared_data / 'devkit'
  rows = (kit / 'ilsvrc_ids.tsv').read_text().splitlines()[1:]
  lines = (kit / 'synset_words.txt').read_text().splitlines()
  by_id = {int(number): wnid for number, wnid in map(str.split, rows)}
  return by_id, dict(line.split(' ', 1) for line in lines)


# Names and wnids.


@pytest.mark.parametrize(
  'names, expected',
  [
    (['n01443537', 'n01440764'], [1, 0]),
    (['N01443537', 'n01440764_tench', 'n01616318-vulture'], [1, 0, 23]),
    (['n01440764 tench, Tinca tinca'], [0]),
    (['Tench', 'great_white_shark', ' TIGER  shark'], [0, 2, 3]),
    (['shih tzu', "jack_o'_lantern"], [155, 607]),
    (['tench, Tinca tinca', 'n01443537'], [0, 1]),
    (['tench', 'cat'], None),
    (['n01440764', 'n00000001'], None),
    (['n014407640'], None),
    (['crane', 'cat'], None),
    (['', 'tench'], None),
  ],
)
def test_names(names, expected):
  assert resolved(names) == expected


def test_every_class_by_every_name(devkit):
  _, words = devkit
  shared = {'crane', 'cardigan', 'maillot'}
  for index, wnid in enumerate(WNIDS):
    assert resolved([wnid.upper()]) == [index]
    first = words[wnid].split(',')[0]
    if first.lower() in shared:
      refused('is what n', [first])
      continue
    for name in (first, words[wnid], first.replace(' ', '_').upper()):
      assert resolved([name]) == [index], name


def test_names_of_several_classes_are_asked_for_by_wnid():
  refused('crane is what n02012849 and n03126707 are called: name it', ['crane'])
  # Of two cases one letter tells them apart, and who writes it so is unknown.
  refused('cardigan is what', ['tench', 'cardigan'])
  assert resolved(['crane', 'tench'], 'name') is None
  assert resolved(['crane', 'tench'], 'auto', [('tench', 134), ('crane', 517)]) == [
    517,
    0,
  ]
  both = [('crane', 134), ('crane', 517)]
  refused('crane is what', ['crane', 'tench'], 'auto', both)


def test_all_names_in_order_tell_cranes_apart():
  assert resolved(list(NAMES)) == list(range(1000))
  mixed = list(NAMES)
  mixed[0], mixed[1] = mixed[1], mixed[0]
  refused('two classes that are called', mixed)


@pytest.mark.parametrize(
  'names, words',
  [
    (['n01440764', 'tench'], 'n01440764 and tench are the same class, n01440764: put'),
    (['n01440764', 'N01440764'], 'are the same class'),
    (['great white shark', 'Great_White_Shark'], 'are the same class'),
    (['a', 'b', 'a'], "mine has two classes that are called 'a'"),
    (['1', '01'], '1 and 01 are the same number: put them together'),
  ],
)
def test_two_names_of_one_class(names, words):
  refused(words, names)


# Numbers.


def test_all_numbers_of_imagenet(devkit):
  by_id, _ = devkit
  text_order = sorted(map(str, range(1000)))
  assert resolved(text_order) == [int(one) for one in text_order]
  assert resolved([f'{n:05d}' for n in range(1000)]) == list(range(1000))
  ids = sorted(map(str, range(1, 1001)))
  assert [WNIDS[i] for i in resolved(ids)] == [by_id[int(one)] for one in ids]


@pytest.mark.parametrize(
  'names',
  [
    [str(n) for n in range(10)],
    ['00', '01'],
    ['0', '217', '999'],
    ['1', '1000'],
    [str(n) for n in range(1, 1000)],
    [str(n) for n in range(1001)],
  ],
)
def test_other_numbers_are_classes_of_their_own(names):
  assert resolved(names) is None


def test_numbers_in_place_of_names_mean_nothing():
  """`ClassLabel(num_classes=1000)` of TFDS, which nobody has named."""
  space, _ = resolution.resolve('mine', [str(n) for n in range(1000)])
  assert space is not SPACE


def test_forms_that_are_asked_for(devkit):
  by_id, _ = devkit
  assert resolved(['0', '217'], 'index') == [0, 217]
  assert [WNIDS[i] for i in resolved(['1', '0500'], 'ilsvrc_id')] == [
    by_id[1],
    by_id[500],
  ]
  assert resolved([str(n) for n in range(1000)], 'name') is None
  refused('mine: class folder 1000, expected 0 to 999 of', ['0', '1000'], 'index')
  refused('mine: class folder 0, expected 1 to 1000 of', ['0', '5'], 'ilsvrc_id')
  refused("'cat' is no number, as `class_folders=index` says", ['1', 'cat'], 'index')
  refused("unknown class_folders 'idx': did you mean index", ['1'], 'idx')


def id_of(index):
  return imagenet.ilsvrc_ids()[index]


def test_images_prove_what_numbers_are():
  some = [65, 230, 809]
  by_index = [(str(n), n) for n in some]
  assert resolved([*map(str, some)], 'auto', by_index) == some
  ids = [str(id_of(n)) for n in some]
  assert resolved(ids, 'auto', zip(ids, some, strict=True)) == some
  # One that lies wrong is found by who knows its path.
  assert resolved(['65', '230', '809'], 'auto', [*by_index, ('65', 1)]) == some


def test_images_that_prove_another_order():
  refused(
    'are no ImageNet index from 0 and no ILSVRC id: of 3 images that tell their class '
    'by name, they hold 0 by index, 0 by ilsvrc_id, 3 by index . 1: name the folders',
    ['66', '231', '810'],
    'auto',
    [('66', 65), ('231', 230), ('810', 809)],
  )
  ids = [str(n) for n in range(1, 1001)]
  refused('no ILSVRC id', ids, 'auto', [('66', 65), ('231', 230)])
  # Two classes of their own, made of ImageNet's.
  assert resolved(['0', '1'], 'auto', [('0', 65), ('0', 9), ('1', 230)]) is None


def test_images_that_prove_both_orders():
  same = next(n for n in range(1000) if id_of(n) == n)
  known = [(str(same), same)]
  refused('give `class_folders=index` or', [str(same)], 'auto', known)
  assert resolved(['0', str(same)], 'auto', known) == [0, same]
  ids = [str(same), '1000']
  assert resolved(ids, 'auto', known) == class_numbers.indices(
    'mine', [same, 1000], 'ilsvrc_id'
  )


@pytest.mark.parametrize(
  'names, words',
  [
    (['cats', 'dogs'], None),
    (['0', '1', '2'], None),
    (['1355868', '1355932'], None),
    (['0', '217', '999'], 'numbers with gaps.*`class_folders=index` and `ilsvrc_id`'),
    (['n01440764', 'n01443537', 'n00000001'], '1 of 3 classes.*such as n00000001'),
  ],
)
def test_what_is_said_of_own_classes(names, words):
  notes = resolution.foreign_note(names)
  assert len(notes) == (words is not None)
  if words:
    with pytest.raises(AssertionError, match=words):
      raise AssertionError(notes[0])
