"""YAML that any reader takes for what it was made of."""

from typing import Any

from tfeval.utils.errors import UserError
from tfeval.utils.printable import printable


def dump(content: Any) -> str:
  """Returns YAML in blocks, keys in their order.

  Whatever a text holds, it comes back from `yaml.safe_load`. Characters that a terminal
  would obey are escapes.

  Raises:
    UserError: PyYAML is not installed.
  """
  try:
    import yaml
  except ModuleNotFoundError as error:
    raise UserError("this needs PyYAML: pip install 'tfeval[hub]'") from error
  # Without anchors: they are for people who look for what is the same.
  dumper = type('_Plain', (yaml.SafeDumper,), {'ignore_aliases': lambda *_: True})
  arguments: dict[str, Any] = {'Dumper': dumper, 'sort_keys': False, 'width': 88}
  text = yaml.dump(content, allow_unicode=True, **arguments)
  if printable(text, keep='\n') == text:
    return text
  return yaml.dump(content, allow_unicode=False, **arguments)
