"""What models are converted to, and what has to be said for it."""

import dataclasses
import os
import pathlib

from tfeval.utils import errors, files
from tfeval.utils.errors import UserError

# What weights and, of int8, all that is computed become.
INT8, FLOAT16, DYNAMIC, FLOAT = 'int8', 'float16', 'dynamic', 'float'
_KINDS = INT8, FLOAT16, DYNAMIC, FLOAT
TARGETS = tuple(f'litert:{kind}' for kind in _KINDS)
SUFFIX = '.tflite'
# What the input and the output of a file of int8 are.
IO_DTYPES = ('uint8', 'int8', 'float32')


@dataclasses.dataclass(frozen=True)
class ConversionOptions:
  """How a model is converted.

  Attributes:
    kind: `'int8'`: weights, and all that is computed, in 8 bits; `'float16'`: weights;
      `'dynamic'`: weights in 8 bits, computed in float32 or 8 bits as the runtime
      finds; `'float'`: nothing changes.
    calibrate: how many images the ranges of int8 are found on; None of others.
    io_dtype: of input and output; `'float32'` but for int8.
  """

  kind: str
  calibrate: int | None = None
  io_dtype: str = 'float32'


def requested(
  target: str | None, calibrate: int | None, io_dtype: str | None
) -> ConversionOptions:
  """Returns how a model is to be converted.

  Args:
    target: one of `TARGETS`.
    calibrate: images to find the ranges of int8 on, needed for that alone.
    io_dtype: of input and output of int8, one of `IO_DTYPES`; uint8 by default.

  Raises:
    UserError: the target is not known, or something else does not go with it.

  >>> requested('litert:int8', 200, None).io_dtype
  'uint8'
  """
  if target is None:
    raise UserError(f'`to` is missing: give one of {", ".join(TARGETS)}')
  if target not in TARGETS:
    raise errors.unknown('target of `to`', target, TARGETS)
  kind = target.partition(':')[2]
  if kind != INT8:
    for name, value in (('calibrate', calibrate), ('io_dtype', io_dtype)):
      if value is not None:
        raise UserError(f'`{name}={value}` is for litert:int8: leave it out')
    return ConversionOptions(kind)
  if calibrate is None:
    raise UserError(
      '`to=litert:int8` finds the range of each value on images: give how many, such '
      'as `calibrate=200`, and of which `dataset`'
    )
  return ConversionOptions(kind, calibrate, io_dtype or IO_DTYPES[0])


def output_path(
  given: str | None, model: str, kind: str, overwrite: bool
) -> pathlib.Path:
  """Returns where a converted model is written to, and checks that it can be.

  Args:
    given: the path, None for one of the model's name in the working directory.
    model: what the model is asked for by.
    kind: what it becomes.
    overwrite: whether a file that is there is replaced.

  Raises:
    UserError: the name has another suffix, or see `files.check_new`.
  """
  name = f'{pathlib.PurePath(model).name.replace(":", "_")}.{kind}{SUFFIX}'
  path = pathlib.Path(name if given is None else given).expanduser()
  if path.suffix != SUFFIX:
    raise UserError(f'`output_file={given}`: expected the path of a {SUFFIX} file')
  files.check_new(path, overwrite, 'output_file')
  if os.path.lexists(beside(path)) and not overwrite:
    raise UserError(
      f'{beside(path)} is there already: give another `output_file`, or `overwrite`'
    )
  return path


def beside(path: pathlib.Path) -> pathlib.Path:
  """Returns where it stands what was converted, and how.

  >>> beside(pathlib.Path('a.tflite')).name
  'a.tflite.json'
  """
  return path.with_name(path.name + '.json')
