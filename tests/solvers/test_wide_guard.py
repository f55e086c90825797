"""On wide tables nothing that proves, compares, scores or certifies makes large arrays."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from wide_tables import assert_small, make_blocks_small, planted, refused

from skcfq import ActionSet, PTQClassifier, RecourseSolver
from skcfq.metrics import crg_scorer, vd_scorer
from skcfq.models import deployment_variants
from skcfq.proofs import NetworkSearch, _branching
from skcfq.theory import certified_difference, certify, robustness
from skcfq.utils import _blocks

WIDTH = 500


@pytest.fixture
def small_blocks(monkeypatch):
    make_blocks_small(monkeypatch)


def stepped(n_columns: int = WIDTH, step: float = 0.5, **rules) -> ActionSet:
    return ActionSet(steps=dict.fromkeys(range(n_columns), step), **rules)


def quantized(network, X):
    clf = PTQClassifier(budget=4, teacher=FrozenEstimator(network), random_state=0)
    return clf.fit(X, network.predict(X))


# Searches are torch's work: what numpy holds meanwhile is looked at where there is time.
WITH_NUMPY = pytest.mark.parametrize(
    "numpy", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["torch", "all"]
)


def assert_small_solve(solver, model, people, together=1, numpy=True, **told) -> None:
    assert_small(
        lambda: solver.solve(model, people, **told),
        lambda: solver.solve(model, people[:1], **told),
        together,
        numpy,
    )


def test_a_person_has_few_boxes_at_once_where_they_are_wide(monkeypatch):
    network, _, X = planted(40)
    people = refused(network, X, 6)
    solver = RecourseSolver(stepped(40), method="exact", target=1, max_nodes=400)
    plain, divide, seen = solver.solve(network, people, background=X), NetworkSearch.divide, []

    def noted(search, boxes, best):
        seen.append(np.bincount(boxes.person).max())
        return divide(search, boxes, best)

    monkeypatch.setattr(NetworkSearch, "divide", noted)
    again = solver.solve(network, people, background=X)
    many, seen[:] = max(seen), []
    monkeypatch.setattr(_branching, "rows_in_memory", lambda width: 12)
    few = solver.solve(network, people, background=X)
    assert max(seen) <= 12 < many
    proved = (plain.status == "optimal") & (few.status == "optimal")
    assert proved.any()
    np.testing.assert_allclose(few.cost[proved], plain.cost[proved], rtol=1e-8)
    np.testing.assert_array_equal(again.cost, plain.cost)


# A proof has several arrays of one size: both ends of boxes, and what is made of them.
@pytest.mark.parametrize("kind", ["network", pytest.param("quantized", marks=pytest.mark.slow)])
def test_proofs_on_networks(kind, small_blocks):
    network, _, X = planted(WIDTH)
    model = network if kind == "network" else quantized(network, X)
    solver = RecourseSolver(stepped(), method="exact", target=1, max_nodes=100, random_state=0)
    assert_small_solve(solver, model, refused(model, X, 40), together=4, background=X)


@pytest.mark.parametrize("kind", ["boosted", "one tree"])
def test_proofs_on_trees(kind, small_blocks):
    _, linear, X = planted(WIDTH)
    y = linear.predict(X)
    model = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(X, y)
    if kind == "one tree":
        noise = np.random.RandomState(0).rand(len(y)) < 0.3
        model = DecisionTreeClassifier(random_state=0).fit(X, y ^ noise)
    solver = RecourseSolver(method="exact", target=1, max_nodes=500)
    assert_small_solve(solver, model, refused(model, X, 40), together=2, background=X)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"max_changes": 3},
        pytest.param({"steps": dict.fromkeys(range(WIDTH), 0.5)}, marks=pytest.mark.slow),
        {"cost": "l2", "max_changes": 3},
    ],
    ids=["plain", "few changes", "steps", "squares"],
)
def test_linear_models(rules, small_blocks):
    _, linear, X = planted(WIDTH)
    people = np.repeat(refused(linear, X, 30), 4, axis=0)
    # What is proved of hard people is cut short.
    solver = RecourseSolver(ActionSet(**rules), target=1, method="exact", time_limit=0.02)
    assert_small_solve(solver, linear, people, together=4, background=X)


def test_linear_models_with_rules_across_features(small_blocks):
    _, linear, X = planted(WIDTH)
    table = pd.DataFrame(X, columns=[f"n{j}" for j in range(WIDTH)])
    model = LogisticRegression().fit(table, linear.predict(X))
    people = table[model.predict(table) == 0].head(10)
    rules = ActionSet(constraints=["change(n0) + change(n1) <= 0.4", "n2 <= n3 + 3"])
    assert_small_solve(RecourseSolver(rules, target=1), model, people, background=table)


@WITH_NUMPY
@pytest.mark.parametrize("kind", ["weights", "variants of a linear model", "variants", "jitter"])
def test_robust_advice(kind, numpy, small_blocks):
    network, linear, X = planted(WIDTH)
    told = {"background": X}
    if kind in ("weights", "variants of a linear model"):
        model, solver = linear, RecourseSolver(target=1)
    else:
        model = quantized(network, X)
        solver = RecourseSolver(method="gradient", target=1, random_state=0)
    if kind == "weights":
        solver.set_params(weight_radius=1e-4)
    elif kind == "jitter":
        solver.set_params(perturbation_radius=0.01)
    else:
        bits = 8 if model is linear else None
        drawn = deployment_variants(model, 2, kinds="rounding", bits=bits, random_state=0, **told)
        told["variants"] = drawn
    numpy |= model is linear
    assert_small_solve(solver, model, refused(model, X, 10), together=2, numpy=numpy, **told)


@WITH_NUMPY
@pytest.mark.slow
def test_comparisons_and_scores(numpy, small_blocks):
    network, _, X = planted(WIDTH)
    student = quantized(network, X)
    people = refused(student, X, 5)
    solver = RecourseSolver(method="gradient", target=1, random_state=0)
    assert_small(
        lambda: solver.compare(network, student, people, background=X),
        lambda: solver.compare(network, student, people[:1], background=X),
        numpy=numpy,
    )
    y = network.predict(X)
    for scorer in (vd_scorer, crg_scorer):
        score = clone(scorer).set_params(solver=solver, max_people=5, background=X)
        assert_small(
            lambda s=score: s(student, X, y),
            lambda s=score: s(student, X[:9], y[:9]),
            numpy=numpy,
        )


@WITH_NUMPY
@pytest.mark.slow
def test_several_actions_and_menus(numpy, small_blocks):
    network, linear, X = planted(WIDTH)
    solver = RecourseSolver(method="gradient", target=1, n_alternatives=2, random_state=0)
    assert_small_solve(solver, network, refused(network, X, 10), numpy=numpy, background=X)
    person = refused(linear, X, 1)
    solver = RecourseSolver(target=1)
    assert_small(
        lambda: solver.menu(linear, person, max_levers=1, background=X),
        lambda: solver.solve(linear, person, background=X),
        together=2,
    )


def test_certificates_and_boxes(small_blocks):
    network, _, X = planted(WIDTH)
    student = quantized(network, X)
    people = refused(network, X, 10)
    told = {"background": X}
    result = RecourseSolver(method="gradient", target=1, random_state=0).solve(
        network, people, **told
    )

    def work(n: int) -> None:
        certify(result, network, student, radius=0.01, **told)
        for model in (network, student):
            robustness(model, X[:n], radius=0.05, target=1, max_boxes=2000, **told)
        certified_difference(network, student, X[:n], radius=0.05, target=1, **told)

    assert_small(lambda: work(60), lambda: work(1), together=4)


def cases_cut_apart():
    """Return solvers of tables that blocks of little memory cut in many parts."""
    network, linear, X = planted(60)
    trees = GradientBoostingClassifier(n_estimators=10, random_state=0).fit(X, linear.predict(X))
    exact = RecourseSolver(stepped(60), method="exact", target=1, max_nodes=200)
    few = RecourseSolver(stepped(60, 1.0, max_changes=3), method="exact", target=1, max_nodes=200)
    return X, [(exact, network), (few, network), (exact, trees), (few, linear)]


@pytest.mark.parametrize("which", range(4), ids=["network", "few changes", "trees", "linear"])
def test_proofs_do_not_depend_on_how_blocks_are_cut(which, monkeypatch):
    X, cases = cases_cut_apart()
    solver, model = cases[which]
    people = refused(model, X, 20)
    whole = solver.solve(model, people, background=X)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 8 * 60)
    monkeypatch.setattr(_blocks, "MOST_BYTES", 40 * 8 * 60)
    monkeypatch.setattr(_blocks, "_WAITING", 10**6)
    # People are solved together, as without blocks.
    cut = solver.set_params(batch_size=20).solve(model, people, background=X)
    np.testing.assert_array_equal(cut.status, whole.status)
    np.testing.assert_array_equal(cut.points, whole.points)
    np.testing.assert_array_equal(cut.lower_bound, whole.lower_bound)


def test_a_proof_whose_boxes_would_take_too_much_memory_is_given_up(monkeypatch):
    network, _, X = planted(60)
    people = refused(network, X, 3)
    solver = RecourseSolver(stepped(60), method="exact", target=1, max_nodes=5000)
    monkeypatch.setattr(_blocks, "MOST_BYTES", 2 * 8 * 60)
    found = solver.solve(network, people, background=X)
    assert not (found.status == "optimal").all()
    assert (found.lower_bound <= found.cost).all()
