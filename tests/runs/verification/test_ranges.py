"""Results of strangers: no value of another kind reaches a command."""

import copy
import itertools
import json

import numpy as np
import pytest

import tfeval as library
from tfeval.runs.result_reader import read_result
from tfeval.runs.verification import ranges
from tfeval.utils.errors import UserError

N = 20
LABELS = np.arange(N) % 10
VALUES = [
  *(None, True, -1, 0, 10**30, 2**62, float('inf'), 1e308, 0.5, -0.5),
  *('', 'x', [], [1], [None], {}, {'a': 1}),
]


@pytest.fixture
def run(store_run):
  """A run with every section that a result may have."""
  made = store_run(
    'ResNet50',
    np.stack([LABELS, *(LABELS + 20 * (i + 1) for i in range(4))], axis=1),
    LABELS,
    [[int(label)] for label in LABELS],
    model={'weights': 'imagenet'},
    dataset={'partial': True, 'expected': 21, 'notes': ['a note'], 'on_error': 'skip'},
    failed={'x': 'cut'},
    preflight=['odd'],
    published={
      'figures': 'published',
      'source': 's',
      'protocol': None,
      'same_protocol': False,
      'metrics': [
        {
          'name': 'top1',
          'published': 0.7,
          'measured': 1.0,
          'difference': 0.3,
          'inside': False,
        }
      ],
    },
    timing={'finished': 'now', 'seconds': 2.0, 'images_per_second': 1.0},
  )
  store_run('other', LABELS[:, None], LABELS)
  return made


def write(run, content) -> None:
  text = json.dumps(content).replace('Infinity', '1e999')
  (run.path / 'result.json').write_text(text)


def read(run) -> dict:
  return json.loads((run.path / 'result.json').read_text())


@pytest.mark.parametrize(
  ('change', 'said'),
  [
    (lambda r: r['metrics'][0].update(count=-1), 'metrics[0].count: expected a number'),
    (lambda r: r['metrics'][0].update(skipped=-2), 'from 0 to inf, found -2'),
    (lambda r: r['metrics'][0].update(count=None), 'count: expected a number, there'),
    (lambda r: r['metrics'][0].update(correct=N + 1), f'{N + 1} correct of {N}'),
    (lambda r: r['metrics'][0].update(correct=N - 1), f'value is 1.0, {N - 1} of {N}'),
    (lambda r: r['metrics'][0].update(correct=None), 'is not known'),
    (lambda r: r['metrics'][0].update(value=None), 'value is None'),
    (lambda r: r['metrics'][0].update(value=1.5), 'value: expected a number from 0 to'),
    (lambda r: r['metrics'][0].update(kind='share'), "count, value, found 'share'"),
    (lambda r: r['metrics'][0].update(name=7), 'metrics[0].name: expected a text'),
    (
      lambda r: r['metrics'][0]['interval'].update(low=0.0, high=0.5),
      'its interval is from 0.0 to 0.5',
    ),
    (lambda r: r['dataset'].update(evaluated=2**63), 'more than 64 bits'),
    (lambda r: r.update(new=[{'a': float('inf')}]), 'a number that is not finite'),
    (lambda r: r['model'].update(name='m' * 70_000), 'a text of 70,000 characters'),
    (lambda r: r.update({'k' * 70_000: 1}), 'a key of more than 65,536 characters'),
    (lambda r: r['timing'].update(seconds=-1.0), 'timing.seconds: expected a number'),
    (lambda r: r['published']['metrics'][0].update(published=70.0), 'from 0 to 1'),
    (lambda r: r['published']['metrics'][0].update(difference=None), 'there is none'),
    (lambda r: r['dataset'].update(notes=[None]), 'notes[0]: expected a text'),
    (lambda r: r['dataset'].update(on_error='ignore'), 'expected one of fail, skip'),
  ],
)
def test_a_value_that_cannot_be_is_named_in_a_line(run, change, said):
  content = read(run)
  change(content)
  write(run, content)
  with pytest.raises(UserError) as error:
    library.load_run(run.path)
  message = str(error.value)
  assert message.startswith(f'{run.path / "result.json"} is damaged: ')
  assert said in message and message.endswith(': evaluate again')


def test_what_is_nested_deep_is_refused(run):
  deep = json.dumps(read(run))[:-1] + ', "new": ' + '[' * 70 + ']' * 70 + '}'
  (run.path / 'result.json').write_text(deep)
  with pytest.raises(UserError, match='nested more than 64 deep'):
    library.load_run(run.path)
  assert ranges.plain_fault([[[{'a': [1.5, 'x', None]}]]]) is None


def test_a_whole_result_has_no_fault(run):
  assert read_result(run.path) == run.result
  assert ranges.fault(run.result) is None


def test_what_was_only_printed_is_not_believed(run):
  """A table of confusions, and a subset, that somebody wrote into the result."""
  content = read(run)
  content['subset'] = {'keep': None, 'omit': None, 'images': 1, 'of': 2}
  content['confusions'] = [
    {
      **{'labels': 'original', 'label': 1, 'predicted': 2, 'count': 1, 'of': 2},
      **{'label_name': 'a', 'predicted_name': 'b'},
    }
  ]
  write(run, content)
  assert library.load_run(run.path).result == run.result


def places(content, above=()):
  """Yields where values are: of lists only the first."""
  if above:
    yield above
  inside = (
    content.items()
    if isinstance(content, dict)
    else enumerate(content[:1])
    if isinstance(content, list)
    else ()
  )
  for key, value in inside:
    yield from places(value, (*above, key))


def exchanged(content, place, value):
  content = copy.deepcopy(content)
  inside = content
  for key in place[:-1]:
    inside = inside[key]
  if value is places:  # Stands for nothing at all.
    del inside[place[-1]]
  else:
    inside[place[-1]] = value
  return content


def check_commands(run, tfeval, every):
  content = read(run)
  pairs = list(itertools.product(places(content), [*VALUES, places]))
  outcomes = set()
  for place, value in pairs[::every]:
    write(run, exchanged(content, place, value))
    for command in ('score', 'leaderboard', 'compare', 'verify'):
      given = [run.path, run.path.parent / 'other'][: 1 + (command != 'score')]
      options = ['--allow=data,protocol'] * (command == 'leaderboard')
      for form in ([], ['--json']):
        code, out, err = tfeval(command, *given, *options, *form)
        assert code in (0, 1, 2), (place, value, command)
        outcomes.add((command, code))
        if code == 2:
          assert (out, err.count('\n')) == ('', 1), (place, value, command, err)
    try:
      repr(library.load_run(run.path))
    except UserError:
      continue
  assert {('score', 0), ('score', 2), ('verify', 1), ('leaderboard', 0)} <= outcomes


def test_no_value_of_another_type_ends_a_command_with_a_traceback(run, tfeval):
  check_commands(run, tfeval, every=60)


@pytest.mark.slow
def test_no_value_at_all_ends_a_command_with_a_traceback(run, tfeval):
  check_commands(run, tfeval, every=1)


def test_a_part_is_not_passed_off_as_the_whole(run):
  content = json.loads((run.path / 'result.json').read_text())
  content['dataset'] |= {'expected': 50_000, 'partial': False}
  write(run, content)
  with pytest.raises(
    UserError, match='20 images evaluated and 1 failed are not the 50'
  ):
    read_result(run.path)
