"""What tells code and models apart that no version and no weights file does."""

import functools
import inspect
import pathlib
import sys

import tfeval
from tfeval.evaluation.preflight.finding import application
from tfeval.models.model import Model
from tfeval.utils import files

# Not the guides: whoever corrects one resumes the runs of before.
_CODE_AND_FACTS = ('.py', '.toml', '.tsv', '.json')


@functools.cache
def code_sha256() -> str:
  """Returns the digest of tfeval's own code and facts: versions may be edited."""
  root = pathlib.Path(tfeval.__file__).parent
  return files.digest_of_pairs(
    (str(path.relative_to(root)), files.sha256_of(path))
    for path in root.rglob('*')
    if path.suffix in _CODE_AND_FACTS
  )


def model_sha256(model: Model) -> str | None:
  """Returns what a model without a weights file is known by, None if by nothing.

  That is the values of its weights, its layers, and the files that its factory, its
  class and its preprocessing are written in; not what these import.
  """
  return model.backend.fingerprint(_sources(model))


def architecture_sha256(model: Model) -> str | None:
  """Returns what a model computes with the values of its file.

  That is its layers and the code of those that are the user's own; None of
  applications, whose name says it, and of what is no Keras model.
  """
  if application(model) is not None:
    return None
  return model.backend.architecture_sha256()


def _sources(model: Model) -> list[pathlib.Path]:
  """Returns the files of the user that say how the model computes."""
  factory = sys.modules.get(model.name.partition(':')[0])
  found = set()
  for what in (factory, type(model.backend.model), model.preprocess):
    try:
      found.add(inspect.getsourcefile(what))
    except (TypeError, OSError):
      continue  # Nothing, built in, or typed into a session.
  package = pathlib.Path(tfeval.__file__).parent
  paths = {pathlib.Path(name).resolve() for name in found if name}
  return sorted(
    path
    for path in paths
    if path.is_file()
    and not {'site-packages', 'dist-packages'} & set(path.parts)
    and package not in path.parents
  )
