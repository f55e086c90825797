"""What makes the multistart search fast leaves out nothing that plainer computations find."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skcfq import ActionSet
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor
from skcfq.solvers.problems import RecourseProblem, States
from skcfq.solvers.search import _line_search
from skcfq.solvers.search._descent import revert, shrink
from skcfq.solvers.search._line_search import line_search
from skcfq.solvers.search._neighborhood import cross, push
from skcfq.solvers.search._polish import distinct, polish


def make_problem(kind: str, norm: str = "l1", seed: int = 0, **rules) -> RecourseProblem:
    rng = np.random.RandomState(seed)
    X = np.clip(rng.randn(400, 5), -1.5, 1.5)
    y = (X @ rng.randn(5) + np.sin(3 * X[:, 0]) > 0.8).astype(int)
    model = LogisticRegression()
    if kind == "network":
        # A large tolerance ends the training without a convergence warning.
        model = MLPClassifier((16, 16), max_iter=200, random_state=0, tol=1.0, n_iter_no_change=40)
    model.fit(X, y)
    predictor = as_predictor(model, background=X)
    compiled = ActionSet(bounds=dict.fromkeys(range(5), (-1.5, 1.5)), **rules).compile(
        predictor.space
    )
    people = X[model.predict(X) == 0][:40]
    target = torch.ones(len(people), dtype=torch.int64)
    cost = compile_cost(compiled, cost=norm)
    return RecourseProblem(predictor, region_of(compiled, people), cost, target, 0.0)


def valid_points(problem: RecourseProblem, per_person: int = 30, seed: int = 0) -> States:
    rng = np.random.RandomState(seed)
    person = torch.arange(problem.n_people).repeat_interleave(per_person)
    values = torch.from_numpy(rng.uniform(-1.5, 1.5, (len(person), 5)))
    # Some features stay, so that there is something to move.
    values = torch.where(torch.from_numpy(rng.rand(len(person), 5) < 0.5), values, 0.0)
    own = problem.values[person]
    values = problem.snap(person, torch.where(values == 0, own, values))
    states = problem.states(person, values, problem.levels[person])
    return states.take(states.valid)


@pytest.mark.parametrize("rules", [{}, {"steps": {0: 0.25, 3: 0.5}}])
def test_the_line_search_ends_where_a_bisection_ends_on_a_linear_model(rules):
    problem = make_problem("linear", **rules)
    states = valid_points(problem)
    # One number goes home: then validity ends only once on the way, on a grid too.
    rows, column = torch.arange(len(states)), torch.arange(len(states)) % 5
    goal = states.values.clone()
    goal[rows, column] = problem.values[states.person, column]
    found = line_search(problem, states, goal)
    low, high = torch.zeros(len(states)).double(), torch.ones(len(states)).double()
    for _ in range(50):
        middle = (low + high) / 2
        values = problem.snap(states.person, goal + middle.unsqueeze(1) * (states.values - goal))
        valid = problem.states(states.person, values, states.levels).valid
        high, low = torch.where(valid, middle, high), torch.where(valid, low, middle)
    values = problem.snap(states.person, goal + high.unsqueeze(1) * (states.values - goal))
    plain = problem.cost(states.person, values, states.levels)
    assert found.valid.all()
    torch.testing.assert_close(found.cost, plain, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("near", [1e-8, 1e-3])
def test_the_line_search_stays_valid_and_is_never_dearer(norm, near):
    problem = make_problem("network", norm)
    states = valid_points(problem)
    found = line_search(problem, states, problem.values[states.person], near=near)
    again = problem.states(found.person, found.values, found.levels)
    assert (again.slack > -1e-12).all()
    torch.testing.assert_close(again.cost, found.cost)
    assert (found.cost <= states.cost).all()
    assert (found.cost < states.cost).any()


def test_crossing_on_a_linear_model_finds_the_cheapest_single_move():
    """With one slope, the cheapest crossing by one feature is known in closed form."""
    problem = make_problem("linear")
    own = problem.own_states()
    nothing_held = torch.full((len(own),), -1)
    children = cross(problem, own, keep=nothing_held, limit=torch.full((len(own),), 1e6).double())
    coef = problem.predictor.linear[0]
    slope = (coef[1] - coef[0]).double()
    needed = -own.slack.unsqueeze(1) / slope
    place = own.values + needed
    cost = (problem.numeric_weights * needed.abs()).masked_fill(place.abs() > 1.5, torch.inf)
    assert torch.isfinite(cost).any()
    for i in range(len(own)):
        mine = children.valid & (children.parent == i)
        best = children.estimate[mine].min() if bool(mine.any()) else torch.inf
        assert float(best) == pytest.approx(float(cost[i].min()), rel=1e-6)


@pytest.mark.parametrize("kind", ["linear", "network"])
def test_crossing_holds_what_is_kept_and_keeps_what_is_valid(kind):
    problem = make_problem(kind)
    states = States.concatenate([valid_points(problem, 2), problem.own_states()])
    keep = torch.arange(len(states)) % 5
    limit = torch.full((len(states),), 3.0, dtype=torch.float64)
    children = cross(problem, states, keep=keep, limit=limit)
    rows = torch.arange(len(children.parent))
    held = keep[children.parent]
    before = states.values[children.parent]
    assert torch.equal(children.states().values[rows, held], before[rows, held])
    assert ((children.states().values != before).sum(dim=1) <= 1).all()
    assert set(states.valid.nonzero().flatten().tolist()) <= set(children.parent.tolist())


def test_pushing_stays_below_its_limit_and_only_gains_margin_on_a_linear_model():
    problem = make_problem("linear")
    states = valid_points(problem, 5)
    limit = states.cost + 0.5
    children = push(problem, states, limit)
    assert len(children.parent)
    assert (children.cost < limit[children.parent]).all()
    assert (children.slack > states.slack[children.parent]).all()


def test_copies_are_left_out_and_the_cheapest_stays():
    problem = make_problem("network")
    states = valid_points(problem, 6)
    copies = States.concatenate([states, states.take(torch.arange(len(states)).flip(0))])
    assert len(distinct(problem, states)) == len(states)
    kept = copies.take(distinct(problem, copies))
    assert len(kept) == len(states)
    key = torch.cat([states.person.unsqueeze(1), states.values], dim=1).unique(dim=0)
    assert torch.equal(torch.cat([kept.person.unsqueeze(1), kept.values], 1).unique(dim=0), key)
    assert distinct(problem, states.take(torch.arange(0))).tolist() == []


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("thorough", [False, True])
def test_polish_gives_every_person_a_valid_point_that_is_never_dearer(norm, thorough):
    problem = make_problem("network", norm)
    states = valid_points(problem, 8)
    found = polish(problem, states, thorough=thorough)
    # Asked once more, in another batch, a point on the boundary may fall short by rounding.
    assert (problem.states(found.person, found.values, found.levels).slack > -1e-12).all()

    def cheapest(points: States) -> torch.Tensor:
        worst = torch.full((problem.n_people,), torch.inf, dtype=torch.float64)
        return worst.scatter_reduce(0, points.person, points.cost, "amin")

    assert (cheapest(found) <= cheapest(states)).all()
    assert (cheapest(found) < cheapest(states) * 0.9).any()


def test_nothing_more_can_be_taken_back_on_a_linear_model():
    problem = make_problem("linear")
    states = revert(problem, valid_points(problem))
    for j in range(5):
        values = states.values.clone()
        values[:, j] = problem.values[states.person, j]
        undone = problem.states(states.person, values, states.levels)
        moved = states.values[:, j] != values[:, j]
        assert not (undone.valid & moved & (undone.cost < states.cost)).any()


def test_shrinking_many_points_is_shrinking_each():
    problem = make_problem("network")
    states = valid_points(problem, 3)
    together = shrink(problem, states)
    alone = [shrink(problem, states.take(torch.tensor([i]))) for i in range(len(states))]
    torch.testing.assert_close(together.cost, States.concatenate(alone).cost, rtol=1e-7, atol=0)


def test_hardly_any_places_are_asked_where_nothing_is_left_to_gain(monkeypatch):
    problem = make_problem("network")
    states = valid_points(problem)
    states = line_search(problem, states, problem.values[states.person])
    asked = []
    plain = RecourseProblem.states
    monkeypatch.setattr(
        RecourseProblem,
        "states",
        lambda self, person, *rest: asked.append(len(person)) or plain(self, person, *rest),
    )
    goal = states.values + 1e-12
    line_search(problem, states, goal)
    assert len(asked) <= 1 < _line_search._CUTS
