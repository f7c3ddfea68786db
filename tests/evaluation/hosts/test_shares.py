"""Shares of several hosts: joined as one host would have written them, or refused."""

import json
import pathlib

import pytest
from interrupted_store import BATCH, BROKEN, IMAGES, SIZE, content, store

from tfeval.engine.cluster import Cluster
from tfeval.evaluation.hosts import agreement, shares
from tfeval.runs import run_directory
from tfeval.runs.result_file import Manifest
from tfeval.utils.errors import UserError


def manifest(**model):
  return Manifest.from_json(
    {
      'model': {'name': 'm', **model},
      'dataset': {'on_error': 'skip'},
      'store': {'logits': False, 'rows_per_part': SIZE},
      'compute': {'batch_size': BATCH},
    }
  )


def write_share(directory, hosts, broken=frozenset(), done=True, **model):
  share = directory / hosts.directory()
  shard = hosts.shard(IMAGES, BATCH)
  store(share / 'predictions', broken, shard)
  (share / 'manifest.json').write_text(
    json.dumps(agreement.describe_host(manifest(**model), hosts))
  )
  if done:
    shares.finish_share(share, shard, len(shard), 2.0)
  return share


def wait(directory: pathlib.Path, hosts: Cluster, timeout=0.2) -> int:
  """Waits on host 0; returns how many images of others it was told of."""
  seen = []
  agreement.wait(
    directory,
    agreement.describe_host(manifest(), hosts),
    hosts,
    timeout,
    seen.append,
  )
  return sum(seen)


@pytest.mark.parametrize('count', [1, 2, 3, 8, 20])
@pytest.mark.parametrize('broken', BROKEN)
def test_joined_is_what_one_host_writes(tmp_path, count, broken):
  broken = BROKEN[broken]
  store(tmp_path / 'one', broken)
  for index in range(count):
    write_share(tmp_path, Cluster(count, index), broken)
  own = Cluster(count).shard(IMAGES, BATCH)
  assert wait(tmp_path, Cluster(count)) == len(set(range(IMAGES)) - {*own} - broken)
  positions = shares.merge_shares(tmp_path, manifest(), Cluster(count), IMAGES)
  assert positions == sorted(set(range(IMAGES)) - broken)
  assert content(tmp_path / 'predictions') == content(tmp_path / 'one')
  run_directory.remove_shares(tmp_path)
  assert sorted(path.name for path in tmp_path.iterdir()) == ['one', 'predictions']


def refusal(call, *arguments) -> str:
  with pytest.raises(UserError) as caught:
    call(*arguments)
  assert '\n' not in str(caught.value)
  return str(caught.value)


def test_a_host_that_never_arrives_is_named(tmp_path):
  write_share(tmp_path, Cluster(3, 0))
  write_share(tmp_path, Cluster(3, 1), done=False)
  said = refusal(wait, tmp_path, Cluster(3))
  assert 'host 1 (8 images in hosts/host-00001-of-00003), host 2 (nothing: is' in said
  assert 'the same command here; what is done is kept' in said
  write_share(tmp_path, Cluster(3, 2))
  said = refusal(wait, tmp_path, Cluster(3))
  assert 'host 1 (8 images' in said and 'host 2' not in said


def test_hosts_that_disagree(tmp_path):
  write_share(tmp_path, Cluster(2, 1), name='other')
  said = refusal(wait, tmp_path, Cluster(2))
  assert 'host 1 disagrees with host 0: model.name is other there and m here' in said


def test_a_host_that_was_started_again_as_something_else(tmp_path):
  write_share(tmp_path, Cluster(2, 1))
  wait(tmp_path, Cluster(2))
  write_share(tmp_path, Cluster(2, 1), name='other')
  assert 'host 1 disagrees' in refusal(wait, tmp_path, Cluster(2))


def test_another_number_of_hosts_is_told_at_once(tmp_path):
  write_share(tmp_path, Cluster(3, 1))
  said = refusal(wait, tmp_path, Cluster(2), 1000)
  assert 'host-00001-of-00003 is a share of 3 hosts, here there are 2' in said


def test_one_host_alone_removes_no_shares(tmp_path):
  shares.check_no_shares(tmp_path)
  write_share(tmp_path, Cluster(2, 1))
  said = refusal(shares.check_no_shares, tmp_path)
  assert 'holds shares of several hosts (host-00001-of-00002)' in said


def test_a_share_without_gaps_may_be_joined_where_others_skip(tmp_path):
  share = write_share(tmp_path, Cluster(2, 1))
  told = json.loads((share / 'manifest.json').read_text())
  told['dataset']['on_error'] = 'fail'
  (share / 'manifest.json').write_text(json.dumps(told))
  wait(tmp_path, Cluster(2))


def test_timing_is_of_all_hosts(tmp_path):
  for index, (rows, seconds) in enumerate([(10, 2.0), (30, 3.0), (0, 0.5)]):
    share = tmp_path / Cluster(3, index).directory()
    share.mkdir(parents=True)
    shares.finish_share(share, range(10), rows, seconds)
  assert shares.timing(tmp_path, Cluster(3)) == (3.0, 15.0)


@pytest.mark.parametrize(
  'changes',
  [
    {'seconds': None},
    {'seconds': [1]},
    {'seconds': 0},
    {'rows': '3'},
    {'rows': 10**400},
    {'rows': -1},
  ],
)
def test_timing_of_what_no_host_says(tmp_path, changes):
  share = tmp_path / Cluster(1).directory()
  share.mkdir(parents=True)
  shares.finish_share(share, range(10), 10, 2.0)
  done = json.loads((share / 'done.json').read_text())
  (share / 'done.json').write_text(json.dumps(done | changes))
  assert 'its done.json is damaged' in refusal(shares.timing, tmp_path, Cluster(1))


@pytest.mark.parametrize(
  'damage', [lambda there: [there], lambda there: there | {'dataset': 3}]
)
def test_damaged_manifests_of_other_hosts_are_named(tmp_path, damage):
  path = write_share(tmp_path, Cluster(2, 1)) / 'manifest.json'
  path.write_text(json.dumps(damage(json.loads(path.read_text()))))
  said = refusal(wait, tmp_path, Cluster(2))
  assert f'{path} is damaged' in said and 'start host 1 again' in said


def test_clusters_that_disagree(tmp_path):
  write_share(tmp_path, Cluster(2, 1, ('a:1', 'b:1')))
  said = refusal(wait, tmp_path, Cluster(2, 0, ('a:1', 'c:1')))
  assert "the cluster of TF_CONFIG is ['a:1', 'b:1'] there and ['a:1', 'c:1']" in said


@pytest.mark.parametrize(
  'file, text',
  [
    ('predictions/part-00000.parquet', 'torn'),
    ('predictions/index.json', '{"schema_version": 1, "parts": []}'),
    ('done.json', '{"start": 0, "stop": 4}'),
    ('done.json', '[]'),
  ],
)
def test_a_share_that_is_not_whole(tmp_path, file, text):
  for index in range(2):
    share = write_share(tmp_path, Cluster(2, index))
  (share / file).write_text(text)
  strict = manifest().replaced(dataset=manifest().dataset.replaced(on_error='fail'))
  said = refusal(shares.merge_shares, tmp_path, strict, Cluster(2), IMAGES)
  assert 'host-00001-of-00002 is not whole' in said and 'start this host again' in said
