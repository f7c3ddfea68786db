"""Whether a run directory is whole and says what its rows say."""

import dataclasses
import functools
import importlib.util
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tfeval.datasets.labels import sets
from tfeval.metrics import registry
from tfeval.metrics.competition import suffix
from tfeval.metrics.entry import COUNT
from tfeval.runs import predictions, result_file, result_reader, run_classes
from tfeval.runs.result_file import Result
from tfeval.runs.run_classes import RunClasses
from tfeval.runs.summary import Summary, summarize_store
from tfeval.runs.verification import (
  file_checks,
  positions,
  result_checks,
  row_checks,
  schemas,
)
from tfeval.runs.verification.result_checks import Failed, hold, same
from tfeval.utils import arrow, files, paths
from tfeval.utils.errors import UserError, listed
from tfeval.utils.json_object import WrongType
from tfeval.utils.shown import Shown

# Beside the default ones; each may take all outputs.
_MOST_METRICS = 200
_OF_COUNTS, _OF_VALUES = 1e-12, 1e-6
# Given a result and the ids of its rows.
Recompute = Callable[[Result, Iterable[str]], Mapping[str, Any] | None]
OK, FAILED, NOT_CHECKED = 'ok', 'FAILED', 'not checked'


@dataclasses.dataclass(frozen=True)
class Check:
  """What came out of a check.

  Attributes:
    name: what is checked.
    state: `OK`, `FAILED`, or `NOT_CHECKED` because one that it relies on failed.
    seen: what was seen.
  """

  name: str
  state: str
  seen: str


@dataclasses.dataclass(frozen=True)
class Verified:
  """A run directory that was checked.

  Attributes:
    path: its own.
    checks: what came out of each check.
  """

  path: str
  checks: Sequence[Check]

  @property
  def ok(self) -> bool:
    """Whether every check passes."""
    return all(check.state == OK for check in self.checks)


class Verification(Shown, tuple[Verified, ...]):
  """Run directories that were checked."""

  DOCUMENT = 'tfeval.reports.page.of_verification:document'

  @property
  def failed(self) -> list[Verified]:
    """Those of which a check does not pass."""
    return [one for one in self if not one.ok]


class _Directory:
  """The content of a run directory, read when a check needs it."""

  def __init__(self, path: paths.Path, recompute: Recompute | None):
    self.path, self._recompute = path, recompute

  @functools.cached_property
  def content(self) -> dict[str, Any]:
    """Of `result.json`, whatever it is."""
    return result_reader.read_content(self.path)

  @functools.cached_property
  def result(self) -> Result:
    """The same, of what follows the schema."""
    return Result.from_json(self.content)

  @functools.cached_property
  def parts(self) -> list[dict[str, Any]]:
    """Those that an index lists that follows the schema."""
    return files.read_json(self.path / file_checks.INDEX, self.path)['parts']

  def compared_again(self) -> Mapping[str, Any] | None:
    """The comparison with published figures, made again; None: nobody can here."""
    if self._recompute is None:
      return None
    return self._recompute(self.result, self.rows.ids) or {}

  @functools.cached_property
  def rows(self) -> Summary:
    names, stored, output = self._further()
    return summarize_store(
      self.path / result_file.PREDICTIONS, self.classes, output, stored, names
    )

  def _further(self) -> tuple[tuple[str, ...], bool, str | None]:
    """Metrics beside the default ones that the result has, of what rows it says."""
    try:
      result = self.result
      names = [
        f'{m.name}@{m.rule}'
        for m in result.metrics
        if m.name not in registry.DEFAULT and registry.is_own(m.name)
      ]
      return (
        tuple(dict.fromkeys(names))[:_MOST_METRICS],
        result.store.logits is True,
        result.model.output,
      )
    except (UserError, ValueError, TypeError, LookupError, AttributeError):
      return (), False, None  # It is checked by itself.

  @functools.cached_property
  def classes(self) -> RunClasses:
    """Those that the result tells, where it can be read; it is checked by itself."""
    try:
      return run_classes.of(self.result)
    except (UserError, ValueError, TypeError, LookupError, AttributeError):
      return run_classes.IMAGENET


