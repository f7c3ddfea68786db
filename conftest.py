"""What the examples in docstrings of the package run on."""

import json

import pytest

# Looked through for examples, all of them would be one module `conftest`.
collect_ignore_glob = ['tests/conftest.py', 'tests/**/conftest.py', 'tests/data/*']
# What these need is of extras that tests do without.
collect_ignore_glob += ['tests/device/peer.py', 'tests/frameworks/scripts/*']
collect_ignore_glob += ['tests/models/worker/own_modules.py']
collect_ignore_glob += ['tests/clusters/s3_server.py', 'tests/clusters/beam_*.py']
collect_ignore_glob += ['tfeval/evaluation/runners/beam_[ls]*.py']
collect_ignore_glob += ['tests/support/ray_nodes.py']
collect_ignore_glob += ['tfeval/keras/legacy.py']

# Label first, then wrong classes; the answer to the last image is wrong.
_CLASSES = [[65, 1, 2, 3, 4], [970, 1, 2, 3, 4], [230, 1, 2, 3, 4], [1, 809, 2, 3, 4]]
_PROBABILITIES = [
  [0.8, 0.1, 0.05, 0.03, 0.02],
  [0.6, 0.2, 0.1, 0.05, 0.05],
  [0.5, 0.2, 0.1, 0.1, 0.1],
  [0.4, 0.3, 0.1, 0.1, 0.1],
]


@pytest.fixture(autouse=True)
def documented_run(request, tmp_path, monkeypatch):
  """Of the example of `tfeval.Run`: `runs/mine`, predictions of four images."""
  if not isinstance(request.node, pytest.DoctestItem) or (
    request.node.name != 'tfeval.runs.run.Run'
  ):
    return
  import numpy as np

  from tfeval.datasets.labels import imagenet, sets
  from tfeval.runs.importing import importer, sources

  names = [imagenet.validation_name(number) for number in range(1, 5)]
  monkeypatch.chdir(tmp_path)
  np.save('mine.npy', np.array(_CLASSES))
  np.save('probabilities.npy', np.array(_PROBABILITIES, np.float32))
  (tmp_path / 'ids').write_text('\n'.join(names))
  (tmp_path / 'real.json').write_text(
    json.dumps({names[0]: [], names[1]: [970, 5], names[2]: [230], names[3]: [809]})
  )
  (source,) = sources.find_sources('mine.npy', 'probabilities.npy', 'runs/mine')
  importer.import_predictions(
    source,
    importer.ImportConfig(
      tuple(sets.open_labels(['original', 'real.json'])), 'ids', partial=True
    ),
  )
