"""The files of a run directory, and the content of `manifest.json` and `result.json`.

What is here, and `metrics/entry.py`, knows the keys of this JSON; everything else uses
attributes. `verification/result.schema.json` says the same for other programs.
"""

from tfeval.datasets.labels import class_sets, imagenet
from tfeval.datasets.labels.spaces import LabelSpace
from tfeval.metrics.competition import Rule
from tfeval.metrics.entry import MetricEntry
from tfeval.utils import budgets
from tfeval.utils.errors import UserError, listed
from tfeval.utils.json_object import JsonObject, nullable

SCHEMA_VERSION = 1
MANIFEST, FLAGS, RESULT, PREDICTIONS = (
  'manifest.json',
  'flags.txt',
  'result.json',
  'predictions',
)
# Of several hosts, inside the run directory, until they are joined.
HOSTS, DONE = 'hosts', 'done.json'


class ClassesSection(JsonObject):
  """A label space that is not that of ILSVRC2012.

  Attributes:
    names: of the classes; None: their ids.
  """

  name: str
  ids: list[str]
  names: list[str] | None = None

  @classmethod
  def of(cls, space: LabelSpace) -> 'ClassesSection | None':
    """Returns what says which classes there are; None of those of ILSVRC2012."""
    if space.digest == imagenet.label_space().digest:
      return None
    names = None if space.class_names == space.class_ids else list(space.class_names)
    return cls(name=space.name, ids=list(space.class_ids), names=names)

  def space(self) -> LabelSpace:
    """Returns the classes.

    Raises:
      UserError: they cannot be classes: an id comes twice, or a name lacks.
    """
    names = self.ids if self.names is None else self.names
    texts = [*self.ids, *names]
    if (
      not 1 <= len(self.ids) <= budgets.CLASSES
      or len(names) != len(self.ids)
      or not all(isinstance(text, str) for text in texts)
      or len(set(self.ids)) != len(self.ids)
    ):
      raise UserError('its `classes` are damaged: evaluate again')
    return LabelSpace(self.name, tuple(self.ids), tuple(names))


class RuleSection(JsonObject):
  """A class rule of a packaged set, see `metrics.competition.Rule`.

  Attributes:
    name: the rule's.
    class_set: of `datasets.labels.class_sets`.
    sha256: over its classes.
    reduce: what becomes of outputs that mean the same class, `max` or `mean`.
    partner: whether it is for the images of the set's classes alone.
  """

  name: str
  class_set: str
  sha256: str
  reduce: str
  partner: bool = False

  @classmethod
  def of(cls, rule: Rule) -> 'RuleSection':
    """Returns what is told of a rule of a packaged set."""
    found = class_sets.read(rule.class_set or '')
    return cls(
      name=rule.name,
      class_set=found.name,
      sha256=found.digest,
      reduce=rule.reduce,
      partner=rule.partner,
    )


class MatchedSection(JsonObject):
  """How outputs were matched to the dataset's classes, see `models.fitting.fit`.

  Attributes:
    by: `order` or `class`.
    others: what it says that is no class of the dataset: the classes behind these.
    unsaid: indices of the classes that it has no output for.
    order: indices of the classes that its outputs are, where they do not ascend.
    restricted: indices of the classes that compete under the rule `restricted`, where
      they are no packaged set's.
    rules: those of packaged sets.
  """

  by: str
  others: ClassesSection | None = None
  unsaid: list[int] | None = None
  order: list[int] | None = None
  restricted: list[int] | None = None
  rules: list[RuleSection] | None = None


class AdaptationSection(JsonObject):
  """How a model was adapted to the images that it was evaluated on, without labels.

  Attributes:
    text: method and options, as they are asked for.
    order: how the images were ordered for batches; None where there were none.
    seed: of the order.
    batch: images in a batch, where statistics are of batches.
    layers: how many layers of batch normalisation compute otherwise.
    source_sha256: of the stored rows of the run on the source.
    temperature: that outputs were divided by.
  """

  text: str
  order: str | None = None
  seed: int | None = None
  batch: int | None = None
  layers: int | None = None
  source_sha256: str | None = None
  temperature: float | None = None


class ModelSection(JsonObject):
  """The model, as `Model.describe` has it; its attributes are those of `Model`.

  Attributes:
    values_sha256: of a model without a weights file: its values and all it computes.
    architecture_sha256: of one with a weights file: what it computes with these; None
      of applications.
  """

  name: str
  weights: str | None
  weights_sha256: str | None
  parameters: int | None
  input_size: int | None
  preprocess: str | None
  output: str | None
  class_map: str | None = nullable()
  output_name: str | None = nullable()
  values_sha256: str | None = None
  architecture_sha256: str | None = None
  preprocess_sha256: str | None = None
  preprocess_changes: list[str] | None = None
  feed: str | None = None
  adaptation: AdaptationSection | None = None
  matched: MatchedSection | None = None


