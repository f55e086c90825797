"""Imports go down only, and heavy packages stay in the rooms that need them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import skcfq

ROOT = Path(skcfq.__file__).parent

LEVEL = {
    "exceptions": 0,
    "_version": 0,
    "utils": 0,
    "encoding": 1,
    "quantization": 2,
    "actions": 2,
    "deploy": 2,
    "nn": 3,
    "models": 4,
    "results": 4,
    "solvers": 5,
    "theory": 5,
    "metrics": 6,
    "training": 6,
    "estimators": 7,
    "plotting": 8,
    "audit": 9,
    "__main__": 10,
}

# Packages that need not be installed, or are slow, where a model is only described or served.
HEAVY = ["torch", "cvxpy", "skorch", "matplotlib", "imblearn", "pandas", "sklearn"]


class Import(NamedTuple):
    """One import statement: where it stands and what it names."""

    file: Path
    line: int
    module: str
    lazy: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT.parent)}:{self.line} imports {self.module}"


def _imports_of(file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    package = ["skcfq", *file.relative_to(ROOT).parts[:-1]]
    lazy = {
        id(node)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(outer)
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            # `from skcfq import encoding` names a package, as `from skcfq.encoding import ...`.
            modules = [f"skcfq.{alias.name}" for alias in node.names] if stem == "skcfq" else [stem]
        else:
            continue
        for module in modules:
            yield Import(file, node.lineno, module, id(node) in lazy)


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _room(file: Path) -> str:
    parts = file.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else Path(parts[0]).stem


IMPORTS = [entry for file in sorted(ROOT.rglob("*.py")) for entry in _imports_of(file)]


def _uses(package: str) -> list[Import]:
    return [entry for entry in IMPORTS if entry.module.split(".")[0] == package]


def test_scan_sees_the_package():
    assert {_room(entry.file) for entry in IMPORTS} >= {"actions", "datasets", "encoding"}
    assert len(IMPORTS) > 50


def test_every_room_has_a_level():
    rooms = {_room(file) for file in ROOT.rglob("*.py")}
    assert rooms <= {*LEVEL, "datasets", "__init__"}


def test_imports_go_down_only():
    upward = []
    for entry in _uses("skcfq"):
        room = _room(entry.file)
        parts = entry.module.split(".")
        target = parts[1] if len(parts) > 1 else ""
        if target in ("__version__", room) or room == "__init__":
            continue
        if room == "datasets":
            allowed = target in ("actions", "utils", "exceptions")
        elif room == "utils":
            allowed = target == "exceptions"
        else:
            allowed = target in LEVEL and LEVEL[target] < LEVEL[room]
        if not allowed:
            upward.append(str(entry))
    assert upward == []


@pytest.mark.parametrize("room", ["__init__", "exceptions", "encoding", "datasets"])
def test_rooms_without_torch(room):
    used = [str(entry) for entry in _uses("torch") if _room(entry.file) == room]
    if room == "__init__":
        used += [
            str(entry)
            for entry in _uses("skcfq")
            if _room(entry.file) == room and not entry.lazy and entry.module != "skcfq._version"
        ]
    assert used == []


@pytest.mark.parametrize("room", ["nn", "quantization"])
def test_networks_never_know_scikit_learn(room):
    assert [str(entry) for entry in _uses("sklearn") if _room(entry.file) == room] == []


@pytest.mark.parametrize(("package", "room"), [("cvxpy", "solvers"), ("skorch", "training")])
def test_package_lives_in_one_file(package, room):
    used = _uses(package)
    assert {_room(entry.file) for entry in used} <= {room}
    assert len({entry.file for entry in used}) <= 1


def test_matplotlib_is_imported_lazily():
    assert [str(entry) for entry in _uses("matplotlib") if not entry.lazy] == []
    assert {_room(entry.file) for entry in _uses("matplotlib")} <= {"plotting", "audit"}


def test_no_private_scikit_learn_outside_the_guard():
    private = [
        str(entry)
        for entry in _uses("sklearn")
        if any(part.startswith("_") for part in entry.module.split("."))
        and entry.file.name != "_sklearn_compat.py"
    ]
    assert private == []


def _loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return set(done.stdout.split())


def test_bare_import_is_light():
    assert _loaded_after("import skcfq; skcfq.__version__; dir(skcfq)") == set()


@pytest.mark.parametrize(
    "statement",
    [
        "from skcfq import ActionSet; ActionSet(immutable=['age'])",
        "from skcfq import FeatureSpace, TableEncoder",
        "from skcfq.datasets import make_credit; make_credit(50, random_state=0)",
        "import skcfq.utils",
    ],
)
def test_tables_and_rules_need_no_torch(statement):
    assert _loaded_after(statement).isdisjoint({"torch", "cvxpy", "skorch", "matplotlib"})


def test_main_face_needs_no_optional_package():
    statement = f"from skcfq import {', '.join(name for name in skcfq.__all__ if name[0] != '_')}"
    assert "matplotlib" not in _loaded_after(statement)
