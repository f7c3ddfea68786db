"""TFDS datasets that are made of what is downloaded, or of the validation tar."""

import contextlib
import io
import logging
import sys
import tarfile
from urllib import parse

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import downloader

from tfeval.datasets import tfds_names, variants
from tfeval.datasets.labels import imagenet
from tfeval.utils import errors, locks, paths
from tfeval.utils.errors import MissingData, UserError

_LOG = logging.getLogger('tfeval')
REAL_JSON = 'real.json'


class _Tries:
  """How often a download is tried: once, after the network was not there.

  Ten times, as TFDS does, each after twice the wait, are three minutes to say so.
  """

  count = 4


def prepare(builder, manual_dir: str | None) -> None:
  """Prepares a dataset, unless another process does so meanwhile.

  Args:
    builder: of TFDS.
    manual_dir: where files lie that nobody may download for you.

  Raises:
    UserError: a file is not there or damaged, or cannot be downloaded.
  """
  manual = paths.path(manual_dir) if manual_dir else None
  if builder.name in tfds_names.NEED_TAR:
    _check_tar(tfds_names.find_tar(builder.name, builder.data_dir, manual_dir))
  if not sys.stderr.isatty():
    # Its bars redraw themselves many times a second: pages of a log file.
    tfds.disable_progress_bar()
  downloader.MAX_RETRIES = _Tries.count
  config = tfds.download.DownloadConfig(manual_dir=manual and str(manual))
  where = paths.path(builder.data_dir)
  work = f'preparing {builder.name} in {where}'
  try:
    # TFDS writes, and removes what it takes for leftovers, as if it were alone.
    with locks.one_at_a_time(where.with_name(f'.{where.name}.lock'), work):
      if builder.is_prepared():
        return
      _LOG.info(work)
      # What TFDS prints beside its bars says "Unknown size" of all that matters.
      with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare(download_config=config)
  except UserError:
    raise
  except requests.RequestException as error:
    reason = errors.one_line(error)
    if isinstance(error, requests.ConnectionError) and error.request is not None:
      _Tries.count = 1
      reason = f'{parse.urlsplit(error.request.url).hostname} cannot be reached'
    raise MissingData(
      f'cannot download {builder.name}, {reason}{_without_network(builder, manual)}'
    ) from error
  except Exception as error:  # TFDS and TensorFlow raise many types.
    raise UserError(
      f'cannot prepare {builder.name} in {builder.data_dir}: {errors.one_line(error)}'
    ) from error


def _check_tar(path: paths.Path) -> None:
  """Checks that labels, which TFDS zips to sorted member names, will be right."""
  try:
    with path.open('rb') as file, tarfile.open(fileobj=file) as tar:
      names = sorted(tar.getnames())
  except (tarfile.TarError, OSError, EOFError) as error:
    raise UserError(
      f'{path} is not a whole tar file: {errors.one_line(error)}: copy it again'
    ) from error
  expected = [imagenet.validation_name(i + 1) for i in range(len(names))]
  wrong = next(((n, e) for n, e in zip(names, expected, strict=True) if n != e), None)
  if wrong or not names:
    seen, due = wrong or ('nothing', imagenet.validation_name(1))
    raise UserError(
      f'{path} holds {seen} where {due} is due: labels go by '
      f'position, so use {tfds_names.VALIDATION_TAR} as it was downloaded'
    )


def _without_network(builder, manual_dir: paths.Path | None) -> str:
  """Returns where else the data may be taken from."""
  if builder.name == 'imagenet2012_real':
    return (
      f': without network put {REAL_JSON} of google-research/reassessed-imagenet into '
      f'{manual_dir}'
    )
  variant = variants.of_dataset(builder.name)
  if variant is None or not variant.layout:
    return ''
  config = getattr(builder.builder_config, 'name', None) if variant.configs else None
  name = f'{variant.name}/{config}' if config else variant.name
  return (
    f': without network get it from {variant.source} and give `dataset={name}:DIR`, or '
    f'a `sets_dir` with a folder {name}'
  )