class DatasetSection(JsonObject):
  """What was to be evaluated, as `Dataset.describe` has it.

  Attributes:
    expected: how many images; None until imported predictions were read.
    on_error: one of `datasets.options.ON_ERROR`; None of imported predictions.
    resized_on_host: images that did not fit the canvas of a device.
    classes: None: those of ILSVRC2012.
    sample: how large a sample it is, as asked for.
    label_set: what the label sets of its examples are; None: ReaL labels, if any.
  """

  name: str
  config: str | None
  version: str | None
  split: str
  limit: int | None
  partial: bool
  expected: int | None
  real_labels: str | None
  size_digest: str | None
  notes: list[str]
  on_error: str | None = None
  resized_on_host: int | None = None
  classes: ClassesSection | None = None
  sample: str | None = None
  label_set: str | None = None

  @property
  def label_space(self) -> LabelSpace:
    """The classes; a UserError if they are damaged."""
    return imagenet.label_space() if self.classes is None else self.classes.space()

  @property
  def subset(self) -> str | None:
    """What of the split it is, where images were left out on purpose."""
    if not self.partial or self.expected is None:
      return None
    if self.sample is not None and self.sample.startswith('ids '):
      return f'{counted(self.expected, "example")} of a list'
    if self.sample is not None:
      return f'a sample of {counted(self.expected, "example")}'
    which = 'some' if self.limit is None else 'the first'
    return f'{which} {counted(self.expected, "example")}'


class FailedImage(JsonObject):
  """An image that was skipped, and why."""

  id: str
  reason: str


class EvaluatedSection(DatasetSection):
  """What was evaluated.

  Attributes:
    evaluated: how many images.
    failed: those that were skipped.
    label_digest, content_digest: see `Summary.digests`.
    class_notes: classes that no image is of, or that the model cannot say.
  """

  expected: int
  evaluated: int
  failed: list[FailedImage]
  label_digest: str
  content_digest: str
  class_notes: list[str] | None = None


class ProtocolSection(JsonObject):
  """The protocol; its further parameters are in `further`.

  Attributes:
    name: of the protocol, `'unknown'` of imported predictions.
    spec: as it is asked for, and
    size: the side of its pixels, and
    hash: of all parameters; None where nothing is known.
  """

  name: str
  spec: str | None = None
  size: int | None = None
  hash: str | None = None

  @property
  def text(self) -> str:
    """The protocol as it is asked for."""
    return self.name if self.spec is None else self.spec


class FeaturesSection(JsonObject):
  """What the stored features are.

  Attributes:
    layer: `penultimate`, or the layer whose output they are.
    dimension: how many an image has.
  """

  layer: str
  dimension: int


class StoreSection(JsonObject):
  """What the stored rows keep of each image.

  Attributes:
    logits: whether all outputs.
    classes: how many ranked classes.
    rows_per_part: as asked for; None of imported predictions.
    restricted: how many ranked classes under the rule `restricted`; None without it.
    features: which features; None: none.
  """

  logits: bool
  classes: int
  rows_per_part: int | None = None
  restricted: int | None = None
  features: FeaturesSection | None = None


class ComputeSection(JsonObject):
  """What computed it, and how; of imported predictions only versions are known."""

  versions: dict[str, str]
  code_sha256: str | None = None
  devices: list[str] | None = None
  strategy: str | None = None
  replicas: int | None = None
  hosts: int | None = None
  batch_size: int | None = None
  dtype: str | None = None
  jit: bool | None = None
  tf32: bool | None = None
  resize_on: str | None = None
  rank_on: str | None = None
  canvas: int | None = None
  self_test: dict[str, int] | None = None


class ImportedFile(JsonObject):
  """A file of predictions."""

  file: str
  sha256: str


class ImportedLabels(JsonObject):
  """A label set that was imported; its digest is None of packaged labels."""

  name: str
  sha256: str | None


class ImportedSection(JsonObject):
  """What was imported, and how.

  Attributes:
    order: which row was which image: a name, or the SHA-256 of a list; None: rows
      had ids.
    output: what scores were said to be.
  """

  files: list[ImportedFile]
  order: str | None
  output: str | None
  labels: list[ImportedLabels]


class EnsembleMember(JsonObject):
  """A run that an ensemble was made of.

  Attributes:
    rows_sha256: of the digests of its parts.
    weights_sha256: of its model's weights, or of its values; None: not known.
    protocol: as it is asked for.
  """

  name: str
  rows_sha256: str
  weights_sha256: str | None
  protocol: str


