"""What to evaluate and how, as frozen values, and the flagfile that repeats it.

Nothing here imports TensorFlow: mistakes in flags are told at once.
"""

import dataclasses
import numbers
import os
import re
from collections.abc import Iterable
from typing import Any

from tfeval.models import table
from tfeval.runs import run_key
from tfeval.utils import paths
from tfeval.utils import spec as spec_lib
from tfeval.utils.errors import UserError

FOLDER = 'folder:'
STRATEGIES = AUTO, DEFAULT, MIRRORED, MULTI_WORKER, TPU = (
  'auto',
  'default',
  'mirrored',
  'multi_worker',
  'tpu',
)
# Keras' dtype policies.
DTYPES = ('float32', 'mixed_bfloat16', 'mixed_float16')
# Of models that are no applications: what `models.model.preprocessing` knows by name,
# beside the applications' own, and what a model returns.
PREPROCESSINGS = ('caffe', 'tf', 'torch', 'lite', 'identity')
OUTPUTS = LOGITS, PROBABILITIES = ('logits', 'probabilities')
# Where and by whom, not what.
_NOT_REPEATED = (
  'output_dir',
  'overwrite',
  'num_hosts',
  'host_index',
  'host_timeout',
  'tf_data_service',
  'max_loaded_models',
  'cache_dir',
)
# What is known of an application and has to be told of other models.
_NOT_FOR_APPLICATIONS = ('preprocess', 'output', 'class_map', 'output_name')
ON_ERROR = FAIL, SKIP = ('fail', 'skip')
RESIZE_ON = HOST, DEVICE = ('host', 'device')
PREFLIGHT = ERROR, WARN, OFF = ('error', 'warn', 'off')


@dataclasses.dataclass(frozen=True)
class Settings:
  """How models are evaluated; each field is the flag of the same name.

  Attributes:
    dataset: a TFDS name, or `folder:DIR`.
    split: a TFDS split or slice.
    data_dir: where prepared datasets lie, or None for TFDS' default.
    manual_dir: where `ILSVRC2012_img_val.tar` lies, or None.
    real_labels: path of `real.json`, or None.
    protocol: `NAME[:field=value,...]`, see `preprocess.protocol`, or `published`
      or `native`, see `published.protocol_text`.
    on_error: one of `ON_ERROR`: what to do with images that cannot be decoded.
    preflight: one of `PREFLIGHT`: what to do about faults that are found on the
      first images.
    batch_size: examples in a step over all replicas, at least 1.
    limit: only the first so many examples, or None for all.
    strategy: one of `STRATEGIES`.
    devices: how many GPUs, or logical devices of the CPU; None for what is there.
    tpu: name or address of a TPU, or None.
    jit: whether XLA compiles the model's step on each replica.
    tf32: whether GPUs may multiply in TensorFloat-32.
    num_hosts, host_index: how many hosts evaluate, and which of them this is, from 0;
      None for what TF_CONFIG says.
    host_timeout: seconds to wait for hosts of which nothing new comes.
    tf_data_service: HOST:PORT of the dispatcher of a tf.data service whose workers
      read and decode, or None for this host.
    cache_dir: where preprocessed images are kept for other runs, or None.
    resize_on: one of `RESIZE_ON`: where images get their size.
    canvas: side of what a device is given, one of `preprocess.canvas.CANVASES`; None
      for the default.
    max_loaded_models: how many models are in memory at once, at most.
    store_logits: whether all 1000 outputs are stored.
    rows_per_part: examples in a part of the prediction store, which is what an
      interruption loses at most; rounded up to whole batches.
    preprocess, input_size, output, class_map, output_name, dtype, trust_model: see
      `models.model.Hints`.
    output_dir: run directories are made in here.
    overwrite: whether what is in a run directory may be replaced.
  """

  dataset: str = 'imagenet2012_real'
  split: str = 'validation'
  data_dir: str | None = None
  manual_dir: str | None = None
  real_labels: str | None = None
  protocol: str = 'opencv'
  on_error: str = FAIL
  preflight: str = ERROR
  batch_size: int = 64
  limit: int | None = None
  strategy: str = AUTO
  devices: int | None = None
  tpu: str | None = None
  jit: bool = False
  tf32: bool = False
  num_hosts: int | None = None
  host_index: int | None = None
  host_timeout: int = 3600
  tf_data_service: str | None = None
  cache_dir: str | None = None
  resize_on: str = HOST
  canvas: int | None = None
  max_loaded_models: int = 4
  store_logits: bool = False
  rows_per_part: int = 2000
  preprocess: str | None = None
  input_size: int | None = None
  output: str | None = None
  class_map: str | None = None
  output_name: str | None = None
  dtype: str = DTYPES[0]
  trust_model: bool = False
  output_dir: str = 'tfeval_runs'
  overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class Request:
  """One model to evaluate.

  Attributes:
    spec: which model.
    weights: `'imagenet'`, `'none'` or a path.
    directory: of the run, inside the output directory.
  """

  spec: spec_lib.Spec
  weights: str
  directory: str


def positive(name: str, value: Any) -> int:
  """Returns a number that is given in Python, of NumPy's types too, as an int.

  Raises:
    UserError: it is no whole number, or less than 1.
  """
  if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
    raise UserError(f'{name} is {value!r}, expected a positive integer')
  return int(value)


