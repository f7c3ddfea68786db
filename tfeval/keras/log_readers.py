"""Whether a hook of a callback looks into the logs that it is given."""

import ast
import dis
import inspect
import textwrap
import types
from collections.abc import Collection
from typing import Any, NamedTuple

from tfeval.models.keras.versions import both

# Hooks of a callback by where Keras calls them; one may call the next.
AT_EPOCHS = ('on_epoch_end',)
AT_BATCHES = ('on_train_batch_end', 'on_batch_end')


def reads_any(callback: Any, hooks: Collection[str], names: Collection[str]) -> bool:
  """Returns whether hooks of a callback may take some of `names` out of their logs.

  A hook that takes only other names, writes into logs or hands them to its `super()`
  alone, does not. What cannot be known is taken for reading.
  """
  return any(_reads(callback, hook, names) for hook in hooks)


def _reads(callback: Any, hook: str, names: Collection[str]) -> bool:
  of_instance = vars(callback).get(hook)  # LambdaCallback has them there.
  if of_instance is not None:
    functions = [(of_instance, 1)]
  else:
    of_classes = (vars(kind).get(hook) for kind in type(callback).__mro__)
    functions = [(one, 2) for one in of_classes if one is not None]
  for function, position in functions:
    if function in [getattr(kind, hook) for kind in both('callbacks.Callback')]:
      return False
    use = _use_of(function, position, hook)
    if use.is_unknown or not use.names.isdisjoint(names):
      return True
    if not use.goes_on:
      return False
  return False


class _Use(NamedTuple):
  """What a function takes out of its logs."""

  is_unknown: bool  # Anything may be among it.
  names: frozenset[str] = frozenset()
  goes_on: bool = False  # It hands them to its super().


def _use_of(function: Any, position: int, hook: str) -> _Use:
  function = inspect.unwrap(function)
  if isinstance(function, types.MethodType):
    function, position = function.__func__, position + 1
  if not isinstance(function, types.FunctionType):
    return _Use(True)
  code = function.__code__
  if code.co_argcount <= position:  # *args.
    return _Use(True)
  logs = code.co_varnames[position]
  try:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
  except (OSError, TypeError, SyntaxError):
    tree = None
  if tree is None or not isinstance(tree.body[0], ast.FunctionDef):  # A lambda, say.
    return _Use(logs in code.co_cellvars or _is_loaded(code, logs))
  return _use_in(tree, logs, hook)


def _is_loaded(code: types.CodeType, name: str) -> bool:
  for step in dis.get_instructions(code):
    values = step.argval if isinstance(step.argval, tuple) else (step.argval,)
    if 'LOAD' in step.opname and name in values:
      return True
  return False


def _use_in(tree: ast.Module, logs: str, hook: str) -> _Use:
  parents = {
    child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
  }
  names: set[str] = set()
  goes_on = False
  for node in ast.walk(tree):
    if isinstance(node, ast.Attribute) and node.attr == hook and _is_super(node.value):
      goes_on = True
    is_logs = isinstance(node, ast.Name) and node.id == logs
    if not is_logs or not isinstance(node.ctx, ast.Load):
      continue
    found = _taken(node, parents, logs)
    if found is None:
      return _Use(True)
    names |= found
  return _Use(False, frozenset(names), goes_on)


def _taken(
  node: ast.expr, parents: dict[ast.AST, ast.AST], logs: str
) -> set[str] | None:
  """Returns the names that one mention of logs takes; None where it may be any."""
  parent = parents[node]
  while isinstance(parent, ast.BoolOp):  # `logs or {}` are the logs.
    node, parent = parent, parents[parent]
  match parent:
    case ast.Subscript(value=value, slice=key, ctx=context) if value is node:
      return set() if isinstance(context, ast.Store) else _constant(key)
    case ast.Attribute(value=value, attr=attr) if value is node:
      call = parents[parent]
      if attr in ('update', 'setdefault'):
        return set()
      is_one = isinstance(call, ast.Call) and call.args and attr in ('get', 'pop')
      return _constant(call.args[0]) if is_one else None
    case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()]) if left is not node:
      return _constant(left)
    case ast.Compare(ops=[ast.Is() | ast.IsNot()]) | ast.UnaryOp(op=ast.Not()):
      return set()
    case ast.If(test=test) | ast.IfExp(test=test) if test is node:
      return set()
    case ast.Assign(targets=[ast.Name(id=name)]) if name == logs:
      return set()
    case ast.keyword():
      parent = parents[parent]
  match parent:
    case ast.Call(func=ast.Attribute(value=value)) if _is_super(value):
      return set()
  return None


def _constant(key: ast.expr) -> set[str] | None:
  is_name = isinstance(key, ast.Constant) and isinstance(key.value, str)
  return {key.value} if is_name else None


def _is_super(node: ast.expr) -> bool:
  return isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'super'
