"""What shells complete: commands, their flags, and the names that these take.

Read off the table of commands and what each defines, so that a new command or flag is
completed as soon as it is there.
"""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from absl import flags

import tfeval
from tfeval.cli import command_flags, help_text
from tfeval.datasets import OPENERS, suites, variants
from tfeval.evaluation import departures
from tfeval.metrics import registry
from tfeval.models import normalisation, published, table
from tfeval.models.options import PREPROCESSINGS
from tfeval.preprocess import corruption_table, protocol
from tfeval.reports import formats
from tfeval.utils import flagfile

SHELLS = ('bash', 'zsh', 'fish')
_GENERAL = ('help', 'helpfull')
# Datasets that are no kind of files.
_WHOLE = ('sample', 'imagenet2012', 'imagenet2012_real')
# What a shell takes as one word as it stands.
_PLAIN = re.compile(r'[\w./:@+-]+')
_LONGEST = 60
_MEASURED = 'original/top1', 'parameters', 'multiply_adds', 'images_per_second'
_LABELS = ('original', 'real', 'label_errors')


# What takes words that are in no list, and no files.
_FREE = (
  *('base', 'checkpoint_object', 'expect', 'filter', 'hub_dataset', 'margin', 'name'),
  *('model_name', 'of_class', 'as_class', 'output_name', 'reported', 'sample', 'sort'),
  *('signature', 'source_name', 'source_url', 'split', 'tags', 'task_id', 'tpu'),
  *('beam_args', 'piece', 'ray_address', 'share', 'tf_data_service', 'value'),
)


@dataclasses.dataclass(frozen=True)
class Words:
  """What may stand in a place.

  Attributes:
    words: names that may.
    files: whether paths may as well.
    several: whether commas join several.
  """

  words: tuple[str, ...] = ()
  files: bool = True
  several: bool = False


@dataclasses.dataclass(frozen=True)
class CompletedFlag:
  """A flag as shells complete it.

  Attributes:
    name: its name.
    letter: that stands for it; None: there is none.
    about: what it is for, in a few words.
    values: what it takes; None: nothing, it may have `no` before its name.
  """

  name: str
  letter: str | None
  about: str
  values: Words | None


@dataclasses.dataclass(frozen=True)
class CompletedCommand:
  """A command as shells complete it.

  Attributes:
    name: its name.
    about: what it is for, in a line.
    flags: its flags.
    arguments: what stands beside these.
  """

  name: str
  about: str
  flags: tuple[CompletedFlag, ...]
  arguments: Words


def commands(modules: Mapping[str, object], about: Mapping[str, str]):
  """Yields each command.

  Args:
    modules: of the commands, by their names.
    about: what each is for.
  """
  for name, module in modules.items():
    defined = flags.FlagValues()
    module.define_flags(command_flags.Definer(defined, help_text.OWN))  # type: ignore[attr-defined]
    command_flags.define_general(defined)
    found = [
      _completed(flag)
      for group in help_text.grouped(defined).values()
      for flag in group
    ]
    found += [CompletedFlag(one, None, 'Show help.', None) for one in _GENERAL]
    found.append(CompletedFlag('flagfile', None, 'Read flags from a file.', Words()))
    arguments = _ARGUMENTS.get(name)
    yield CompletedCommand(
      name, about[name], tuple(found), Words() if arguments is None else arguments()
    )


def _completed(flag: flags.Flag) -> CompletedFlag:
  if flag.boolean:
    values = None
  elif isinstance(flag.parser, flags.EnumParser):
    values = Words(_plain(flag.parser.enum_values), files=False)
  elif flag.parser.flag_type() in ('int', 'float'):
    values = Words(_plain(getattr(flag.parser, 'words', ())), files=False)
  else:
    values = _VALUES[flag.name]() if flag.name in _VALUES else Words()
  about = flag.help.split('\n')[0].partition('>: ')
  return CompletedFlag(
    flag.name,
    flagfile.short_name(flag.name),
    _short(about[2] if about[0].startswith('<') else flag.help),
    values,
  )


def _short(text: str) -> str:
  text = ' '.join(text.split())
  if len(text) > _LONGEST:
    text = text[: _LONGEST - 3].rpartition(' ')[0] + '...'
  return text


def _plain(words: Iterable[str]) -> tuple[str, ...]:
  return tuple(word for word in words if _PLAIN.fullmatch(word))


def _models() -> Words:
  return Words(_plain([*table.known_models(), 'all']), several=True)


def _datasets() -> Words:
  known = {*_WHOLE, *variants.variants()}
  kinds = [f'{name}:' for name in OPENERS if name not in known]
  return Words(_plain(dict.fromkeys([*_WHOLE, *kinds, *variants.variants()])))


def _protocols() -> Words:
  return Words(_plain(_protocol_names()), files=False)


def _protocol_names() -> Iterator[str]:
  yield from protocol.named_protocols()
  yield from published.RECIPES


def _metrics() -> Words:
  return Words(_plain(registry.METRICS), files=False, several=True)


def _guides() -> Words:
  found = (pathlib.Path(tfeval.__file__).parent / 'guides').glob('*.md')
  return Words(tuple(sorted(path.stem for path in found)), files=False)


def _corruptions() -> Words:
  kinds = (f'{name}:' for name in corruption_table.kinds())
  return Words(_plain([*kinds, 'all', corruption_table.NONE]), files=False)


def _named(*words: str, files: bool = False, several: bool = False) -> Words:
  """Returns what takes these words, and no files unless that is said."""
  return Words(_plain(words), files, several)


# By the names of flags, in whichever command; files are all that others take.
_VALUES: Mapping[str, Callable[[], Words]] = {
  'model': _models,
  'weights': lambda: Words(('imagenet', 'none', 'averages')),
  'dataset': _datasets,
  'suite': lambda: Words(_plain(suites.suites())),
  'protocol': _protocols,
  'corruption': _corruptions,
  'metrics': _metrics,
  'metric': _metrics,
  'labels': lambda: _named(*_LABELS, files=True),
  'labels_of': lambda: _named(*_LABELS),
  'adapt': lambda: _named('bn', 'tent', 'prior:source=', 'temperature:source='),
  'align': lambda: _named('none', 'coral', 'subspace'),
  'allow': lambda: _named('data', 'protocol', several=True),
  'axis': lambda: _named(*departures.axes()),
  'by': lambda: _named('label', 'real_labels', 'folder', 'images', files=True),
  'class_map': lambda: _named(
    *('background_first', 'background_last', 'ilsvrc_id', 'name'), files=True
  ),
  'columns': lambda: _named('rank', 'model', *_MEASURED, several=True),
  'feed': lambda: _named('bgr', 'twice', 'no_mean', *PREPROCESSINGS),
  'log_to': lambda: _named('mlflow:', 'wandb:', 'tensorboard:', files=True),
  'omit': lambda: _named('label_errors', files=True),
  'order': lambda: _named('file_name', 'class_folder', files=True),
  'preprocess': lambda: _named(*PREPROCESSINGS, *normalisation.names()),
  'to': lambda: _named(*formats.EXPORTS),
  **{name: _named for name in _FREE},
}
# What stands beside the flags of commands; files, such as runs, in others.
_ARGUMENTS: Mapping[str, Callable[[], Words]] = {
  'models': lambda: Words(_models().words, files=False),
  'convert': lambda: Words(_models().words),
  'datasets': lambda: Words(_plain(variants.variants()), files=False),
  'protocols': _protocols,
  'guide': _guides,
  'completion': lambda: Words(SHELLS, files=False),
  'evaluate': lambda: Words(files=False),
}
