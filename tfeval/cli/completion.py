"""`tfeval completion SHELL`."""

import pathlib
import shlex
from collections.abc import Iterable, Iterator, Sequence

from tfeval import cli
from tfeval.cli import completable
from tfeval.cli.completable import CompletedCommand, CompletedFlag, Words
from tfeval.reports import terminal
from tfeval.utils import errors, flagfile
from tfeval.utils.errors import UserError

USAGE = """Usage: tfeval completion bash|zsh|fish

  source <(tfeval completion bash)        # in ~/.bashrc
  source <(tfeval completion zsh)         # in ~/.zshrc, behind compinit
  tfeval completion fish | source         # in ~/.config/fish/config.fish

Prints a script by which the shell completes commands, flags, and names of
models, datasets, protocols and metrics. It calls nothing when it completes:
print it again after an update. To start shells faster, write it to a file
that they load when it is needed, such as
~/.local/share/bash-completion/completions/tfeval."""


def define_flags(define) -> None:
  del define  # The shell says it all.


def run(flags, arguments: list[str]) -> int:
  del flags
  if len(arguments) != 1:
    raise UserError(
      f'{len(arguments)} shells were given: tfeval completion bash, zsh or fish'
    )
  (shell,) = arguments
  if shell not in completable.SHELLS:
    raise errors.unknown('shell', shell, completable.SHELLS)
  terminal.print_lines(script(shell))
  return 0


def script(shell: str) -> Iterator[str]:
  """Yields the lines of the script for a shell."""
  modules = {name: cli.command_module(name) for name in cli.COMMANDS}
  found = list(completable.commands(modules, cli.COMMANDS))
  if shell == 'fish':
    yield from _template(shell)
    yield from _fish(found)
    return
  for line in _template(shell):
    if line.strip() == '@COMMON@':
      yield from _filled(_template('common'), shell, found)
    else:
      yield from _filled([line], shell, found)


def _filled(
  lines: Iterable[str], shell: str, found: Sequence[CompletedCommand]
) -> Iterator[str]:
  """Yields lines of a template, in place of names what these stand for."""
  for line in lines:
    if line.strip() == '@COMMANDS@':
      yield from _of_commands(shell, found)
    elif line.strip() == '@FLAGS@':
      yield from _of_flags(shell, found)
    elif line.strip() == '@VALUES@':
      yield from _of_values(found)
    elif line.strip() == '@SHORT@':
      for letter, name in flagfile.SHORT.items():
        yield f'    -{letter}) name={name} ;;'
    else:
      yield line


def _template(shell: str) -> list[str]:
  path = pathlib.Path(__file__).with_name(f'completion.{shell}')
  return path.read_text('utf-8').splitlines()


def _of_commands(shell: str, found: Iterable[CompletedCommand]) -> Iterator[str]:
  """Yields an array of all commands, in zsh with what they are for."""
  for one in found:
    yield f'    {_described(one.name, one.about) if shell == "zsh" else one.name}'


def _of_flags(shell: str, found: Iterable[CompletedCommand]) -> Iterator[str]:
  """Yields a case for each command, an array of its flags."""
  for one in found:
    yield f'    {one.name}) flags=('
    for flag in one.flags:
      for text in _spellings(flag):
        yield f'      {_described(text, flag.about) if shell == "zsh" else text}'
    yield '    ) ;;'


def _spellings(flag: CompletedFlag) -> list[str]:
  if flag.values is not None:
    return [f'--{flag.name}=']
  return [f'--{flag.name}'] + [f'--no{flag.name}'] * (flag.about != 'Show help.')


def _of_values(found: Iterable[CompletedCommand]) -> Iterator[str]:
  """Yields cases: what stands behind flags of commands, and beside them as `-`.

  Flags that are not there take paths.
  """
  places: dict[Words | None, list[str]] = {}
  for one in found:
    if one.arguments != Words():
      places.setdefault(one.arguments, []).append(f'{one.name}/-')
    for flag in one.flags:
      if flag.values != Words():
        places.setdefault(flag.values, []).append(f'{one.name}/{flag.name}')
  for words, where in places.items():
    yield f'    {"|".join(where)})'
    if words is None:
      yield '      kind=none ;;'
      continue
    kind = 'several' if words.several else 'words'
    yield f'      kind={kind} files={int(words.files)}'
    yield f'      names=({" ".join(map(shlex.quote, words.words))}) ;;'


def _described(word: str, about: str) -> str:
  colons = word.replace(':', r'\:')
  return shlex.quote(f'{colons}:{about}')


def _fish(found: Iterable[CompletedCommand]) -> Iterator[str]:
  for one in found:
    yield _fish_line('__tfeval_lacks_command', f'-f -a {one.name}', one.about)
    condition = f'__tfeval_is {one.name}'
    if one.arguments.words or one.arguments.files:
      yield _fish_line(condition, _fish_words(one.arguments), '')
    for flag in one.flags:
      letter = f' -s {flag.letter}' if flag.letter else ''
      if flag.values is None:
        for text in _spellings(flag):
          yield _fish_line(condition, f'-l {text[2:]}', flag.about)
      else:
        how = f'-l {flag.name}{letter} -r {_fish_words(flag.values)}'
        yield _fish_line(condition, how, flag.about)


def _fish_words(words: Words) -> str:
  files = '-F' if words.files else '-f'
  if not words.words:
    return files
  text = ' '.join(words.words)
  if words.several:
    text = f'(__fish_append , {text})'
  return f"{files} -a '{text}'"


def _fish_line(condition: str, how: str, about: str) -> str:
  quoted = about.replace('\\', '\\\\').replace("'", "\\'")
  return f"complete -c tfeval -n '{condition}' {how}" + (
    f" -d '{quoted}'" * bool(about)
  )
