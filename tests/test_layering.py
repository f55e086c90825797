"""Imports go down only, through doors, and heavy packages stay in the rooms that need them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import structure
from structure import Import

import skcfq

ROOT = Path(skcfq.__file__).parent
MAP = ROOT.parent / "docs" / "design.md"

# A room may import from rooms of a lower level only.
LEVEL = {
    "_version": 0,
    "exceptions": 0,
    "certificates": 1,
    "utils": 1,
    "encoding": 2,
    "quantization": 4,
    "actions.files": 3,
    "actions": 4,
    "deploy": 4,
    "datasets": 5,
    "nn": 5,
    "models": 6,
    "results": 6,
    "proofs": 7,
    "solvers.problems": 7,
    "solvers.exact": 8,
    "solvers.search": 8,
    "theory": 8,
    "solvers": 9,
    "metrics.skew": 9,
    "metrics": 10,
    "training": 10,
    "estimators": 11,
    "plotting": 12,
    "audit": 13,
    "command_line": 14,
    "__main__": 15,
}
# Rooms that use less than their level allows.
_BELOW_THEORY = (
    "actions certificates deploy encoding exceptions models nn proofs quantization results utils"
)
ONLY = {
    "certificates": set(),
    "datasets": {"actions", "exceptions", "utils"},
    "theory": set(_BELOW_THEORY.split()),
}
# A folder inside a room that shares what lies beside it (the rule language, for instance).
DRAWERS = {"actions.files"}

# Packages that need not be installed, or are slow, where a model is only described or served.
HEAVY = ["torch", "cvxpy", "skorch", "matplotlib", "imblearn", "pandas", "sklearn"]

# The verifier of audits is copied to where nothing else of the library is, so it is one file.
COPIED, MOST_LINES_OF_A_COPIED_FILE = "skcfq.audit.verify", 580
MOST_LINES, MOST_LINES_OF_A_FUNCTION, LARGEST_SHARE = 450, 80, 0.20


FILES = structure.files()
IMPORTS = [entry for file in FILES.values() for entry in structure.imports_of(file)]


def _room_of(module: str) -> str:
    """Return the room of a module of the library: its folder, or the module at the root."""
    parts = module.split(".")[1:]
    for depth in range(len(parts), 0, -1):
        if ".".join(parts[:depth]) in LEVEL:
            return ".".join(parts[:depth])
    return parts[0] if parts else "__init__"


def _target_of(entry: Import) -> str:
    """Return the module that an import is about: `from skcfq import encoding` names a package."""
    named = f"{entry.module}.{entry.name}"
    return named if named in FILES else entry.module


def _uses(package: str) -> list[Import]:
    return [entry for entry in IMPORTS if entry.module.split(".")[0] == package]


OURS = [entry for entry in _uses("skcfq") if structure.module_of(entry.file) != "skcfq"]


def test_scan_sees_the_package():
    assert {_room_of(structure.module_of(entry.file)) for entry in OURS} >= {
        "actions",
        "solvers.exact",
    }
    assert len(OURS) > 500


def test_every_room_has_a_level_and_every_level_a_room():
    rooms = {_room_of(module) for module in FILES} - {"__init__"}
    folders = {structure.module_of(file)[6:] for file in ROOT.rglob("__init__.py")} - {""}
    assert folders <= rooms
    assert rooms == {*LEVEL}


@pytest.mark.skipif(not MAP.exists(), reason="the documentation is not installed")
def test_the_map_shows_exactly_the_rooms():
    text = MAP.read_text(encoding="utf-8")
    table = text.split("| room | what it holds | torch |")[1].split("\n\n")[0]
    shown = re.findall(r"^\| `([a-z_.]+)` \|", table, flags=re.MULTILINE)
    assert sorted(shown) == sorted(name for name in LEVEL if not name.startswith("_"))


def test_imports_go_down_only():
    upward = []
    for entry in OURS:
        room, target = _room_of(structure.module_of(entry.file)), _room_of(_target_of(entry))
        if target == room or (room in DRAWERS and target == room.rsplit(".", 1)[0]):
            continue
        allowed = target in LEVEL and LEVEL[target] < LEVEL[room]
        if not allowed or target not in ONLY.get(room, LEVEL):
            upward.append(str(entry))
    assert upward == []


def test_private_modules_are_imported_inside_their_folder_only():
    private = []
    for entry in OURS:
        target = _target_of(entry)
        if not target.rsplit(".", 1)[-1].startswith("_") or target == "skcfq._version":
            continue
        folder = target.rsplit(".", 1)[0]
        if not entry.file.is_relative_to(FILES[folder].parent):
            private.append(str(entry))
    assert private == []


def test_between_rooms_only_what_is_at_the_door():
    hidden = []
    for entry in OURS:
        package = FILES.get(entry.module)
        if package is None or package.name != "__init__.py" or entry.name is None:
            continue
        if f"{entry.module}.{entry.name}" not in FILES and entry.name not in _door(package):
            hidden.append(str(entry))
    assert hidden == []


@cache
def _door(package: Path) -> frozenset[str]:
    """Return the names of a package's `__all__`."""
    for node in structure.tree(package).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def test_no_two_files_need_each_other():
    """Type checking and lazy imports count; a result alone knows the reports that it offers."""
    graph = structure.file_graph()
    allowed = {module for module in FILES if module.startswith("skcfq.results._")}
    for reports in allowed - {"skcfq.results._result"}:
        graph[reports] -= {"skcfq.results._result"}
    circles = sorted(module for module in graph if module in structure.reached(graph, module))
    assert circles == []


