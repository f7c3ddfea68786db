"""Functions as a notebook makes them: of one name, and with no file to be found in."""


def cell(source, name='preprocess', **variables):
  """Runs the source of a cell beside variables of others; returns what it defines."""
  namespace = {'__name__': '__main__', **variables}
  exec(compile(source, '<ipython-input>', 'exec'), namespace)
  return namespace[name]
