"""What `import tfeval` gives."""

import pytest

import tfeval
from tfeval.utils import errors


@pytest.mark.parametrize('name', tfeval.__all__)
def test_every_public_name_is_there(name):
  assert getattr(tfeval, name) is not None
  assert name in dir(tfeval)


def test_errors_are_an_attribute_and_names():
  assert tfeval.errors is errors
  for name in ('UserError', 'DataError', 'Interrupted', 'CheckFailed'):
    assert getattr(tfeval, name) is getattr(errors, name)


def test_an_unknown_name():
  with pytest.raises(AttributeError, match="has no attribute 'evalute'"):
    tfeval.evalute  # noqa: B018
