"""Which test set and which model a run is of."""

import dataclasses
import re
from collections.abc import Sequence

from tfeval.datasets import variants
from tfeval.datasets.labels import sets
from tfeval.datasets.variants import Variant
from tfeval.metrics.entry import ALL
from tfeval.runs.result_file import Result
from tfeval.runs.run import Run
from tfeval.runs.run_key import RunKey

# What is called so in tables, whether it has ReaL labels beside it or not.
IMAGENET = 'imagenet'
_VALIDATION = ('imagenet2012', 'imagenet2012_real')
# Label sets of authors that have no single label, or do not count it.
MULTILABEL, ANY_LABEL = 'multilabel', 'any_label'


# Behind the name of a set of few images, of which the number of hits is the figure.
FEW = '/m'


@dataclasses.dataclass(frozen=True)
class Place:
  """A test set as a column of tables.

  Attributes:
    name: such as `imagenet_v2/matched-frequency`, `imagenet`, or that of a folder.
    variant: what is known of it, None of other datasets.
    part: of a set of corruptions the corruption and severity, such as `('fog', '3')`.
    rule: the class rule of its authors.
    labels: the label set of its authors.
  """

  name: str
  variant: Variant | None = None
  part: tuple[str, str] | None = None
  rule: str = ALL
  labels: str = sets.ORIGINAL

  @property
  def clean(self) -> str:
    """The rule under which validation images are its clean partner, '' for none."""
    return '' if self.variant is None else self.variant.clean


def place_of(run: Run) -> Place:
  """Returns the set that a run is of, by what its manifest says."""
  corruption = generated(run.result)
  if corruption is not None:
    of = _of_dataset(run)
    name = f'{of.name}, corrupted here'
    return dataclasses.replace(of, name=name, variant=None, part=corruption)
  return _of_dataset(run)


def _of_dataset(run: Run) -> Place:
  dataset = run.result.dataset
  variant = variants.of_dataset(dataset.name)
  if variant is None:
    if is_validation(run):
      return Place(IMAGENET)
    kind, colon, path = dataset.name.partition(':')
    name = path.rstrip('/').rpartition('/')[2] if colon else kind
    return Place(f'{name}/{dataset.config}' if dataset.config else name)
  if variant.ready:
    corruption_, _, severity = (dataset.config or '').rpartition('_')
    return Place(variant.name, variant, (corruption_, severity))
  several = dataset.config and dataset.config != variant.name
  name = f'{variant.name}/{dataset.config}' if several else variant.name
  if dataset.split == 'imagenet_m':
    name += FEW
  labels = sets.ORIGINAL
  if run.classes.label_set in (MULTILABEL, ANY_LABEL):
    labels = run.classes.label_set
  return Place(name, variant, None, variant.rule, labels)


def is_validation(run: Run) -> bool:
  """Whether images are ImageNet's validation images, with the rules of other sets."""
  dataset = run.result.dataset
  if dataset.name in _VALIDATION:
    return dataset.split.partition('[')[0] == 'validation'
  return any(run.classes.is_partner(rule) for rule in run.classes.competition.rules)


def generated(result: Result) -> tuple[str, str] | None:
  """Returns corruption and severity where images were corrupted for the run."""
  found = re.search(r'corruption=([a-z_]+)-(\d)', result.protocol.text)
  return None if found is None else (found[1], found[2])


def model_of(run: Run) -> str:
  """Returns what a model is called that stands in a row, whatever the set.

  Models that are fed or adapted otherwise are others.
  """
  key = RunKey.of(run.result)
  return key.text if key.feed is None else f'{key.text} fed {key.feed}'


def full_name(run: Run) -> str:
  """Returns the same with its adaptation."""
  adaptation = run.result.model.adaptation
  name = model_of(run)
  return name if adaptation is None else f'{name} +{adaptation.text}'


def are_several(runs: Sequence[Run]) -> bool:
  """Whether runs are of more than one test set that is known by name."""
  places = {place_of(run) for run in runs}
  return len({(p.name, p.part) for p in places}) > 1 and any(
    place.variant is not None or place.name == IMAGENET or place.part
    for place in places
  )
