"""Names of classes that a page might obey, cut or run."""

import nasty

CLASSES = [
  *(
    name for name in nasty.NAMES if name.strip() == name and name.splitlines() == [name]
  ),
  '<img src=x onerror="window.pwned=1">',
  '"><svg onload=window.pwned=1>',
  'ключ ' * 60,
  'ก' * 300,
]
