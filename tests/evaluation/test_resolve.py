"""Which model and which protocol a request and the settings ask for."""

import pytest
from fake_runtime import make_model, make_request, make_settings

from tfeval.evaluation import resolve
from tfeval.models import loading
from tfeval.utils.errors import UserError


@pytest.fixture
def asked(monkeypatch):
  """What the loader was last given."""
  given = {}

  def load(spec, weights, known):
    given.update(vars(known), weights=weights)
    return make_model()

  monkeypatch.setattr(loading, 'load', load)
  return given


def load(name='my:build', **settings):
  return resolve.load_model(make_request(name), make_settings('runs', **settings))


@pytest.mark.parametrize(
  'settings, size',
  [
    ({}, None),
    ({'input_size': 96}, 96),
    ({'protocol': 'opencv:size=96'}, 96),
    ({'protocol': 'opencv:size=96', 'input_size': 96}, 96),
  ],
)
def test_the_size_that_is_asked_for(asked, settings, size):
  load(**settings)
  assert (asked['input_size'], asked['weights']) == (size, 'none')


def test_two_sizes_contradict_each_other(asked):
  with pytest.raises(UserError, match='96` contradicts .*opencv:size=97'):
    load(protocol='opencv:size=97', input_size=96)
  assert not asked


def test_an_application_is_not_told_what_is_known_of_it(asked):
  load('ResNet50', preprocess='tf', output='logits', dtype='mixed_float16')
  assert (asked['preprocess'], asked['output']) == (None, None)
  assert asked['dtype'] == 'mixed_float16'
  load(preprocess='tf', output='logits')
  assert (asked['preprocess'], asked['output']) == ('tf', 'logits')


def test_a_protocol_has_the_size_of_the_models_input():
  model, request = make_model(), make_request('ResNet50')
  settings = make_settings('runs')
  assert resolve.resolve_protocol(request, settings, model).size == 4
  named = make_settings('runs', protocol='opencv')
  assert resolve.resolve_protocol(request, named, model).spec == 'opencv'
  with pytest.raises(UserError, match="unknown protocol 'opencw'"):
    resolve.resolve_protocol(request, make_settings('runs', protocol='opencw'), model)
