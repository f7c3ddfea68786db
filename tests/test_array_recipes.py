"""Recipes for job arrays: what they ask of clusters, and runs of them on this machine.

The schedulers are stood in for; what they start is tfeval. The commands are those that
the recipes tell in their comments.
"""

import json
import os
import re
import shlex
import signal

import pytest
import schedulers
import yaml
from evaluations import make_inputs, run_content
from schedulers import CONFIGS, ended, start

from tfeval import cli
from tfeval.cli import command_flags, plan

IMAGES = 50
NAME = 'small.keras'
SLURM_ARRAY, INDEXED_JOB, TPU_POD = (
  CONFIGS / name for name in ('slurm_array.sh', 'indexed_job.yaml', 'tpu_pod.sh')
)
# The writing that would tell of a worker's second piece, whose rows are there.
IN_SECOND_PIECE = 9
# Tells what it was asked for.
TOLD = '#!/bin/bash\necho "$@"\n'


@pytest.fixture(scope='module')
def flags(tmp_path_factory):
  """Flags of a small evaluation."""
  _, *flags = make_inputs(tmp_path_factory.mktemp('inputs'), IMAGES)
  return [*flags, '--batch_size=4', '--rows_per_part=8']


@pytest.fixture(scope='module')
def whole(flags, tmp_path_factory):
  """The files of the run that one process makes, timing aside."""
  output = tmp_path_factory.mktemp('whole')
  assert cli.main(['evaluate', *flags, f'--output_dir={output}']) == 0
  return run_content(output / NAME)


@pytest.fixture
def programs(tmp_path):
  """A folder of programs, first on PATH."""
  return schedulers.install(
    tmp_path / 'bin',
    tfeval=schedulers.TFEVAL,
    sbatch=schedulers.SBATCH,
    scontrol=schedulers.SCONTROL,
    kubectl=schedulers.KUBECTL,
    gcloud=schedulers.GCLOUD,
  )


def told(programs, array, *flags):
  """Returns the exit code of an array and what its tasks asked tfeval for."""
  (programs / 'tfeval').write_text(TOLD)
  command = ['sbatch', f'--array={array}', SLURM_ARRAY, '/shared/study', *flags]
  code, said = ended(start(programs, command))
  assert not said
  return code, [
    line
    for log in programs.glob('task*.log')
    for line in dict.fromkeys(log.read_text().splitlines())
  ]


@pytest.mark.parametrize(
  'array, count', [('0-3', 4), ('1-4%2', 4), ('10-20:2', 6), ('10-21:2', 6), ('5', 1)]
)
def test_slurm_tasks_have_all_shares(programs, array, count):
  code, asked = told(programs, array, '--cache_dir=a b')
  assert code == 0
  assert sorted(asked) == sorted(
    f'work /shared/study --cache_dir=a b --piece={share}/{count}'
    for share in range(count)
  )


def test_slurm_lists_of_tasks_tell_no_shares(programs):
  code, asked = told(programs, '3,5,17')
  assert code == 2 and len(asked) == 3
  assert set(asked) == {
    '--array is a list, whose indices tell no shares: give a range, or --claim'
  }


def test_slurm_lists_of_tasks_claim(programs):
  code, asked = told(programs, '3,5,17', '--claim')
  assert code == 0 and asked == 3 * ['work /shared/study --claim']


def test_slurm_plan_is_asked_for(programs):
  code, said = ended(start(programs, [SLURM_ARRAY], SLURM_ARRAY_TASK_ID='0'))
  assert code and 'the plan' in said


def jobs():
  """Returns the Jobs of the recipe by their step."""
  (document,) = yaml.safe_load_all(INDEXED_JOB.read_text())
  assert (document['apiVersion'], document['kind']) == ('v1', 'List')
  for job in document['items']:
    assert (job['apiVersion'], job['kind']) == ('batch/v1', 'Job')
    assert job['metadata']['name'] == f'tfeval-{job["metadata"]["labels"]["step"]}'
  return {job['metadata']['labels']['step']: job['spec'] for job in document['items']}


def container(spec):
  (only,) = spec['template']['spec']['containers']
  return only