def verify(
  path: str | os.PathLike[str], recompute: Recompute | None = None
) -> list[Check]:
  """Checks a complete run.

  Args:
    path: its directory.
    recompute: compares with published figures again, see `published.recompute`; None:
      they are believed.

  Returns:
    Every check, in order.

  Raises:
    BeingWritten: another process has written it meanwhile.
    UserError: it is no run directory or an incomplete one, or jsonschema is not
      installed.
  """
  if importlib.util.find_spec('jsonschema') is None:
    raise UserError("verify needs jsonschema: pip install 'tfeval[verify]'")
  directory = _Directory(paths.path(path), recompute)
  stamp = result_reader.stamp(directory.path)
  if stamp is None:
    _, stamp = result_reader.read_stamped(directory.path)  # Says what it is instead.
  done: list[Check] = []
  for name, check, needs in _CHECKS:
    missing = [one.name for one in done if one.name in needs and one.state != OK]
    if missing:
      done.append(Check(name, NOT_CHECKED, f'needs {", ".join(missing)}'))
      continue
    try:
      done.append(Check(name, OK, check(directory)))
    except (Failed, UserError) as error:
      done.append(Check(name, FAILED, str(error)))
  if stamp != result_reader.stamp(directory.path):
    raise result_reader.being_written(directory.path)
  return done


def verify_all(
  directories: Iterable[str], recompute: Recompute | None = None
) -> Verification:
  """Checks run directories, see `verify`.

  Raises:
    UserError: one is none, or jsonschema is not installed.
  """
  return Verification(Verified(one, verify(one, recompute)) for one in directories)


def _follows(schema: str, content: Any, file: str) -> str:
  if fault := schemas.fault(schema, content):
    raise Failed(fault)
  return f'{file} follows the schema'


def _result(directory: _Directory) -> str:
  seen = _follows('result', directory.content, result_file.RESULT)
  try:
    run_classes.of(directory.result)
  except WrongType as error:  # To a schema 1.0 is a whole number.
    raise Failed(f'${error}') from error
  return seen


def _index(directory: _Directory) -> str:
  return _follows(
    'index',
    files.read_json(directory.path / file_checks.INDEX, directory.path),
    file_checks.INDEX,
  )


def _manifest(directory: _Directory) -> str:
  manifest = files.read_json(directory.path / result_file.MANIFEST, directory.path)
  hold(
    isinstance(manifest, dict) and isinstance(manifest.get('dataset'), dict),
    f'{result_file.MANIFEST} is not as tfeval writes it',
  )
  result = directory.content
  # The result adds to what was to be evaluated how much of it was.
  dataset = {key: result['dataset'].get(key) for key in manifest['dataset']}
  other = [
    key
    for key, value in manifest.items()
    if (dataset if key == 'dataset' else result.get(key)) != value
  ]
  hold(
    not other,
    f'{result_file.MANIFEST} and {result_file.RESULT} differ in {listed(other)}',
  )
  return f'{result_file.RESULT} is of what {result_file.MANIFEST} says was run'


def _parts(directory: _Directory) -> str:
  store = directory.path / result_file.PREDICTIONS
  listed = {part['file'] for part in directory.parts}
  others = sorted({path.name for path in store.glob('part-*.parquet')} - listed)
  hold(
    not others,
    f'index.json does not list {len(others):,} files, such as {"".join(others[:1])}',
  )
  sizes = [len(part) for part in directory.rows.identities]
  return f'{len(sizes):,} with {sum(sizes):,} rows, SHA-256 as listed'


def _rows(directory: _Directory) -> str:
  """Checks that every column is there and agrees with the others."""
  store = directory.result.store
  classes = directory.classes
  dimension = store.features.dimension if store.features else 0
  columns = predictions.schema(
    store.logits, rules=classes.kept_by_rule, features=dimension
  ).names
  parts = predictions.read_parts(directory.path / result_file.PREDICTIONS, columns)
  sizes = {(one.get('classes'), one.get('outputs')) for one in directory.parts}
  hold(
    sizes == {classes.of_part},
    f'parts are of other classes or outputs than {result_file.RESULT} says',
  )
  for number, part in enumerate(parts):
    for rule in classes.competition.rules:
      _check_rule(part, number, rule, classes)
    kept = part['classes'].type.list_size
    hold(
      kept == store.classes,
      f'{kept} classes are stored, {result_file.RESULT} says {store.classes}',
    )
    if dimension:
      there = part[predictions.FEATURES].type.list_size
      hold(
        there == dimension,
        f'{there} features are stored, {result_file.RESULT} says {dimension}',
      )
  return f'{len(columns)} columns, which agree'


def _check_rule(part: pa.Table, number: int, rule: str, classes: RunClasses) -> None:
  contest, of_rule = classes.competition.contests.get(rule), suffix(rule)
  if contest is not None and contest.rule.partner:
    label = arrow.to_numpy(part['label'], null=-1)
    there = arrow.to_numpy(part[f'classes{of_rule}'].is_valid())
    hold(
      bool((there == contest.counts(label)).all()),
      f'part {number}: classes{of_rule} are not those of the images of its classes',
    )
    part = part.filter(pa.array(there))
  named = None if contest is None else contest.rule
  if fault := row_checks.fault(part, of_rule, named):
    raise Failed(f'part {number}: {fault}')
  if contest is not None:
    competing = np.unique(arrow.matrix(part[f'classes{of_rule}']))
    hold(
      bool(np.isin(competing, contest.classes).all()),
      f'part {number}: a class that does not compete is among classes{of_rule}',
    )


