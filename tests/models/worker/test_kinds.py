"""Which files are models of other frameworks, before any of these is there."""

import pickle
import zipfile

import numpy as np
import pytest

from tfeval.models.worker import kinds
from tfeval.utils import spec
from tfeval.utils.errors import UserError

# As torch.save, torch.jit.save and torch.export.save of 2.14 name what they write.
STATE = ('a/data.pkl', 'a/.format_version', 'a/byteorder', 'a/data/0', 'a/version')
SCRIPT = ('a/data/0', 'a/data.pkl', 'a/code/__torch__/a.py', 'a/constants.pkl')
EXPORTED = ('a/data/weights/weight_0', 'a/models/model.json', 'a/byteorder')


class Evil:
  def __reduce__(self):
    return (exec, ('raise SystemExit("it ran")',))


def archive(path, names):
  with zipfile.ZipFile(path, 'w') as file:
    for name in names:
      file.writestr(name, pickle.dumps(Evil()) if name.endswith('.pkl') else b'{}')
  return path


def check(path):
  parsed = spec.parse(str(path))
  kinds.check_name(parsed, kinds.kind_of(parsed))


def test_what_has_layers_may_be_a_model(tmp_path):
  for name, names in (('a.pt', SCRIPT), ('a.pth', SCRIPT), ('a.pt2', EXPORTED)):
    check(archive(tmp_path / name, names))


@pytest.mark.parametrize('name', ['a.pth', 'a.pt', 'old.pth', 'a.safetensors'])
def test_weights_are_told_where_they_go(name, tmp_path, tfeval):
  """At once: neither trust nor PyTorch is asked for, and nothing is unpickled."""
  path = tmp_path / name
  if name.startswith('old'):
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
  elif name.endswith('.safetensors'):
    path.write_bytes(np.uint64(2).tobytes() + b'{}')
  else:
    archive(path, STATE)
  with pytest.raises(UserError, match='holds weights and no layers: give it as `wei'):
    check(path)
  code, _, err = tfeval('evaluate', f'--model={path}', f'--output_dir={tmp_path}')
  assert code == 2 and f'give it as --weights={path} of a model' in err
  assert 'trust' not in err and 'it ran' not in err


def test_what_is_neither_is_told_by_how_it_begins(tmp_path):
  for suffix in ('pt', 'pth', 'pt2', 'torchscript', 'tflite'):
    (tmp_path / f'a.{suffix}').write_bytes(b'no model at all')
    with pytest.raises(UserError, match=f'is no .{suffix} file, it begins with'):
      check(tmp_path / f'a.{suffix}')
