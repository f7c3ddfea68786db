"""Any function of a NumPy batch: `function:module:name`."""

from tfeval_worker import common


def load(message):
  function = common.user_function(message['target'])
  return Function(function, message)


class Function:
  """Calls a function of float32 [n, size, size, 3], which returns scores, [n, C]."""

  def __init__(self, function, message):
    self._function, self._options = function, message['options']
    self._own = getattr(function, 'tfeval', {})
    if not isinstance(self._own, dict):
      raise common.Refused(f'{message["target"]}.tfeval is no dict of what it is fed')

  def describe(self):
    return {
      'versions': common.versions(),
      'devices': ['as the function says'],
      'parameters': None,
      'input': [None, None, None, 3],
      'own': self._own,
    }

  def run(self, images):
    outputs = self._function(images, **self._options)
    return [
      (name, common.flat(one, len(images))) for name, one in common.named(outputs)
    ]
