"""CPU time of checking a SavedModel of 50,000 nodes: it should be under 1 s.

python tests/benchmarks/trust.py
"""

import pathlib
import tempfile
import time

import keras
from tensorflow.core.protobuf import saved_model_pb2

from tfeval.models.keras import trust

NODES = 50_000


def main() -> None:
  inputs = keras.Input((32, 32, 3))
  outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(inputs))
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    keras.Model(inputs, outputs).export(folder, verbose=False)
    path = folder / 'saved_model.pb'
    proto = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    functions = proto.meta_graphs[0].graph_def.library.function
    largest = max(functions, key=lambda function: len(function.node_def))
    nodes = list(largest.node_def)
    while len(largest.node_def) < NODES:
      largest.node_def.extend(nodes[: NODES - len(largest.node_def)])
    path.write_bytes(proto.SerializeToString())
    for _ in range(3):
      started = time.process_time()
      trust.check_saved_model(folder)
      print(f'{NODES:,} nodes: {time.process_time() - started:.2f} s of CPU')


if __name__ == '__main__':
  main()
