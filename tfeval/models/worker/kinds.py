"""Names of models that run in a process of their own; nothing is loaded here."""

import dataclasses
import pathlib
import zipfile

from tfeval.utils import paths
from tfeval.utils.errors import UserError
from tfeval.utils.spec import Spec

# Before the first colon: the module of `tfeval_worker`, and what it is asked for.
_PREFIXES = {
  'function': ('function', 'function'),
  'torch': ('torch', 'torch'),
  'torchvision': ('torch', 'torchvision'),
  'timm': ('torch', 'timm'),
  'transformers': ('torch', 'transformers'),
}
_SUFFIXES = {
  '.onnx': ('onnx', 'file'),
  '.tflite': ('litert', 'file'),
  '.pt': ('torch', 'file'),
  '.pth': ('torch', 'file'),
  '.pt2': ('torch', 'file'),
  '.torchscript': ('torch', 'file'),
  '.safetensors': ('torch', 'file'),
}
# How files begin that are called so. LiteRT has its mark behind four bytes.
_BEGINNINGS = {
  '.tflite': (4, b'TFL3'),
  **dict.fromkeys(('.pt', '.pth', '.pt2', '.torchscript'), (0, b'PK')),
}


@dataclasses.dataclass(frozen=True)
class Kind:
  """Which module of `tfeval_worker` loads a model, and from where.

  Attributes:
    module: of `tfeval_worker`, `of_MODULE`.
    source: what that is asked for.
    target: without the prefix.
  """

  module: str
  source: str
  target: str


def kind_of(spec: Spec) -> Kind | None:
  """Returns which framework a specification is of; None: TensorFlow's own.

  >>> kind_of(Spec('', 'timm:resnet50.a1_in1k'))
  Kind(module='torch', source='timm', target='resnet50.a1_in1k')
  """
  prefix, colon, rest = spec.target.partition(':')
  if colon and rest and prefix in _PREFIXES:
    return Kind(*_PREFIXES[prefix], rest)
  suffix = pathlib.PurePath(spec.target).suffix.lower()
  if suffix in _SUFFIXES:
    return Kind(*_SUFFIXES[suffix], spec.target)
  return None


def check_name(spec: Spec, kind: Kind) -> None:
  """Checks that a model of this name could exist.

  Raises:
    UserError: it does not.
  """
  if kind.source == 'file':
    file_of(spec, kind)
    return
  module, colon, name = kind.target.partition(':')
  parts = [*module.split('.'), *name.split('.')]
  if kind.source in ('function', 'torch') and not (
    colon and all(part.isidentifier() for part in parts)
  ):
    raise UserError(
      f'model {spec.text!r}: expected {kind.source}:MODULE:FUNCTION, as of my_model.py'
    )


def file_of(spec: Spec, kind: Kind) -> pathlib.Path | None:
  """Returns the file of a model, None of one that is none.

  Raises:
    UserError: it is not there, or not what its suffix says.
  """
  if kind.source != 'file':
    return None
  if paths.is_url(spec.target):
    raise UserError(
      f'{spec.target}: models of other frameworks are local files: copy it'
    )
  path = pathlib.Path(spec.target)
  if not path.is_file():
    raise UserError(f'model file {path} does not exist')
  start, mark = _BEGINNINGS.get(path.suffix.lower(), (0, b''))
  try:
    with path.open('rb') as file:
      found = file.read(64)
  except OSError as error:
    raise UserError(f'{path} cannot be read: {error.strerror}') from error
  if kind.module == 'torch' and _is_of_weights(path):
    raise UserError(
      f'{path} holds weights and no layers: give it as `weights={path}` of a model '
      'that has these, torchvision:NAME, timm:NAME or torch:MODULE:FUNCTION; of a '
      'module that was pickled whole, save the state_dict()'
    )
  if found[start : start + len(mark)] != mark or not found:
    raise UserError(
      f'{path} is no {path.suffix} file, it begins with {found[:8]!r}: give the file '
      'that was exported'
    )
  return path.resolve()


def _is_of_weights(path: pathlib.Path) -> bool:
  """Whether a file of PyTorch is a state dict, or a pickle of anything else.

  As its names tell, nothing is unpickled: TorchScript and torch.export have `code/` and
  `models/` beside a pickle, or none. Before PyTorch 1.6 pickles were no archives.
  """
  if path.suffix.lower() == '.safetensors':
    return True
  try:
    with zipfile.ZipFile(path) as archive:
      names = ['/' + name for name in archive.namelist()]
  except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
    with path.open('rb') as file:
      return file.read(1) == b'\x80'
  has_code = any('/code/' in name or '/models/' in name for name in names)
  return not has_code and any(name.endswith('/data.pkl') for name in names)
