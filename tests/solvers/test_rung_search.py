"""A line search along one number with a grid ends at the rung where validity begins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, TableEncoder
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor
from skcfq.solvers.problems import RecourseProblem
from skcfq.solvers.search._rung_search import search_numbers


def make_problem(last, own, **rules) -> RecourseProblem:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": rng.integers(0, 900, 300), "b": rng.normal(size=300)})
    predictor = as_predictor(
        make_pipeline(TableEncoder(), last).fit(X, X.a + 90 * X.b > 700), background=X
    )
    people = pd.DataFrame({"a": own, "b": np.linspace(-1, 1, len(own))})
    actions = ActionSet(bounds={"a": (0, 1000)}, **rules).compile(predictor.space)
    target = torch.ones(len(own), dtype=torch.int64)
    return RecourseProblem(
        predictor, region_of(actions, people), compile_cost(actions), target, 0.0
    )


def highest(problem):
    """Return everybody at the upper end of the grid."""
    values = problem.values.clone()
    values[:, 0] = problem.region.upper[:, 0]
    person = torch.arange(problem.n_people)
    return problem.states(person, problem.snap(person, values), problem.levels)


@pytest.mark.parametrize("step", [1, 7, 300])
@pytest.mark.parametrize(
    "last",
    [
        LogisticRegression(max_iter=500),
        MLPClassifier((8,), learning_rate_init=0.01, tol=1, n_iter_no_change=60, random_state=0),
    ],
    ids=["linear", "network"],
)
def test_the_cheapest_valid_rung_is_found(last, step, monkeypatch):
    # Own values lie off the grid too.
    problem = make_problem(last, [0, 20, 33.5, 250], steps={"a": step})
    start, rungs = highest(problem), problem.region.grids[0]
    assert start.valid.all()
    asked = []
    ask = problem.states
    monkeypatch.setattr(problem, "states", lambda *what: asked.append(0) or ask(*what))
    found = search_numbers(problem, start, problem.values)
    for person in range(problem.n_people):
        above = rungs[rungs > problem.values[person, 0]]
        values = problem.values[person].repeat(len(above), 1)
        values[:, 0] = above
        here = torch.full((len(above),), person)
        every = ask(here, values, problem.levels[here])
        assert found.cost[person] == every.cost[every.valid].min()
        assert found.values[person, 0] in above
    if isinstance(last, LogisticRegression):
        # The goals, and once or twice two rungs around where a secant says that validity begins.
        assert len(asked) <= 3


def test_steps_of_a_margin_are_searched_in_few_calls(monkeypatch):
    problem = make_problem(LogisticRegression(max_iter=500), [0, 20, 33.5, 250], steps={"a": 1})
    expected = search_numbers(problem, highest(problem), problem.values)
    asked, ask = [], problem.states

    def states(*what):
        asked.append(0)
        smooth = ask(*what)
        return replace(smooth, slack=torch.where(smooth.valid, 1.0, -1.0).double())

    monkeypatch.setattr(problem, "states", states)
    start = highest(problem)
    asked.clear()
    found = search_numbers(problem, start, problem.values)
    assert torch.equal(found.values, expected.values)
    # The goals and two secants; then 1,000 rungs are divided by seven each time.
    assert len(asked) <= 3 + 4


def test_who_needs_no_change_goes_all_the_way_back_and_who_cannot_move_stays():
    problem = make_problem(LogisticRegression(max_iter=500), [900, 5.0], steps={"a": 1000})
    found = search_numbers(problem, highest(problem), problem.values)
    assert found.cost[0] == 0
    assert torch.equal(found.values[1], highest(problem).values[1])
    nothing = highest(problem).take(torch.arange(0))
    assert len(search_numbers(problem, nothing, nothing.values)) == 0


def test_numbers_without_a_grid_and_smallest_changes_are_searched_too():
    own = [0, 20, 250]
    problem = make_problem(
        LogisticRegression(max_iter=500), own, steps={"a": 1}, min_change={"a": 990}
    )
    least = search_numbers(problem, highest(problem), problem.values)
    moved = problem.region.min_change[:, 0] <= (least.values - problem.values)[:, 0] + 1e-9
    assert moved[0]
    free = make_problem(LogisticRegression(max_iter=500), own, steps={"a": 0})
    found = search_numbers(free, highest(free), free.values)
    assert found.valid.all()
    assert (found.slack < 1e-6).all()
