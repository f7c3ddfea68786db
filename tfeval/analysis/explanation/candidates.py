"""What may be behind a number, best first."""

import dataclasses

from tfeval.analysis.explanation.countings import Departures
from tfeval.utils.shown import Shown

IDENTIFIED, NEAR = 'identified', 'near'
FITS, UNLIKELY, UNTRIED = 'fits', 'unlikely', 'not tried'


@dataclasses.dataclass(frozen=True)
class Candidate:
  """Departures, and what speaks for them.

  Attributes:
    departures: axes and values; none: nothing is done otherwise.
    state: `identified`: all answers are the same; `near`: some are not; `fits`: the
      report is within what can be expected; `unlikely`: it is not; `not tried`: it may
      be, by what each departure does alone.
    of: images that it was tried on.
    value: its accuracy in [0, 1].
    points: percentage points against the base on the same images; None: not counted.
    agree: images with the same answer; None of a report.
    p: of the report; None of predictions.
    sd: standard deviation of `value` as that of all images; None of predictions.
    correct, count: what `value` is the share of, on the images that it was tried on;
      None where it is guessed, or a mean of shares.
    run: the directory of the run; None where it was not tried.
    alike: other departures under which all answers are the same as under these.
    build: of the library that resizes, where it is another than the protocol names.
  """

  departures: Departures
  state: str
  of: int
  value: float
  points: float | None = None
  agree: int | None = None
  p: float | None = None
  sd: float | None = None
  correct: int | None = None
  count: int | None = None
  run: str | None = None
  alike: tuple[Departures, ...] = ()
  build: str | None = None

  @property
  def name(self) -> str:
    built = '' if self.build is None else f' ({self.build})'
    return text_of(self.departures) + built


@dataclasses.dataclass(frozen=True, repr=False)
class Explanation(Shown):
  """What was found.

  Attributes:
    candidates: best first.
    images: how many the number is of.
    sample: how many of them were looked at, at most.
    base: what departures depart from, such as `opencv`.
    unexplained: percentage points between the report and the first candidate, or
      images whose answer differs from the first candidate's.
    remarks: what cannot be told apart, and what else a reader must know.
    failed: departures that could not be tried, and why.
    title: of what, and of which answers or number.
    labels, metric: what a hit is.
    level: what is seen less often than that is called unlikely; None of predictions.
    reported: the number that is explained, in percent; None of predictions.
  """

  DOCUMENT = 'tfeval.reports.page.of_explanation:document'

  candidates: list[Candidate]
  images: int
  sample: int
  base: str
  unexplained: float
  remarks: list[str]
  failed: dict[str, str]
  title: str = ''
  labels: str = 'original'
  metric: str = 'top1'
  level: float | None = None
  reported: float | None = None


def text_of(departures: Departures) -> str:
  """Returns departures in a line.

  >>> text_of((('channels', 'bgr'), ('aspect', 'squash'))), text_of(())
  ('channels=bgr, aspect=squash', 'nothing otherwise')
  """
  return ', '.join(f'{axis}={value}' for axis, value in departures) or (
    'nothing otherwise'
  )
