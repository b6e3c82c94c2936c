"""How the package is built: files, lines, levels of imports, circles, containers that modules change while they run.

    python -m tests.bench.structure [CHECKOUT]

CHECKOUT is another checkout, such as ``git worktree add /tmp/before COMMIT`` makes one. Levels are the longest chain of
imports between modules, a circle counting as one. A circle is a set of modules that import one another. A container is
a list, dictionary, set or the like that a module binds to a name in small letters: constants are in capitals.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CONTAINERS = frozenset({
    "list", "dict", "set", "Counter", "defaultdict", "deque", "OrderedDict", "WeakKeyDictionary", "WeakValueDictionary",
    "WeakSet", "count",
})  # fmt: skip
Graph = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Counts of one package."""

    files: int
    lines: int
    levels: int
    circles: int
    in_circles: int
    containers: int

    def __str__(self) -> str:
        return (
            f"| {self.files} | {self.lines} | {self.levels} | {self.circles} ({self.in_circles} modules) "
            f"| {self.containers} |"
        )


def structure(package: Path) -> Structure:
    """Count a package: a folder whose name is the one that it is imported by."""
    trees = {_module_name(package, path): ast.parse(path.read_bytes()) for path in sorted(package.rglob("*.py"))}
    packages = {_module_name(package, path) for path in package.rglob("__init__.py")}
    graph = {name: frozenset(_imported(name, tree, packages, set(trees))) for name, tree in trees.items()}
    parts = components(graph)
    circles = [part for part in parts if len(part) > 1]
    return Structure(
        files=len(trees),
        lines=sum(len(path.read_bytes().splitlines()) for path in package.rglob("*.py")),
        levels=_levels(graph, parts),
        circles=len(circles),
        in_circles=sum(len(part) for part in circles),
        containers=sum(1 for tree in trees.values() for _name in containers(tree)),
    )


def containers(tree: ast.Module) -> Iterator[str]:
    """Names in small letters that a module binds to something that can be changed."""
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _can_change(node.value):
            for target in targets:
                if isinstance(target, ast.Name) and not target.id.isupper() and not target.id.startswith("__"):
                    yield target.id


def _can_change(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        name = getattr(value.func, "id", getattr(value.func, "attr", ""))
        return name in _CONTAINERS
    return isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)


def _module_name(package: Path, path: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name: str, tree: ast.Module, packages: set[str], modules: set[str]) -> Iterator[str]:
    """Modules of the package that a module imports, at its top or inside of functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            candidates = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(name, node, is_package=name in packages)
            candidates = [f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base for alias in node.names]
        else:
            continue
        yield from (found for found in candidates if found in modules and found != name)


def _absolute(name: str, node: ast.ImportFrom, *, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = name.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def components(graph: Graph) -> list[frozenset[str]]:
    """Strongly connected parts (Tarjan), each after those that it imports."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            part = frozenset(stack[stack.index(name) :])
            del stack[stack.index(name) :]
            found.append(part)

    for name in graph:
        if name not in order:
            visit(name)
    return found


def _levels(graph: Graph, parts: list[frozenset[str]]) -> int:
    part_of = {name: part for part in parts for name in part}
    depth: dict[frozenset[str], int] = {}
    for part in parts:
        below = {part_of[other] for name in part for other in graph[name]} - {part}
        depth[part] = 1 + max((depth[other] for other in below), default=0)
    return max(depth.values(), default=0)


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, nargs="?", default=ROOT)
    advisor = parser.parse_args().checkout / "advisor"
    print("| package | files | lines | levels | circles | containers |\n|" + "---|" * 6)
    for package in (advisor, advisor / "injected" / "gsbatch_inside"):
        print(f"| `{package.name}` {structure(package)}")


if __name__ == "__main__":
    main()