def path_text(name: str, value: Any) -> str | None:
  """Returns a path that is given in Python as text, None for None.

  Raises:
    UserError: it is no path.
  """
  if value is None:
    return None
  if isinstance(value, str | os.PathLike):
    return os.fspath(value)
  raise UserError(f'{name} is {value!r}, expected a path')


def requests(models: list[str], weights: list[str]) -> list[Request]:
  """Pairs models with weights and names their run directories.

  Args:
    models: specifications, at least one; `all` is every application.
    weights: one for all models, or one for each.

  Raises:
    UserError: no model, a number of weights that fits neither, an unknown
      model, or the same evaluation asked for twice.
  """
  if 'all' in models:
    if len(models) > 1 or len(weights) > 1:
      raise UserError(
        '`model=all` is every application: give no other `model`, and '
        'one `weights` at most'
      )
    models = list(table.known_models())
  if not models:
    raise UserError('no model was given: `model=NAME`; tfeval models lists them')
  if len(weights) not in (1, len(models)):
    raise UserError(
      f'{len(weights)} `weights` for {len(models)} `model`: give one '
      'for all or one for each'
    )
  specs = [spec_lib.parse(text) for text in models]
  each = weights * len(specs) if len(weights) == 1 else weights
  pairs = list(zip(specs, each, strict=True))
  if len(set(pairs)) != len(pairs):
    raise UserError('the same model with the same weights was given twice')
  found = []
  for spec, weight in pairs:
    table.check_name(spec)
    # A path must hold from every working directory, a name in the run directory.
    if spec.target not in table.known_models() and (
      paths.is_url(spec.target) or os.path.exists(spec.target)
    ):
      path = paths.absolute(spec.target)
      spec = spec_lib.Spec(path, path, spec.options)
    if weight not in ('imagenet', 'none'):
      if not paths.is_url(weight) and not os.path.exists(os.path.expanduser(weight)):
        raise UserError(
          f'weights file {weight!r} does not exist: `weights` is '
          'imagenet, none or the path of a file'
        )
      weight = paths.absolute(weight)
    key = run_key.RunKey(spec.text, weight)
    found.append(Request(spec, weight, key.directory_name))
  if len({r.directory for r in found}) != len(found):
    raise UserError(
      'two models would have the same name in results and run '
      'directories: rename one, or run them one by one'
    )
  return found


def for_model(request: Request, settings: Settings) -> Settings:
  """Returns the settings that hold for one of several models."""
  if request.spec.target not in table.known_models():
    return settings
  return dataclasses.replace(settings, **dict.fromkeys(_NOT_FOR_APPLICATIONS))


def check(wanted: Iterable[Request], settings: Settings) -> None:
  """Holds that every setting is for one of the models at least.

  Raises:
    UserError: all models are applications, and something is told that is known of
      these; an address is none; or two settings contradict each other.
  """
  if settings.canvas is not None and settings.resize_on == HOST:
    raise UserError(
      f'`canvas={settings.canvas}` is for `resize_on=device`: give both or none'
    )
  if settings.resize_on == DEVICE:
    for name in ('tf_data_service', 'cache_dir'):
      if getattr(settings, name) is not None:
        raise UserError(
          f'`{name}` gives images that have their size already, which '
          'contradicts `resize_on=device`: leave one out'
        )
  if settings.tf_data_service is not None:
    service_address(settings.tf_data_service)
    if settings.cache_dir is not None:
      raise UserError(
        '`cache_dir` keeps what this host decodes, and with '
        '`tf_data_service` others do: leave one of them out'
      )
  if all(request.spec.target in table.known_models() for request in wanted):
    for name in _NOT_FOR_APPLICATIONS:
      if getattr(settings, name) is not None:
        raise UserError(f'`{name}` is known for applications: leave it out')


def service_address(text: str) -> tuple[str, int]:
  """Returns the host and the port that HOST:PORT names.

  Raises:
    UserError: it is malformed.

  >>> service_address('[::1]:5050')
  ('::1', 5050)
  """
  found = re.fullmatch(r'(?:\[([\d:A-Fa-f.]+)\]|([^\s:/]+)):(\d{1,5})', text)
  if not found or not 0 < int(found[3]) < 1 << 16:
    raise UserError(
      f'`tf_data_service={text}` is no address: give HOST:PORT of the '
      'dispatcher, such as 10.0.0.2:5050'
    )
  return found[1] or found[2], int(found[3])


def flagfile(request: Request, settings: Settings) -> str:
  """Returns a flagfile that repeats the evaluation of one model."""
  settings = for_model(request, settings)
  lines = [f'--model={request.spec.text}', f'--weights={request.weights}']
  for field in dataclasses.fields(settings):
    value = getattr(settings, field.name)
    if field.name in _NOT_REPEATED or value is None:
      continue
    if isinstance(value, bool):
      lines.append(f'--{"" if value else "no"}{field.name}')
    elif field.name in ('data_dir', 'manual_dir', 'real_labels') or (
      field.name == 'class_map' and os.path.isfile(os.path.expanduser(value))
    ):
      lines.append(f'--{field.name}={paths.absolute(value)}')
    elif field.name == 'dataset' and value.startswith(FOLDER):
      lines.append(f'--dataset={FOLDER}{paths.absolute(value.removeprefix(FOLDER))}')
    else:
      lines.append(f'--{field.name}={value}')
  return '\n'.join(lines) + '\n'
