"""Evaluations in pieces, in this process, and what one process leaves of the same."""

import pathlib
import random
from collections.abc import Iterable, Sequence

from evaluations import run_content

from tfeval import cli
from tfeval.evaluation.pieces import (
  joining,
  places,
  planned,
  records,
  working,
)
from tfeval.evaluation.pieces.worker import Worker
from tfeval.utils import files
from tfeval.utils.progress import hidden


class Again(Worker):
  """A worker that looks at no record: whatever it is given it does."""

  def is_done(self, number: int) -> bool:
    return False


def whole(flags: Sequence[str], output: pathlib.Path, kind: str = 'evaluate') -> dict:
  """Evaluates in one process; returns the files of its runs by directory."""
  assert cli.main([kind, *flags, f'--output_dir={output}']) == 0
  return runs_of(output)


def plan(
  flags: Sequence[str], output: pathlib.Path, kind: str = 'evaluate'
) -> tuple[planned.Plan, places.Places]:
  """Plans the same; returns the plan and its places."""
  assert cli.main(['plan', kind, *flags, f'--output_dir={output}']) == 0
  return places.open_plan(str(output))


def do(
  planned: tuple[planned.Plan, places.Places],
  numbers: Iterable[int] | None = None,
  kind: type[Worker] = Worker,
  **given,
) -> list[records.PieceDone | None]:
  """Does pieces, all of them by default, with one worker; returns their records."""
  worker = kind(*planned, hidden, given)
  numbers = range(planned[0].count) if numbers is None else numbers
  try:
    return [worker.do(one) for one in numbers]
  finally:
    worker.close()


def do_in_disorder(
  planned: tuple[planned.Plan, places.Places], seed: int = 0, workers: int = 2
) -> None:
  """Does all pieces in a random order with several workers, some of them twice."""
  rng = random.Random(seed)
  numbers = list(range(planned[0].count))
  numbers += rng.sample(numbers, -(-len(numbers) // 3))
  rng.shuffle(numbers)
  # What is done again is done, not only looked at.
  each = [Again(*planned, hidden) for _ in range(workers)]
  try:
    for number in numbers:
      rng.choice(each).do(number)
  finally:
    for worker in each:
      worker.close()


def join(planned: tuple[planned.Plan, places.Places], **options) -> list:
  """Joins all runs; pieces stay."""
  return joining.join(joining.Joiner(*planned, **options), planned[0], hidden)


def work(planned: tuple[planned.Plan, places.Places], chosen=None, **given):
  """Does pieces as `tfeval work` does."""
  return working.work(*planned, hidden, given, chosen)


def runs_of(output: pathlib.Path) -> dict[str, dict[str, object]]:
  """Returns the files of each run below a directory, timing aside."""
  return {
    path.parent.name: run_content(path.parent)
    for path in sorted(output.glob('*/result.json'))
  }


def others_of(output: pathlib.Path) -> set[str]:
  """Returns what lies in a directory beside runs."""
  return {path.name for path in output.iterdir()} - runs_of(output).keys()


def folder_of(flags: Sequence[str]) -> pathlib.Path:
  """Returns the folder of images that flags name."""
  (name,) = (flag for flag in flags if flag.startswith('--dataset=folder:'))
  return pathlib.Path(name.partition(':')[2])


def records_of(planned: tuple[planned.Plan, places.Places]) -> list:
  """Returns what is known of each piece."""
  plan, where = planned
  return [records.read_done(where, plan, number) for number in range(plan.count)]


def without(flags: Sequence[str], *names: str) -> list[str]:
  """Returns the flags but for some."""
  return [flag for flag in flags if flag.partition('=')[0] not in names]


def lose_claims(planned: tuple[planned.Plan, places.Places]) -> None:
  """Removes what workers say of pieces: those that have no record are done again."""
  files.remove_tree(planned[1].claims)