def test_no_file_and_no_function_is_too_long():
    limits = dict.fromkeys(FILES, MOST_LINES) | {COPIED: MOST_LINES_OF_A_COPIED_FILE}
    long = [module for module, n in limits.items() if structure.n_lines(FILES[module]) > n]
    long += [name for name, n in structure.functions() if n > MOST_LINES_OF_A_FUNCTION]
    assert long == []


def test_no_room_is_the_house():
    sizes = structure.room_sizes()
    most = LARGEST_SHARE * sum(sizes.values())
    assert {room for room, lines in sizes.items() if lines > most} == set()


@pytest.mark.parametrize(
    "room",
    [
        "__init__",
        "exceptions",
        "certificates",
        "utils",
        "encoding",
        "actions.files",
        "deploy",
        "datasets",
        "results",
    ],
)
def test_rooms_without_torch(room):
    used = [
        str(entry) for entry in _uses("torch") if _room_of(structure.module_of(entry.file)) == room
    ]
    assert used == []


def test_the_front_door_loads_nothing():
    eager = [
        str(entry)
        for entry in _uses("skcfq")
        if structure.module_of(entry.file) == "skcfq" and not entry.lazy
    ]
    assert [entry for entry in eager if "skcfq._version" not in entry] == []


@pytest.mark.parametrize("room", ["nn", "quantization"])
def test_networks_never_know_scikit_learn(room):
    assert [str(e) for e in _uses("sklearn") if _room_of(structure.module_of(e.file)) == room] == []


@pytest.mark.parametrize(("package", "room"), [("cvxpy", "solvers.exact"), ("skorch", "training")])
def test_package_lives_in_one_file(package, room):
    files = {entry.file for entry in _uses(package)}
    assert [_room_of(structure.module_of(file)) for file in files] == [room]


def test_matplotlib_is_imported_in_one_file_when_something_is_drawn():
    uses = _uses("matplotlib")
    assert {structure.module_of(entry.file) for entry in uses} == {"skcfq.plotting._matplotlib"}
    assert [str(entry) for entry in uses if not entry.lazy] == []


def test_no_private_scikit_learn_outside_the_guard():
    private = [
        str(entry)
        for entry in _uses("sklearn")
        if any(part.startswith("_") for part in entry.module.split("."))
        and entry.file.name != "_sklearn_compat.py"
    ]
    assert private == []


def test_only_one_file_counts_stack_levels():
    """Warnings point at the user's line through `warn_user`."""
    calls = [
        f"{module}:{node.lineno}"
        for module, file in FILES.items()
        for node in ast.walk(structure.tree(file))
        if isinstance(node, ast.Attribute)
        and node.attr == "warn"
        and getattr(node.value, "id", "") == "warnings"
        and module != "skcfq.utils._warnings"
    ]
    assert calls == []


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
        "from skcfq import load",
    ],
)
def test_tables_and_rules_need_no_torch(statement):
    assert _loaded_after(statement).isdisjoint({"torch", "cvxpy", "skorch", "matplotlib"})


# Forty rows, of which every method but the shortcut of tables of plain numbers reads tensors.
PLAIN_SOLVE = """
import numpy as np
from sklearn.linear_model import LogisticRegression
from skcfq import ActionSet, RecourseSolver
X = np.random.default_rng(0).normal(size=(40, 3))
model = LogisticRegression().fit(X, X.sum(axis=1) > 0)
for cost in ("l1", "l2"):
    solver = RecourseSolver(ActionSet(increasing=[0], bounds={{1: {bounds}}}), cost=cost)
    result = solver.solve(model, X, background=X)
    assert result.method == "exact" and set(result.status) == {statuses}, result.status
    assert model.predict(result.points[result.reachable]).all()
    result.summary(), repr(result)
"""


def test_exact_recourse_on_plain_numbers_needs_no_torch():
    # Where nobody can be left for the slower way, not even whom no action helps.
    open_ = PLAIN_SOLVE.format(bounds=(-9, 9), statuses={"already_favorable", "optimal"})
    assert _loaded_after(open_).isdisjoint({"torch", "cvxpy", "skorch", "matplotlib"})
    # The scan itself sees torch where a rule asks for more than numbers.
    counted = open_.replace("increasing=[0]", "max_changes=1")
    assert "torch" in _loaded_after(counted.replace("== {", ">= {"))


@pytest.mark.parametrize("room", ["models", "solvers", "solvers.problems", "solvers.search"])
def test_doors_are_lazy(room):
    """Every name at a door is found, whether it was loaded before or not."""
    door = f"import skcfq.{room} as door; "
    assert "torch" not in _loaded_after(f"{door} dir(door)")
    assert "torch" in _loaded_after(f"{door}[getattr(door, name) for name in door.__all__]")


def test_main_face_needs_no_optional_package():
    statement = f"from skcfq import {', '.join(name for name in skcfq.__all__ if name[0] != '_')}"
    assert "matplotlib" not in _loaded_after(statement)