def test_indexed_job_brings_pods_back_to_their_index():
  """What Kubernetes asks of the fields; see the API reference of batch/v1 Job."""
  assert list(jobs()) == ['plan', 'work', 'join']
  work = jobs()['work']
  environment = {one['name']: one['value'] for one in container(work)['env']}
  assert environment == {'COMPLETIONS': str(work['completions'])}
  # backoffLimitPerIndex is refused without it, as is FailIndex without that.
  assert work['completionMode'] == 'Indexed' and work['backoffLimitPerIndex'] > 0
  assert 0 < work['maxFailedIndexes'] <= work['completions']
  assert work['parallelism'] <= work['completions']
  for step, on_mistake in (
    ('plan', 'FailJob'),
    ('work', 'FailIndex'),
    ('join', 'FailJob'),
  ):
    spec = jobs()[step]
    pod = spec['template']['spec']
    # podFailurePolicy is refused with any others.
    assert (pod['restartPolicy'], spec['podReplacementPolicy']) == ('Never', 'Failed')
    assert pod['terminationGracePeriodSeconds'] >= 60
    disrupted, *by_code = spec['podFailurePolicy']['rules']
    assert disrupted == {
      'action': 'Ignore',
      'onPodConditions': [{'type': 'DisruptionTarget', 'status': 'True'}],
    }
    assert by_code == [
      {
        'action': action,
        'onExitCodes': {
          'containerName': container(spec)['name'],
          'operator': 'In',
          'values': codes,
        },
      }
      for action, codes in (
        ('Ignore', [128 + signal.SIGTERM]),
        (on_mistake, [1, 2]),
      )
    ]


def test_indexed_job_flags_and_volumes():
  specs = jobs()
  args = container(specs['plan'])['args']
  flag_values, rest = command_flags.parse(plan, 'plan', args)
  assert not rest
  for step in ('work', 'join'):
    assert container(specs[step])['args'] == [flag_values.output_dir]
  for spec in specs.values():
    mounts = {one['mountPath']: one for one in container(spec)['volumeMounts']}
    folder = os.path.dirname(flag_values.output_dir)
    assert list(mounts) == [flag_values.data_dir, folder]
    claims = {
      one['name']: one['persistentVolumeClaim']
      for one in spec['template']['spec']['volumes']
    }
    for path, is_read_only in zip(mounts, (True, False), strict=True):
      assert mounts[path].get('readOnly', False) is is_read_only
      assert claims[mounts[path]['name']].get('readOnly', False) is is_read_only
  assert 'nvidia.com/gpu' in container(specs['work'])['resources']['limits']
  assert 'nvidia.com/gpu' not in container(specs['join'])['resources']['limits']


@pytest.mark.slow
def test_indexed_job_commands(programs, flags, whole, tmp_path):
  """What pods would start, started in this process, out of order and one twice."""
  (programs / 'tfeval').write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
  study, specs = str(tmp_path / 'study'), jobs()
  args = {'plan': [*flags, f'--output_dir={study}'], 'work': [study], 'join': [study]}
  for step, indices in (('plan', [0]), ('work', [2, 0, 2, 1]), ('join', [0])):
    for index in indices:
      command = [*container(specs[step])['command'], *args[step]]
      code, said = ended(
        start(programs, command, JOB_COMPLETION_INDEX=str(index), COMPLETIONS='3')
      )
      assert code == 0 and cli.main(said.splitlines()) == 0
  assert run_content(tmp_path / 'study' / NAME) == whole


def test_tpu_hosts_claim_pieces(programs):
  """The commands that hosts are sent; the join goes to one that is left."""
  (programs / 'tfeval').write_text('#!/bin/bash\nenv; echo "$@"\n')
  process = start(
    programs,
    [TPU_POD, '/mnt/a study', '--cache_dir=c'],
    TPUS='gone slice',
    ZONE='z',
    GONE='gone',
    ATTEMPTS='1',
    JOIN='--keep_pieces --json',
    TFEVAL='tfeval',
    TPU_NAME='slice',
  )
  code, said = ended(process)
  assert code == 0, said
  lines = said.splitlines()
  assert lines.count('work /mnt/a study --claim --cache_dir=c') == 2
  assert lines.count('TPU_PROCESS_BOUNDS=1,1,1') == 2
  assert 'hosts ended with exit code 255: joining what is done' in lines
  assert lines.count('join /mnt/a study --keep_pieces --json') == 1
  assert lines.count('TPU_LOAD_LIBRARY=0') == 1 and 'TPU_NAME' not in said


