"""Faults that other recourse libraries had, each as a test of this one."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder

COLORS = ["blue", "green", "red"]
METHODS = [
    ("linear", "exact"),
    ("linear", "milp"),
    ("network", "gradient"),
    ("forest", "black_box"),
]


def draw_cars(n: int = 160, *, one_hot: bool = False) -> pd.DataFrame:
    rng = np.random.RandomState(3)
    X = pd.DataFrame(
        {
            "speed": rng.uniform(60, 200, n).round(2),
            # Immutable, and right before the colors.
            "owner": rng.choice(["firm", "private"], n),
            "color": rng.choice(COLORS, n),
            "doors": rng.randint(2, 6, n),
        }
    )
    if not one_hot:
        return X
    for color in COLORS:
        X[color] = (X["color"] == color).astype(int)
    return X[["speed", "owner", *COLORS, "doors"]]


def fit(kind: str, X: pd.DataFrame):
    plain = draw_cars()
    score = plain["speed"] / 40 + 1.5 * (plain["color"] == "red") + plain["doors"] / 3
    y = (score + (plain["owner"] == "firm") > score.quantile(0.7)).map({True: "A", False: "B"})
    heads = {
        "linear": LogisticRegression(max_iter=2000),
        "network": MLPClassifier((5,), solver="lbfgs", max_iter=5000, random_state=0),
        "forest": RandomForestClassifier(4, random_state=0),
    }
    return make_pipeline(TableEncoder(), heads[kind]).fit(X, y)


def solve(kind, method, rules, X=None, **parameters):
    X = draw_cars() if X is None else X
    solver = RecourseSolver(rules, target="A", method=method, random_state=0, **parameters)
    return solver.solve(fit(kind, X), X.head(30))


@pytest.mark.parametrize(("kind", "method"), METHODS)
def test_bounds_given_later_leave_no_old_grid_in_force(kind, method):
    rules = ActionSet(bounds={"speed": (60, 100)}, steps={"speed": 10}, immutable=["owner"])
    solver = RecourseSolver(rules, target="A", method=method, random_state=0)
    model, people = fit(kind, draw_cars()), draw_cars().head(25)
    slow = solver.solve(model, people)
    assert_on_grid(slow, (60, 100), 10)
    solver.set_params(action_set__bounds={"speed": (150, 230)}, action_set__steps={"speed": 25})
    fast = solver.solve(model, people)
    assert_on_grid(fast, (150, 230), 25)
    # The control: the old rules were other ones.
    assert (slow.points["speed"] != fast.points["speed"]).any()
    # As if it had been built so.
    fresh = ActionSet(bounds={"speed": (150, 230)}, steps={"speed": 25}, immutable=["owner"])
    again = RecourseSolver(fresh, target="A", method=method, random_state=0).solve(model, people)
    pd.testing.assert_frame_equal(again.points, fast.points)
    np.testing.assert_array_equal(again.status, fast.status)
    # An answer keeps the rules under which it was found.
    assert slow.actions is not fast.actions


def assert_on_grid(result, bounds, step) -> None:
    """Check that speeds are on the grid; who stands outside of the bounds may come nearer."""
    own, new = result.X["speed"], result.points["speed"]
    moved = new != own
    assert moved.any() and (new[moved] % step == 0).all()
    assert (new >= np.minimum(bounds[0], own)).all() and (new <= np.maximum(bounds[1], own)).all()


@pytest.mark.parametrize(("kind", "method"), METHODS)
@pytest.mark.parametrize("one_hot", [False, True], ids=["category", "one-hot columns"])
def test_an_immutable_column_before_a_one_hot_group(kind, method, one_hot):
    """Others counted encoded columns wrongly behind a column that they had left out."""
    X = draw_cars(one_hot=one_hot)
    groups = {"one_hot": {"color": COLORS}} if one_hot else {}
    rules = ActionSet(
        immutable=["owner"],
        transitions={"color": {"blue": ["green"], "green": ["red"], "red": []}},
        steps={"doors": 1},
        max_changes=1,
        **groups,
    )
    cheap = {"speed": 1.0, "color": 0.05, "doors": 1.0}
    result = solve(kind, method, rules, X, cost_weights=cheap)
    people, points = result.X, result.points
    assert (points["owner"] == people["owner"]).all()
    before, after = people, points
    if one_hot:
        # Never two colors at once, and never none.
        assert (points[COLORS].sum(axis=1) == 1).all() and set(np.unique(points[COLORS])) == {0, 1}
        before = people.assign(color=people[COLORS].idxmax(axis=1))
        after = points.assign(color=points[COLORS].idxmax(axis=1))
    pairs = set(zip(before["color"], after["color"], strict=True))
    assert pairs <= {("blue", "green"), ("green", "red"), *((c, c) for c in COLORS)}
    assert (after["color"] != before["color"]).any()
    moved = after[["speed", "color", "doors"]] != before[["speed", "color", "doors"]]
    assert (moved.sum(axis=1) <= 1).all()


@pytest.mark.parametrize(("kind", "method"), METHODS)
@pytest.mark.parametrize("steps", [{}, {"speed": 7, "doors": 1}], ids=["free", "grid"])
def test_advice_never_leaves_the_permitted_range(kind, method, steps):
    bounds = {"speed": (81.3, 177.7), "doors": (3, 5)}
    result = solve(kind, method, ActionSet(bounds=bounds, steps=steps))
    for name, (low, high) in bounds.items():
        own, new = result.X[name], result.points[name]
        moved = new[new != own]
        # Who stands outside may come nearer; nobody goes beyond a limit, not by rounding either.
        assert (moved >= np.minimum(low, own[moved.index])).all()
        assert (moved <= np.maximum(high, own[moved.index])).all()
        assert len(moved) > 0 or name == "doors"
        if name in steps:
            assert (moved % steps[name] == 0).all()


def test_the_limit_itself_is_reached_exactly():
    X = np.linspace(0, 1, 30)[:, None] * [1 / 3, 0.7]
    model = LogisticRegression(C=1e4).fit(X, X[:, 0] > 0.3)
    rules = ActionSet(bounds={0: (0.1, 0.333), 1: (0.2, 0.71)})
    result = RecourseSolver(rules, target=True).solve(model, X, background=X)
    for column, high in ((0, 0.333), (1, 0.71)):
        moved = result.points[:, column] != X[:, column]
        assert (result.points[moved, column] <= high).all()
    assert (result.points == [0.333, 0.71]).any()


def test_exact_methods_need_no_licence_and_no_second_solver(tmp_path):
    """Every exact method in a process where only HiGHS and Clarabel can be imported."""
    code = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    names = {"osqp", "scs", "ecos", "mosek", "gurobipy", "cplex", "cylp", "cvxopt", "glpk",
             "xpress", "pyscipopt", "copt", "coptpy", "mip", "ortools", "piqp", "proxsuite"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)

sys.meta_path.insert(0, Missing())
import numpy as np
from sklearn.linear_model import LogisticRegression
from skcfq import ActionSet, RecourseSolver
import cvxpy
assert {"HIGHS", "CLARABEL"} <= set(cvxpy.installed_solvers())
assert not {"OSQP", "SCS", "GUROBI", "MOSEK"} & set(cvxpy.installed_solvers())
rng = np.random.RandomState(0)
X = rng.rand(20, 3)
model = LogisticRegression().fit(X, X.sum(axis=1) > 1.7)
whole = {"steps": {0: 0.1}}
for method, cost, rules in [("exact", "l1", whole), ("exact", "l2", whole), ("lp", "l1", {}),
                            ("qp", "l2", {}), ("qp", "mixed", {}), ("milp", "l1", whole),
                            ("milp", "l2", whole), ("milp", "mixed", whole)]:
    rules = ActionSet(bounds=dict.fromkeys(range(3), (0, 2)), **rules)
    result = RecourseSolver(rules, target=True, cost=cost, method=method).solve(
        model, X[:5], background=X)
    assert set(result.status[result.denied]) == {"optimal"}, (method, cost, result)
print("all", sorted(m for m in sys.modules if m in Missing.names))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all []"
    # The control: what was hidden there is there.
    assert find_spec("scs") is not None or find_spec("osqp") is not None
