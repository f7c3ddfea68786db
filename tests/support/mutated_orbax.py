"""Files of a checkpoint of Orbax for `mutations`; needs `tfeval[orbax]`.

Orbax draws the names of files: what a seed stands for differs a little between
processes.
"""

import pathlib
from typing import Any

import keras
import mutated_models
from mutations import Format, Mutate, of_json

from tfeval.models.keras import checkpoint_values, checkpoints


def _saved(pattern: str):
  def make(directory: pathlib.Path) -> pathlib.Path:
    callback = keras.callbacks.OrbaxCheckpoint(directory, save_on_background=False)
    model = keras.models.clone_model(mutated_models._model())
    model.set_weights(mutated_models._model().get_weights())
    model.compile('sgd', 'mse')
    callback.set_model(model)
    callback.on_train_begin()
    callback.on_epoch_end(0)
    callback.on_train_end()
    return max(directory.glob(f'0/{pattern}'), key=lambda path: path.stat().st_size)

  return make


def _read(path: pathlib.Path) -> list[Any]:
  folder = next(one for one in path.parents if one.name == '0').parent
  (checkpoint,) = checkpoints.find_checkpoints(folder)
  assert len(checkpoint.sha256()) == 64
  checkpoint_values.load(mutated_models._another(), checkpoint, 'small')
  return mutated_models._values(mutated_models._another())


def _format(name: str, pattern: str, structure: Mutate | None = None) -> Format:
  return Format(name, _saved(pattern), _read, structure, prints=True)


FORMATS = (
  _format('orbax.mark', '_CHECKPOINT_METADATA', of_json),
  _format('orbax.metadata', 'pytree/_METADATA', of_json),
  _format('orbax.manifest', 'pytree/manifest.ocdbt'),
  _format('orbax.data', 'pytree/d/*'),
)
