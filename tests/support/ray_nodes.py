"""Clusters of Ray on this machine: several nodes, each with processes of its own."""

import contextlib
import os

import psutil
from ray.cluster_utils import Cluster

# The least that Ray takes is 75 MB.
_NODE = {'object_store_memory': 80 << 20, 'num_gpus': 0}


@contextlib.contextmanager
def cluster_of(nodes: int, cpus: int = 1):
  """Starts a cluster of nodes with some CPUs in name; ends what it started."""
  os.environ['RAY_USAGE_STATS_ENABLED'] = '0'
  found = Cluster(
    initialize_head=True,
    head_node_args={'num_cpus': cpus, 'include_dashboard': False, **_NODE},
  )
  try:
    for _ in range(nodes - 1):
      add_node(found, cpus)
    found.wait_for_nodes()
    yield found
  finally:
    found.shutdown()


def add_node(cluster, cpus: int = 1):
  """Adds a node; returns it."""
  return cluster.add_node(num_cpus=cpus, **_NODE)


def kill_node(node) -> None:
  """Takes a node away as if it had lost its power: nothing of it says good-bye."""
  raylet = psutil.Process(_raylet(node))
  ended = [raylet, *raylet.children(recursive=True)]
  for process in ended:
    with contextlib.suppress(psutil.NoSuchProcess):
      process.kill()


def processes_of(node) -> set[int]:
  """Returns the processes of a node's workers."""
  with contextlib.suppress(psutil.NoSuchProcess):
    return {one.pid for one in psutil.Process(_raylet(node)).children(recursive=True)}
  return set()


def _raylet(node) -> int:
  return node.all_processes['raylet'][0].process.pid