@pytest.mark.parametrize('missing', ['plan', 'TPUS', 'ZONE'])
def test_tpu_names_are_asked_for(programs, missing):
  environment = {'TPUS': 'slice', 'ZONE': 'z'}
  environment.pop(missing, None)
  command = [TPU_POD, '/mnt/study'][: 1 if missing == 'plan' else 2]
  code, said = ended(start(programs, command, **environment))
  assert code and missing in said
  assert not (programs / 'gcloud.log').exists()


def usage(path, flags, **replaced):
  """Returns the documented commands, of another evaluation and other texts."""
  text = schedulers.usage(path).replace('\\\n', '')
  text = re.sub('--model=.*?(?=--output_dir)', f'{shlex.join(flags)} ', text)
  for old, new in replaced.values():
    assert old in text
    text = text.replace(old, new)
  return ['bash', '-euo', 'pipefail', '-c', text]


@pytest.mark.slow
def test_slurm_array_with_tasks_that_are_ended(programs, flags, whole, tmp_path):
  """One by its time limit, one with its node; both go on when they are requeued."""
  command = usage(
    SLURM_ARRAY,
    flags,
    array=('0-63', '10-14:2'),
    study=('/shared/study', str(tmp_path / 'study')),
  )
  code, said = ended(
    start(programs, command, TASKS_END=json.dumps({14: 'USR1', 12: IN_SECOND_PIECE}))
  )
  assert code == 0, said
  assert 'small.keras' in (programs / 'join.log').read_text()
  assert (programs / 'requeued.log').read_text().splitlines() == [
    f'14 {128 + signal.SIGTERM}',
    f'12 {128 + signal.SIGKILL}',
  ]
  log = (programs / 'task12.log').read_text()
  assert '1 of 7 pieces done here, 8 images, 1 were done already' in log
  log = (programs / 'task14.log').read_text()
  assert 'back into the queue' in log and '3 of 7 pieces done here' in log
  assert run_content(tmp_path / 'study' / NAME) == whole


@pytest.mark.slow
def test_slurm_array_with_a_mistake_is_not_requeued(programs, tmp_path):
  code, _ = ended(start(programs, ['sbatch', '--array=0', SLURM_ARRAY, tmp_path]))
  assert code == 2 and not (programs / 'requeued.log').exists()
  assert 'plan' in (programs / 'task0.log').read_text()


@pytest.mark.slow
def test_indexed_job_that_loses_a_node(programs, flags, whole, tmp_path):
  """The recipe as it is, but for flags, paths and how many shares there are."""
  recipe, study = tmp_path / 'job.yaml', str(tmp_path / 'study')
  text = INDEXED_JOB.read_text().replace('/runs/study', study)
  text = text.replace('completions: 64', 'completions: 3').replace('"64"', '"3"')
  example = re.search(' *- --model=.*?(?= *- --output_dir)', text, re.DOTALL)
  args = ''.join(f'          - {json.dumps(flag)}\n' for flag in flags)
  recipe.write_text(text.replace(example[0], args))
  command = usage(INDEXED_JOB, flags, file=('configs/indexed_job.yaml', str(recipe)))
  code, said = ended(
    start(programs, command, POD_DIES=json.dumps({2: IN_SECOND_PIECE}))
  )
  assert code == 0, said
  assert (programs / 'lost.log').read_text() == f'2 {-signal.SIGKILL}\n'
  assert 'the result and the predictions are in' in said
  assert run_content(tmp_path / 'study' / NAME) == whole


@pytest.mark.slow
def test_tpu_slices_that_lose_a_host(programs, flags, whole, tmp_path):
  """One VM is gone, and a host is killed; on CPUs, whose strategy the plan names."""
  study = tmp_path / 'study'
  assert cli.main(['plan', *flags, f'--output_dir={study}']) == 0
  code, said = ended(
    start(
      programs,
      [TPU_POD, study, '--claim_timeout=2'],
      TPUS='gone slice',
      ZONE='z',
      GONE='gone',
      TFEVAL='tfeval',
      ATTEMPTS='2',
      PAUSE='0',
      DIES_WRITING=str(IN_SECOND_PIECE),
    )
  )
  assert code == 0, said
  assert re.search(r'host [23] on slice, worker [01]: exit code 137', said)
  assert run_content(study / NAME) == whole
