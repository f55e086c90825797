"""Tables of hundreds of columns: memory is bounded, and few changes among many are found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from wide_tables import assert_small, make_blocks_small, planted, refused

from skcfq import ActionSet, CFQClassifier, PTQClassifier, RecourseSolver
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor
from skcfq.solvers.problems import RecourseProblem
from skcfq.solvers.search._beam import _changed_features, _moved_features
from skcfq.solvers.search._neighborhood import expand
from skcfq.solvers.search._thinning import FEW, thin
from skcfq.utils import _blocks


@pytest.fixture
def small_blocks(monkeypatch):
    make_blocks_small(monkeypatch)


@pytest.mark.parametrize("method", ["auto", "gradient", "black_box"])
def test_three_changes_among_two_thousand_columns_are_found_and_are_the_cheapest(method):
    network, linear, X = planted()
    people = refused(network, X)
    rules = ActionSet(max_changes=3)
    exact = RecourseSolver(rules, target=1, margin=0.0).solve(linear, people, background=X)
    assert set(exact.status) == {"optimal"}
    found = RecourseSolver(rules, method=method, target=1, margin=0.0, random_state=0).solve(
        network, people, background=X
    )
    assert set(found.status) == {"feasible"}
    assert (found.changed.sum(axis=1) <= 3).all()
    np.testing.assert_allclose(found.cost, exact.cost, rtol=1e-5)


def test_a_quantized_network_of_two_thousand_columns_is_advised_with_three_changes():
    network, linear, X = planted()
    y = network.predict(X)
    quantized = PTQClassifier(budget=8, teacher=FrozenEstimator(network), random_state=0).fit(X, y)
    people = refused(quantized, X)
    rules = ActionSet(max_changes=3)
    exact = RecourseSolver(rules, target=1, margin=0.2).solve(linear, people, background=X)
    # A little beyond the boundary of the linear model its rounding does not matter.
    assert (quantized.predict(exact.points) == 1).all()
    found = RecourseSolver(rules, target=1, random_state=0).solve(quantized, people)
    assert set(found.status) == {"feasible"}
    assert (found.changed.sum(axis=1) <= 3).all()
    assert (found.cost <= exact.cost * (1 + 1e-9)).all()


@pytest.mark.parametrize(
    ("method", "numpy"),
    [
        ("gradient", True),
        ("black_box", False),
        pytest.param("black_box", True, marks=pytest.mark.slow),
    ],
)
def test_no_tensor_of_a_wide_solve_is_large(method, numpy, small_blocks):
    network, _, X = planted(400)
    people = refused(network, X, 40)
    solver = RecourseSolver(method=method, target=1, random_state=0)
    assert_small(
        lambda: solver.solve(network, people, background=X),
        lambda: solver.solve(network, people[:1], background=X),
        numpy=numpy,
    )


@pytest.mark.parametrize("numpy", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_no_tensor_of_a_wide_fit_is_large(numpy, small_blocks):
    _, _, X = planted(400)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    clf = CFQClassifier(budget=4, hidden_layer_sizes=(16,), max_iter=1, random_state=0)
    assert_small(lambda: clf.fit(X, y), lambda: clone(clf).fit(X[:40, :3], y[:40]), numpy=numpy)


@pytest.mark.parametrize("rules", [{}, {"max_changes": 3}])
def test_answers_do_not_depend_on_how_blocks_are_cut(rules, monkeypatch):
    network, _, X = planted(400)
    people = refused(network, X, 5)
    solver = RecourseSolver(ActionSet(**rules), target=1, random_state=0)
    whole = solver.solve(network, people, background=X)
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 7 * 8 * 400)
    monkeypatch.setattr(_blocks, "MOST_BYTES", 2 * 64 * 8 * 400)
    cut = solver.solve(network, people, background=X)
    alone = solver.set_params(batch_size=1).solve(network, people, background=X)
    for other in (cut, alone):
        np.testing.assert_array_equal(other.cost, whole.cost)
        np.testing.assert_array_equal(other.points, whole.points)


def make_problem(rules: ActionSet) -> RecourseProblem:
    network, _, X = planted(150)
    predictor = as_predictor(network, background=X)
    compiled = rules.compile(predictor.space)
    people = refused(network, X, 4)
    target = torch.ones(len(people), dtype=torch.int64)
    region = region_of(compiled, people)
    return RecourseProblem(predictor, region, compile_cost(compiled), target, 0.0)


def test_what_moves_change_is_counted_without_writing_them_down():
    problem = make_problem(ActionSet(max_changes=2))
    once = expand(problem, problem.own_states())
    twice = expand(problem, once.states())
    assert len(twice)
    states = twice.states()
    again = problem.states(states.person, states.values, states.levels)
    assert torch.equal(again.cost, twice.cost)
    assert torch.equal(again.slack, twice.slack)
    changed = problem.changed(states.person, states.values, states.levels)
    assert (changed.sum(dim=1) <= 2).all()
    assert torch.equal(_moved_features(problem, twice), _changed_features(problem, states))


@pytest.mark.parametrize("gradients", [True, False])
def test_hundreds_of_changes_become_few_and_stay_valid(gradients):
    problem = make_problem(ActionSet())
    if not gradients:
        problem = problem.without_gradients()
    people = torch.arange(problem.n_people)
    slope = problem.predictor.head(torch.eye(150).double())[:, 1]
    slope = slope - problem.predictor.head(torch.zeros(1, 150).double())[:, 1]
    end = torch.where(slope > 0, problem.region.upper, problem.region.lower)
    states = problem.states(people, end, problem.levels)
    assert states.valid.all()
    thinner = thin(problem, states)
    assert thinner.valid.all()
    assert (thinner.cost <= states.cost).all()
    changed = problem.changed(people, thinner.values, thinner.levels).sum(dim=1)
    assert (changed <= FEW).all()