def _ids(directory: _Directory) -> str:
  ids = directory.rows.ids
  hold(
    len(set(ids)) == len(ids), f'{len(ids):,} rows have {len(set(ids)):,} different ids'
  )
  return f'{len(ids):,} ids, none twice'


def _counts(directory: _Directory) -> str:
  dataset, ids = directory.result.dataset, directory.rows.ids
  failed = {failure.id for failure in dataset.failed}
  evaluated, expected = dataset.evaluated, dataset.expected
  seen = f'{evaluated:,} evaluated and {len(failed):,} failed of {expected:,}'
  hold(
    len(ids) == evaluated, f'{len(ids):,} rows are stored, evaluated is {evaluated:,}'
  )
  both = failed & set(ids)
  hold(not both, f'{len(both):,} images failed and have a row: {sorted(both)[:1]}')
  hold(evaluated + len(dataset.failed) == expected, seen)
  hold(len(failed) == len(dataset.failed), 'an image is listed as failed twice')
  hold(
    dataset.limit is None or dataset.partial,
    f'limit is {dataset.limit}, partial is false',
  )
  return seen


def _positions(directory: _Directory) -> str:
  return positions.check(directory.parts, directory.result.dataset)


def _digests(directory: _Directory) -> str:
  for name, value in directory.rows.digests().items():
    reported = getattr(directory.result.dataset, name)
    hold(
      value == reported,
      f'{name} is {reported[:12]}..., of the rows it is {value[:12]}...',
    )
  return 'labels and content of the rows are those of the result'


def _metrics(directory: _Directory) -> str:
  """Checks that rows give the metrics again, of the labels that rows carry."""
  reported = {(m.labels, m.key): m for m in directory.result.metrics}
  hold(len(reported) == len(directory.result.metrics), 'a metric is there twice')
  carried = {
    (m.labels, m.key): m
    for m in directory.rows.metrics()
    if m.count and m.name in registry.DEFAULT or (m.labels, m.key) in reported
  }
  of_rows = sets.ORIGINAL, directory.classes.label_set
  # A metric of another package is not run for a result of a stranger.
  stored = {key for key in reported if key[0] in of_rows and registry.is_own(key[1])}
  for key in sorted(carried.keys() | stored):
    name = '/'.join(key)
    hold(key in reported, f'{name} is missing')
    hold(key in carried, f'{name} is there, the rows do not give it')
    # Exponentials and a search for a minimum end otherwise on other machines.
    tolerance = _OF_COUNTS if carried[key].kind == COUNT else _OF_VALUES
    for field, value in carried[key].items():
      hold(
        same(reported[key].get(field), value, tolerance),
        f'{name}: {field} is {reported[key].get(field)}, the rows give {value}',
      )
  others = {key for key in reported.keys() - carried.keys()}
  files_of = sorted({labels for labels, _ in others if labels not in of_rows})
  foreign = sorted({name for labels, name in others if labels in of_rows})
  seen = f'{len(carried)} of {len(reported)} computed again'
  if foreign:
    seen += f'; not computed again, of other packages: {listed(foreign)}'
  if files_of:
    seen += f'; not computed again, labels are not stored: {listed(files_of)}'
  return seen


def _published(directory: _Directory) -> str:
  return result_checks.published(directory.result, directory.compared_again())


_RESULT, _PARTS = 'result', 'parts'
# Name, check, and the checks that it relies on.
_CHECKS: tuple[tuple[str, Callable[[_Directory], str], tuple[str, ...]], ...] = (
  (_RESULT, _result, ()),
  ('manifest', _manifest, (_RESULT,)),
  ('flags', lambda run: file_checks.flags(run.path), ()),
  ('index', _index, ()),
  ('keys', lambda run: file_checks.keys(run.path), ()),
  (_PARTS, _parts, ('index',)),
  ('rows', _rows, (_RESULT, _PARTS)),
  ('ids', _ids, (_PARTS,)),
  ('counts', _counts, (_RESULT, _PARTS)),
  ('positions', _positions, (_RESULT, _PARTS)),
  ('digests', _digests, (_RESULT, _PARTS)),
  ('metrics', _metrics, (_RESULT, _PARTS)),
  ('intervals', lambda run: result_checks.intervals(run.result), (_RESULT,)),
  ('published', _published, (_RESULT, _PARTS)),
)
