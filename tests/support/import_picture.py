"""The import picture of the package: packages, floors, arrows, circles.

python tests/support/import_picture.py [DIRECTORY of the package]
"""

import ast
import collections
import dataclasses
import functools
import pathlib
import sys
from collections.abc import Iterable, Iterator

# From the top; a package imports only packages on lower floors.
FLOORS = (
  ('cli',),
  ('api', 'keras'),
  ('evaluation',),
  ('reports',),
  ('analysis', 'engine'),
  ('runs',),
  ('models',),
  ('datasets',),
  ('datasets.labels', 'preprocess'),
  ('metrics',),
  ('utils',),
)


@dataclasses.dataclass(frozen=True)
class Picture:
  """Who imports whom below one directory.

  Attributes:
    root: the directory of the package.
    modules: the file of each module, by full name.
  """

  root: pathlib.Path
  modules: dict[str, pathlib.Path]

  @classmethod
  def of(cls, root: pathlib.Path) -> 'Picture':
    def name(path: pathlib.Path) -> str:
      parts = (root.name, *path.relative_to(root).with_suffix('').parts)
      return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)

    return cls(root, {name(path): path for path in sorted(root.rglob('*.py'))})

  def __hash__(self) -> int:
    return hash(self.root)

  @functools.cache  # noqa: B019
  def imports(self, module: str, inside_functions: bool) -> frozenset[str]:
    """Full names that a module imports, the packages above them included."""
    path, found = self.modules[module], set()
    package = module if path.name == '__init__.py' else module.rpartition('.')[0]
    for node in _nodes(ast.parse(path.read_text('utf-8')), inside_functions):
      if isinstance(node, ast.Import):
        found.update(alias.name for alias in node.names)
      elif isinstance(node, ast.ImportFrom):
        base = node.module or ''
        if node.level:
          above = package.split('.')[: len(package.split('.')) - node.level + 1]
          base = '.'.join([*above, base] if base else above)
        found.update({base}, (f'{base}.{alias.name}' for alias in node.names))
    return frozenset(
      '.'.join(name.split('.')[:n])
      for name in [module, *found]
      for n in range(1, name.count('.') + 2)
    ) - {module}

  @functools.cache  # noqa: B019
  def loaded_with(self, module: str) -> frozenset[str]:
    """Everything that importing a module of ours imports, directly or not."""
    found: set[str] = set()
    pending = [module]
    while pending:
      name = pending.pop()
      if name not in found:
        found.add(name)
        if name in self.modules:
          pending += self.imports(name, inside_functions=False)
    return frozenset(found)

  @functools.cache  # noqa: B019
  def used_files(self, module: str) -> frozenset[str]:
    """Our modules that a module names in its imports, packages above them not."""
    ours = self.imports(module, inside_functions=True) & set(self.modules)
    return frozenset(
      name
      for name in ours
      if not any(other.startswith(name + '.') for other in {module, *ours})
    ) - {module}

  def package_of(self, module: str) -> str | None:
    """The package of FLOORS, or the flat module, that a module belongs to."""
    parts = module.split('.')[1:]
    for length in (2, 1):
      if '.'.join(parts[:length]) in PACKAGES:
        return '.'.join(parts[:length])
    return parts[0] if parts else None

  def arrows(self) -> collections.Counter[tuple[str, str]]:
    """How many imports of files each arrow between two packages stands for."""
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for module in self.modules:
      here = self.package_of(module)
      for other in self.used_files(module):
        there = self.package_of(other)
        if here and there and here != there:
          found[here, there] += 1
    return found

  def upward(self) -> list[str]:
    """Imports of files that do not point downwards, functions included."""
    found = []
    for module in sorted(self.modules):
      for other in sorted(self.used_files(module)):
        here, there = self.package_of(module), self.package_of(other)
        if here in FLOOR and there in FLOOR and here != there:
          if FLOOR[there] >= FLOOR[here]:
            found.append(f'{module} -> {other}')
    return found

  def circles(self) -> list[list[str]]:
    """Files that import each other when they are imported, as sorted groups."""
    return strongly_connected(
      {
        module: {
          name
          for name in self.imports(module, inside_functions=True) & set(self.modules)
          if self.modules[name].name != '__init__.py'
        }
        for module in self.modules
        if self.modules[module].name != '__init__.py'
      }
    )


def _nodes(tree: ast.AST, inside_functions: bool) -> Iterator[ast.AST]:
  for child in ast.iter_child_nodes(tree):
    if inside_functions or not isinstance(
      child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    ):
      yield child
      yield from _nodes(child, inside_functions)


def strongly_connected(graph: dict[str, Iterable[str]]) -> list[list[str]]:
  """Groups of at least two nodes that reach each other (Tarjan, 1972)."""
  index: dict[str, int] = {}
  low: dict[str, int] = {}
  stack: list[str] = []
  found: list[list[str]] = []

  def visit(node: str) -> None:
    index[node] = low[node] = len(index)
    stack.append(node)
    for other in graph.get(node, ()):
      if other not in index:
        visit(other)
        low[node] = min(low[node], low[other])
      elif other in stack:
        low[node] = min(low[node], index[other])
    if low[node] == index[node]:
      group = stack[stack.index(node) :]
      del stack[stack.index(node) :]
      if len(group) > 1:
        found.append(sorted(group))

  for node in graph:
    if node not in index:
      visit(node)
  return sorted(found)


PACKAGES = {package for floor in FLOORS for package in floor}
FLOOR = {
  package: height
  for height, floor in enumerate(reversed(FLOORS), 1)
  for package in floor
}


def main(arguments: list[str]) -> None:
  default = pathlib.Path(__file__).resolve().parents[2] / 'tfeval'
  picture = Picture.of(pathlib.Path(arguments[0]).resolve() if arguments else default)
  packages = {picture.package_of(module) for module in picture.modules} - {None}
  arrows, upward = picture.arrows(), picture.upward()
  for here in sorted(packages, key=lambda name: (-FLOOR.get(name, 0), name)):
    targets = sorted({there for one, there in arrows if one == here})
    print(f'{FLOOR.get(here, "-"):>2}  {here:<16} -> {", ".join(targets)}')
  lines = sum(len(p.read_text().splitlines()) for p in picture.modules.values())
  print(
    f'{len(packages)} packages and flat modules, {len(picture.modules)} files, '
    f'{lines} lines, {len(arrows)} arrows, {sum(arrows.values())} imports of files'
  )
  circles = picture.circles()
  print(f'{len(upward)} imports upwards, {len(circles)} circles of files')
  for line in [*upward, *(' <-> '.join(circle) for circle in circles)]:
    print(f'  {line}')


if __name__ == '__main__':
  main(sys.argv[1:])
