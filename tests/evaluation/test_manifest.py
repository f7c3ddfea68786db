"""Manifests: what a run depends on, and whose a directory is."""

import pytest
from fake_runtime import FakeRuntime, make_model, make_settings

from tfeval.evaluation import competition, manifest
from tfeval.preprocess import protocol
from tfeval.runs import run_directory
from tfeval.utils import files
from tfeval.utils.errors import UserError


def build(model=None, **settings):
  runtime = FakeRuntime()
  model = model or make_model()
  return manifest.build_manifest(
    model,
    competition.classes_of(model, runtime.dataset),
    runtime.dataset,
    protocol.resolve('squash', 4),
    make_settings('runs', **settings),
    runtime.strategy,
    batch_size=2,
    hosts=1,
  )


@pytest.fixture(scope='module')
def built():
  return build()


def changed(built, section, key, value):
  return built.replaced(**{section: built[section].replaced(**{key: value})})


def test_what_a_result_depends_on_differs(built):
  assert manifest.difference(built, build()) is None
  assert manifest.difference(build(store_logits=True), built) == (
    'store.logits',
    True,
    False,
  )
  assert manifest.difference(built, build(make_model('other')))[0] == 'model.name'
  # Where it is stored, and what is looked at before, are none of it.
  assert manifest.difference(built, build(preflight='warn', overwrite=True)) is None
  assert 'self_test' not in built['compute']


def test_a_damaged_manifest_is_said_to_be(built):
  with pytest.raises(UserError, match='damaged'):
    manifest.difference({'model': None}, built)


def test_what_identifies_a_model(built):
  assert manifest.is_identifiable(built)
  unknown = build(make_model(weights_sha256=None))
  assert unknown['model'].get('values_sha256') is None
  assert not manifest.is_identifiable(unknown)


def begin(directory, described, resumed=False):
  run_directory.begin_run(directory, described, '--model=right\n', resumed)


def test_a_directory_that_was_begun_is_the_same_runs(built, tmp_path):
  directory = tmp_path / 'run'
  assert manifest.complete_run(directory, built, False) is None
  begin(directory, built)
  assert files.read_json(directory / 'manifest.json') == built
  assert manifest.complete_run(directory, built, False) is None


def test_another_experiment_is_refused_once_it_has_rows(built, tmp_path):
  begin(tmp_path, built)
  other = changed(built, 'protocol', 'spec', 'opencv')
  assert manifest.complete_run(tmp_path, other, False) is None
  (tmp_path / 'predictions').mkdir()
  (tmp_path / 'predictions/part-00000.parquet').touch()
  with pytest.raises(UserError, match="protocol.spec is 'squash' there and 'opencv'"):
    manifest.complete_run(tmp_path, other, False)
  assert manifest.complete_run(tmp_path, other, overwrite=True) is None
  # What stopped a run may be skipped in the same place.
  skipping = changed(built, 'dataset', 'on_error', 'skip')
  assert manifest.complete_run(tmp_path, skipping, False) is None


def test_a_directory_of_something_else_is_refused(built, tmp_path):
  (tmp_path / 'letters.txt').touch()
  with pytest.raises(UserError, match='is not empty and holds no run'):
    manifest.complete_run(tmp_path, built, False)


@pytest.mark.parametrize('resumed', [True, False])
def test_nothing_looks_complete_once_a_run_begins(built, tmp_path, resumed):
  (tmp_path / 'predictions').mkdir()
  for name in ('result.json', 'done.json', '.x.tmp', 'predictions/index.json'):
    (tmp_path / name).touch()
  begin(tmp_path, built, resumed)
  left = {path.name for path in tmp_path.iterdir()}
  assert left == {'manifest.json', 'flags.txt', 'predictions'}
  assert (tmp_path / 'predictions/index.json').exists() == resumed
