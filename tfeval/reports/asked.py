"""What pages and figures may be asked for: their kinds, and what each kind takes.

Nothing else is loaded to say so: help and completion read it.
"""

from collections.abc import Mapping

from tfeval.utils.errors import UserError

AUTO, RUN, COMPARISON, LEADERBOARD, SUITE, SWEEP, EXPLANATION, SHIFT = PAGES = (
  *('auto', 'run', 'comparison', 'leaderboard', 'suite', 'sweep', 'explanation'),
  'shift',
)
_LABELS = ('labels', 'keep', 'omit', 'data_dir')
_IMAGES = ('images', 'dataset', 'data_dir', 'manual_dir')
# The parameters that pages of each kind take, beside those of all pages.
_TAKES: Mapping[str, tuple[str, ...]] = {
  RUN: (*_LABELS, *_IMAGES, 'by', 'metrics'),
  COMPARISON: (*_LABELS, *_IMAGES, 'by', 'level', 'common'),
  LEADERBOARD: (*_LABELS, *_IMAGES, 'by', 'level', 'sort', 'allow', 'reference'),
  SUITE: ('sort', 'base', 'allow', 'images', 'data_dir', 'manual_dir'),
  SWEEP: ('labels', *_IMAGES, 'by', 'level'),
  EXPLANATION: ('level',),
  SHIFT: ('level', 'data_dir', 'manual_dir'),
}
# Where images are read from; of no use where none are.
_OF_IMAGES = ('dataset', 'manual_dir')

FIGURES = (
  *('reliability', 'pr', 'risk_coverage', 'confusion', 'ranks', 'tradeoff', 'severity'),
  *('slices', 'robustness', 'agreement'),
)
# The parameters that figures of each kind take, beside those of all figures.
_FIGURE_TAKES: Mapping[str, tuple[str, ...]] = {
  **dict.fromkeys(
    ('reliability', 'pr', 'risk_coverage', 'confusion', 'agreement'), _LABELS
  ),
  'slices': (*_LABELS, 'by'),
  'ranks': (*_LABELS, 'sort', 'allow', 'level'),
  'tradeoff': (*_LABELS, 'sort', 'allow', 'against'),
  'severity': (),
  'robustness': (),
}
AGAINST = ('parameters', 'multiply_adds', 'images_per_second')


def takers(name: str) -> list[str]:
  """Returns the kinds of pages that take a parameter.

  >>> takers('base')
  ['suite']
  """
  return [kind for kind, names in _TAKES.items() if name in names]


def check(kind: str, given: Mapping[str, bool]) -> None:
  """Checks that a page uses what it is given.

  Args:
    kind: of the page, as `auto` has chosen it.
    given: whether each parameter was given.

  Raises:
    UserError: one is not for this kind.
  """
  _check_taken(kind, given, _TAKES)
  for name in _OF_IMAGES:
    if given[name] and kind != SHIFT and not given['images']:
      raise UserError(
        f'`{name}` says where images are read from: give `images` as well, or leave '
        'it out'
      )


def check_figure(kind: str, given: Mapping[str, bool]) -> None:
  """Checks that a figure uses what it is given; see `check`."""
  _check_taken(kind, given, _FIGURE_TAKES)


def _check_taken(
  kind: str, given: Mapping[str, bool], takes: Mapping[str, tuple[str, ...]]
) -> None:
  for name, is_given in given.items():
    if is_given and name not in takes[kind]:
      kinds = [other for other, names in takes.items() if name in names]
      raise UserError(
        f'`{name}` is for {_listed(kinds)}, this is `kind={kind}`: leave it out'
      )


def is_given(value: object) -> bool:
  """Whether a parameter that has nothing, no text or 0 by default was given."""
  if isinstance(value, bool | int | list | tuple):
    return bool(value)
  return value is not None


def _listed(kinds: list[str]) -> str:
  """Returns kinds in words.

  >>> _listed(['suite']), _listed(['run', 'suite', 'sweep'])
  ('`kind=suite`', '`kind=run`, `kind=suite` or `kind=sweep`')
  """
  *others, last = (f'`kind={kind}`' for kind in kinds)
  return f'{", ".join(others)} or {last}' if others else last
