"""Classes that files name in an order: those of outputs, or of labels."""

from collections.abc import Iterable, Sequence

import numpy as np

from tfeval.datasets.labels import class_files, imagenet
from tfeval.datasets.labels.listing import doubles
from tfeval.datasets.labels.meanings import folded, normal
from tfeval.datasets.labels.spaces import LabelMap, LabelSpace
from tfeval.utils import paths
from tfeval.utils.errors import UserError

# What files write for an output that stands for nothing.
_NOTHING = frozenset({'', '-', 'background'})


def one_each(outputs: int, space: LabelSpace, indices: Iterable[int]) -> LabelMap:
  """Returns a map of one output for each class."""
  return LabelMap(outputs, space, tuple((index,) for index in indices))


def read_space(path: paths.Path) -> LabelSpace:
  """Reads classes in their order, none left out; see `read_class_map`.

  Raises:
    UserError: as `read_class_map`, or one stands for nothing.
  """
  found = read_class_map(path)
  if found.outputs != len(found.classes) or found.groups != tuple(
    (index,) for index in range(found.outputs)
  ):
    raise UserError(
      f'{path} names {len(found.classes)} classes in {found.outputs} lines: expected a '
      'class in each, those of ILSVRC2012 in the order of their sorted wnids'
    )
  return found.classes


def read_class_map(path: paths.Path) -> LabelMap:
  """Reads what each output means.

  Args:
    path: of a file with an id or name for each output, see `class_files.read_entries`,
      such as Hugging Face's `config.json`. What is empty, `-` or `background` is an
      output that stands for nothing.

  Returns:
    The classes in the order of the outputs. If they are the 1000 of ILSVRC2012, by id
    or by name, they are these, in their order; else those of the file.

  Raises:
    UserError: the file cannot be read, has gaps, or names a class twice.
  """
  entries = class_files.read_entries(path)
  meaning = [i for i, (text, _) in enumerate(entries) if text.lower() not in _NOTHING]
  if not meaning:
    raise UserError(f'class map {path} names no class: expected one for each output')
  ids = [entries[i][0] for i in meaning]
  space = LabelSpace(
    path.name.removesuffix(path.suffix),
    tuple(ids),
    tuple(entries[i][1] for i in meaning),
  )
  known = match(space, imagenet.label_space())
  if known is not None and len(set(known)) == len(imagenet.label_space()) == len(known):
    output_of = np.array(meaning)[np.argsort(known)]
    return one_each(len(entries), imagenet.label_space(), output_of.tolist())
  if twice := doubles(ids):
    raise UserError(
      f'class map {path} has {len(twice)} classes twice, such as {twice[0][:80]}: '
      'expected another id or name for each output'
    )
  return one_each(len(entries), space, meaning)


def told(names: Sequence[str], whose: str) -> LabelMap:
  """Returns what each output means, as a model's framework tells it.

  Other than in a file of the user's, who knows what the dataset calls its classes,
  words may be others: where as many as ILSVRC2012 has are its classes in its order, as
  far as they are known, all are.

  Args:
    names: an id or name for each output; empty, `-` or `background`: it means nothing.
    whose: the model's name.

  Returns:
    The classes in the order of the outputs, those of ILSVRC2012 by their wnids.

  Raises:
    UserError: they name no class, or one twice.

  >>> told(['background', 'cat', 'dog'], 'pets').indices
  array([1, 2])
  """
  texts = [name.strip() for name in names]
  meaning = [i for i, text in enumerate(texts) if text.lower() not in _NOTHING]
  if not meaning:
    raise UserError(f'{whose} tells no class of its outputs: give `class_map=`FILE')
  entries = [class_files.of_line(texts[i]) for i in meaning]
  ids, readable = (tuple(one) for one in zip(*entries, strict=True))
  space, known = LabelSpace(whose, ids, readable), imagenet.label_space()
  found = match(space, known)
  if found is not None and len(found) == len(known):
    # Two classes may have one name, which is that of either.
    names = [normal(name) for name in known.class_names]
    in_place = [
      i if name == names[i] else one
      for i, (name, one) in enumerate(zip(map(normal, readable), found, strict=True))
    ]
    if is_same_order(in_place):
      space = known
    elif sorted(found) == list(range(len(known))):
      space = LabelSpace(
        known.name,
        tuple(known.class_ids[i] for i in found),
        tuple(known.class_names[i] for i in found),
      )
  if twice := doubles(list(space.class_ids)):
    raise UserError(
      f'{whose} tells {len(twice)} classes twice, such as {twice[0][:80]}: give '
      '`class_map=`FILE with another id or name for each output'
    )
  return one_each(len(texts), space, meaning)


def is_same_order(found: Sequence[int]) -> bool:
  """Returns whether outputs are the classes in order, most by their names.

  Args:
    found: as `match` returns them.

  >>> is_same_order([0, -1, 2]), is_same_order([0, 2, 1]), is_same_order([-1, -1, 2])
  (True, False, False)
  """
  known = sum(one >= 0 for one in found)
  return 2 * known > len(found) and all(one in (-1, i) for i, one in enumerate(found))


def match(outputs: LabelSpace, classes: LabelSpace) -> list[int] | None:
  """Returns the class that each output means, -1 for none; None: no output means one.

  By ids as they stand, then as `folded`, then by readable names, as they stand and as
  `folded`, then by these up to a comma; a class that an output means by one of these is
  meant by no other by the next. If any ids agree, an output with an id besides its name
  means nothing by the name. Of names that several classes have the first output is the
  first class.
  """
  found = [classes.index_of_id.get(one, -1) for one in outputs.class_ids]
  _fill(found, map(folded, outputs.class_ids), map(folded, classes.class_ids))
  have_ids = max(found) >= 0
  both = zip(outputs.class_ids, outputs.class_names, strict=True)
  names = ['' if have_ids and one != name else name for one, name in both]
  # As they stand first: Cardigan is a dog, cardigan is none.
  for form in (str, folded, normal):
    _fill(found, map(form, names), map(form, classes.class_names))
  return found if max(found) >= 0 else None


def _fill(found: list[int], outputs: Iterable[str], classes: Iterable[str]) -> None:
  """Matches outputs that mean nothing yet with classes that none means yet.

  Args:
    found: the class of each output so far, -1 for none; becomes more.
    outputs, classes: what each is called; `''`: nothing.
  """
  taken = set(found)
  places: dict[str, list[int]] = {}
  for index, text in enumerate(classes):
    if index not in taken:
      places.setdefault(text, []).append(index)
  for output, text in enumerate(outputs):
    there = places.get(text) if found[output] < 0 and text else None
    if there:
      # The last of several stays, for a map that names one class twice.
      found[output] = there.pop(0) if len(there) > 1 else there[0]
