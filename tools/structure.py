"""Read the library's structure from its imports: rooms, floors, arrows, and how large things are.

::

    python tools/structure.py

prints what `docs/design.md` says about it. Nothing of the library is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1] / "skcfq"


class Import(NamedTuple):
    """One imported name: where it stands, and the module or package that it is taken from."""

    file: Path
    line: int
    module: str
    name: str | None
    lazy: bool

    def __str__(self) -> str:
        what = self.module if self.name is None else f"{self.name} from {self.module}"
        return f"{self.file.relative_to(ROOT.parent)}:{self.line} imports {what}"


@cache
def tree(file: Path) -> ast.Module:
    """Return the parsed text of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def n_lines(file: Path) -> int:
    """Return how many lines a file has."""
    return len(file.read_text(encoding="utf-8").splitlines())


def module_of(file: Path) -> str:
    """Return the full name of a module."""
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files() -> dict[str, Path]:
    """Return the files of the library by module."""
    return {module_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def imports_of(file: Path) -> Iterator[Import]:
    """Yield what a file imports, for type checking and inside functions too."""
    package = ["skcfq", *file.relative_to(ROOT).parts[:-1]]
    lazy = {
        id(node)
        for outer in ast.walk(tree(file))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(outer)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found: list[tuple[str, str | None]] = [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found = [(stem, alias.name) for alias in node.names]
        else:
            continue
        for module, name in found:
            yield Import(file, node.lineno, module, name, id(node) in lazy)


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def file_graph() -> dict[str, set[str]]:
    """Return which file takes something from which, doors looked through."""
    known = files()
    every = [entry for file in known.values() for entry in imports_of(file)]
    ours = [entry for entry in every if entry.module.split(".")[0] == "skcfq"]
    home = {
        (module_of(entry.file), entry.name): entry.module
        for entry in ours
        if entry.file.name == "__init__.py" and entry.name is not None
    }
    graph = {module: set[str]() for module, file in known.items() if file.name != "__init__.py"}
    for entry in ours:
        source, target = module_of(entry.file), entry.module
        if source not in graph:
            continue
        while (target, entry.name) in home:
            target = home[target, entry.name]
        target = f"{target}.{entry.name}" if f"{target}.{entry.name}" in known else target
        if target in graph and target != source:
            graph[source].add(target)
    return graph


def reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """Return what can be reached from a file along one arrow or more."""
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += graph.get(module, ())
    return seen


def n_floors(graph: Mapping[str, set[str]]) -> int:
    """Return the number of files on the longest way down a graph without circles."""

    @cache
    def floor(module: str) -> int:
        return 1 + max((floor(below) for below in graph[module]), default=0)

    return max(floor(module) for module in graph)


def functions() -> Iterator[tuple[str, int]]:
    """Yield every function with its length in lines, docstring included."""
    for module, file in files().items():
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{module}.{node.name}", (node.end_lineno or 0) - node.lineno + 1


def room_sizes() -> dict[str, int]:
    """Return the lines of every room, folders inside it included."""
    sizes: dict[str, int] = {}
    for module, file in files().items():
        room = module.split(".")[1] if "." in module else "skcfq"
        sizes[room] = sizes.get(room, 0) + n_lines(file)
    return sizes


def main() -> None:
    """Print the figures."""
    sizes, graph = room_sizes(), file_graph()
    whole = sum(sizes.values())
    print(f"{len(files())} files, {whole} lines")
    for room, lines in sorted(sizes.items(), key=lambda item: -item[1]):
        print(f"{room:14} {lines:6} lines {lines / whole:6.1%}")
    for room in ("skcfq.solvers", "skcfq.training", "skcfq.actions"):
        inside = {
            module: {target for target in graph[module] if target.startswith(room + ".")}
            for module in graph
            if module.startswith(room + ".")
        }
        arrows = sum(map(len, inside.values()))
        print(f"{room}: {len(inside)} files on {n_floors(inside)} floors, {arrows} arrows")
    longest = max(files().values(), key=n_lines)
    print(f"longest file: {module_of(longest)}, {n_lines(longest)} lines")
    name, length = max(functions(), key=lambda item: item[1])
    print(f"longest function: {name}, {length} lines")


if __name__ == "__main__":
    main()