class EnsembleSection(JsonObject):
  """What several runs were made one of, and how: `mean` or `votes`."""

  how: str
  members: list[EnsembleMember]


class Manifest(JsonObject):
  """What is run: the content of `manifest.json`."""

  schema_version: int
  model: ModelSection
  dataset: DatasetSection
  protocol: ProtocolSection
  store: StoreSection
  compute: ComputeSection
  imported: ImportedSection | None = None
  ensemble: EnsembleSection | None = None


class PublishedMetric(JsonObject):
  """A published figure beside the one that was measured."""

  name: str
  published: float
  measured: float
  difference: float
  inside: bool


class PublishedSection(JsonObject):
  """What `published.compare` found."""

  figures: str | None = None
  source: str
  protocol: str | None
  same_protocol: bool
  metrics: list[PublishedMetric]


class PhasesSection(JsonObject):
  """Where the seconds went, of wall time.

  Attributes:
    start: from opening the dataset to the first batch.
    input: that the model waited for images.
    model: that it computed, tracing and compiling included.
    host: that any thread ranked or stored meanwhile.
  """

  start: float
  input: float
  model: float
  host: float


class TimingSection(JsonObject):
  """When a run was finished, and how long it took.

  Attributes:
    steady_images_per_second: after the first batch.
  """

  finished: str
  seconds: float
  images_per_second: float | None = None
  steady_images_per_second: float | None = None
  phases: PhasesSection | None = None


class HardwareSection(JsonObject):
  """What computed it, for people who compare speeds; versions of GPUs alone."""

  kind: str
  name: str
  cores: int
  driver: str | None = None
  cuda: str | None = None
  cudnn: str | None = None


class SubsetSection(JsonObject):
  """The images behind labels that end in `@subset`: `images` of `of`."""

  keep: str | None
  omit: str | None
  images: int
  of: int


class ConfusionEntry(JsonObject):
  """A class and another that it is taken for.

  Attributes:
    labels: the label set's name.
    label, predicted: the classes.
    count: images of the one that were predicted to be the other.
    of: images of the one.
    label_name, predicted_name: what the classes are called.
  """

  labels: str
  label: int
  predicted: int
  count: int
  of: int
  label_name: str
  predicted_name: str


class AgainstPlainSection(JsonObject):
  """An adapted run against the plain one on the same images.

  Attributes:
    run: the directory of the plain run.
    labels, metric: what hits were counted by.
    correct, plain_correct: hits of the adapted run and of the plain one.
    count: labelled images.
    points: what the adaptation gains, in percentage points.
    low, high: of its paired bootstrap interval of 95 %.
    p: of McNemar's exact test.
    flips: images whose first class is another one.
  """

  run: str
  labels: str
  metric: str
  correct: int
  plain_correct: int
  count: int
  points: float
  low: float
  high: float
  p: float
  flips: int


class Result(Manifest):
  """What was run and what came out: the content of `result.json`.

  Attributes:
    published: what was published of the model; None where nothing is compared.
    preflight: what was found before the run, and did not stop it.
    subset, confusions: only printed by `tfeval score`.
    against_plain: only printed where an adapted model is evaluated.
  """

  dataset: EvaluatedSection
  metrics: list[MetricEntry]
  published: PublishedSection | None = nullable()
  preflight: list[str] | None = None
  timing: TimingSection
  hardware: HardwareSection | None = None
  subset: SubsetSection | None = None
  confusions: list[ConfusionEntry] | None = None
  against_plain: AgainstPlainSection | None = None

  @property
  def caveats(self) -> list[str]:
    """What a reader may not miss about the images that the figures are of."""
    found, failed = [], [image.id for image in self.dataset.failed]
    if self.dataset.partial:
      found.append(f'PARTIAL: {self.dataset.subset} only')
    found += [*self.dataset.notes, *(self.dataset.class_notes or ())]
    if failed:
      found.append(
        f'FAILED and not counted: {len(failed):,} of {self.dataset.expected:,} '
        f'images: {listed(failed)}'
      )
    return found

  @property
  def state(self) -> str:
    """Which images are missing, in one or two words; empty where nothing is missing."""
    found = []
    if self.dataset.partial:
      found.append('partial')
    if self.dataset.failed:
      found.append(f'{len(self.dataset.failed):,} failed')
    return ', '.join(found)


def counted(number: int, what: str) -> str:
  """Returns how many there are, in words.

  >>> counted(1, 'image'), counted(2, 'image')
  ('1 image', '2 images')
  """
  return f'{number} {what}' + 's' * (number != 1)
