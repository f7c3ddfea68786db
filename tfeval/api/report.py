"""`tfeval.report`: results as a page."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tfeval.api import checks, given, pages
from tfeval.api.page_asked import Asked
from tfeval.reports import asked as kinds
from tfeval.utils import errors
from tfeval.utils.arguments import truth, whole_number
from tfeval.utils.errors import UserError

if TYPE_CHECKING:
  from tfeval.reports.page.content import Document
  from tfeval.runs.run import Failure, Run

# Thumbnails are some 10 kB each.
MOST_IMAGES = 500
LEVEL = 0.05


def report(
  *runs: Any,
  output: given.Path | None = None,
  kind: str = 'auto',
  labels: Any = None,
  keep: given.Path | None = None,
  omit: given.Path | None = None,
  metrics: str | Sequence[str] = (),
  by: str | Sequence[str] = (),
  images: int = 0,
  dataset: str | None = None,
  data_dir: given.Path | None = None,
  manual_dir: given.Path | None = None,
  sort: str | None = None,
  base: str | None = None,
  allow: str | Sequence[str] = (),
  reference: bool = False,
  common: bool = False,
  level: float = LEVEL,
  overwrite: bool = False,
  wording: Callable[[str], str] = str,
) -> 'Document':
  """Makes a page of runs: one HTML file that needs nothing else.

  Args:
    *runs: run directories, folders of such, or `Run`s.
    output: the file; None: none is written.
    kind: of one run `run`; of several on the same images `comparison` (by default of
      two), `leaderboard` (of more) or `sweep` (of one model under several protocols);
      on several test sets `suite`; of two runs also `explanation`, what differs
      between them, and `shift`, what changed between their images. `auto` chooses.
    labels, keep, omit: see `compare`; a sweep counts by the first label set.
    metrics: of one run more than a page shows by itself, such as `'brier'`.
    by: attributes that slices are made by, see `tfeval score --help`.
    images: how many of the hardest images are shown, read from the dataset again.
    dataset: where to read these instead, such as `folder:DIR`.
    data_dir, manual_dir: where TFDS datasets lie.
    sort, base, allow, reference: see `leaderboard`.
    common: whether to compare on the images that all runs have where they differ.
    level: of significance.
    overwrite: whether a file that is there is replaced.
    wording: how what names a parameter in backquotes is worded.

  Returns:
    What the page holds; a notebook shows its tables.

  Raises:
    UserError: runs cannot be read, or do not go together; a parameter is given that
      is not for this kind of page (`reports.asked` lists them); the file is there or
      cannot be written; Jinja2 or matplotlib is not installed.
  """
  from tfeval.reports.page import whole, writing

  if kind not in kinds.PAGES:
    raise errors.unknown('`kind`', kind, kinds.PAGES)
  path = given.file_path('output', output)
  if path is not None:
    writing.check_path(path, overwrite)
  found = given.found(runs)
  if kind == kinds.AUTO:
    kind = whole.kind_of(found)
  images = whole_number('images', images, least=0, most=MOST_IMAGES)
  level = checks.level(level)
  taken = {
    'labels': labels, 'keep': keep, 'omit': omit, 'metrics': metrics, 'by': by,
    'images': images, 'dataset': dataset, 'data_dir': data_dir,
    'manual_dir': manual_dir, 'sort': sort, 'base': base, 'allow': allow,
    'reference': reference,
    'common': common,
    'level': level != LEVEL,
  }  # fmt: skip
  kinds.check(kind, {name: kinds.is_given(value) for name, value in taken.items()})
  read: tuple[Any, Any] = (None, None)
  if kind in kinds.takers('labels'):
    read = given.labels_and_subset(found, labels, keep, omit, data_dir)
  asked = Asked(
    *read,
    metrics=given.texts('metrics', metrics),
    by=given.texts('by', by),
    images=images,
    dataset=dataset,
    where={
      name: None if one is None else str(one)
      for name, one in (('data_dir', data_dir), ('manual_dir', manual_dir))
    },
    sort=sort,
    base=base,
    allow=checks.allowed(given.texts('allow', allow)),
    reference=truth('reference', reference),
    common=truth('common', common),
    level=level,
  )
  document = _document(kind, found, asked)
  if path is not None:
    writing.save(document, path, wording)
  return document


def _document(kind: str, found: 'list[Run | Failure]', asked: Asked) -> 'Document':
  if kind == kinds.SUITE:
    return pages.of_suite(found, asked)
  if kind == kinds.LEADERBOARD:
    return pages.of_leaderboard(found, asked)
  if kind == kinds.SHIFT:
    return pages.shifted(pages.two(found, kind), asked.where, asked.level)
  if kind == kinds.EXPLANATION:
    return pages.of_two(*pages.two(found, kind), asked)
  runs = given.all_complete(found)
  if kind == kinds.RUN:
    if len(runs) != 1:
      raise UserError(f'`kind=run` is of one run, {len(runs)} were given')
    return pages.of_one(runs[0], asked)
  if kind == kinds.SWEEP:
    return pages.of_sweep(runs, asked)
  return pages.of_several(runs, asked)
