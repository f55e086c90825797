"""What the beam keeps and drops, and what an exchange of changes finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, TableEncoder
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor
from skcfq.solvers.problems import RecourseProblem, States
from skcfq.solvers.search._beam import _survivors
from skcfq.solvers.search._exchange import exchange


def states_of(person, cost, slack) -> States:
    n = len(person)
    values = torch.arange(n, dtype=torch.float64)[:, None]
    levels = torch.zeros((n, 0), dtype=torch.int64)
    numbers = (torch.tensor(part, dtype=torch.float64) for part in (cost, slack))
    return States(torch.tensor(person), values, levels, *numbers)


def survivors(states, *, rate, cheapest, width) -> list[float]:
    tensors = (torch.tensor(part, dtype=torch.float64) for part in (rate, cheapest))
    return _survivors(states, *tensors, width).values[:, 0].tolist()


def test_the_beam_keeps_the_best_outlooks_of_each_person():
    # Outlooks, at one unit of margin for one of cost: 5, 3, 4 and 9, 2.
    states = states_of([0, 0, 0, 1, 1], [1, 2, 3, 4, 1], [-4, -1, -1, -5, -1])
    given = {"rate": [1.0, 1.0], "cheapest": [np.inf, np.inf]}
    assert survivors(states, **given, width=1) == [1.0, 4.0]
    assert survivors(states, **given, width=2) == [1.0, 2.0, 4.0, 3.0]


def test_the_beam_drops_what_cannot_beat_the_cheapest_point():
    states = states_of([0, 0, 1, 1], [1, 2, 4, 1], [-4, -1, -5, -1])
    assert survivors(states, rate=[1.0, 1.0], cheapest=[5.0, 2.5], width=9) == [1.0, 3.0]
    # Who has seen no gain at all has no outlook.
    assert survivors(states, rate=[0.0, 1.0], cheapest=[np.inf, 9.0], width=9) == [3.0]


def test_the_beam_is_not_filled_with_one_point_that_several_orders_reach():
    states = states_of([0, 0, 0, 1], [1, 1, 2, 1], [-1, -1, -1, -1])
    given = {"rate": [1.0, 1.0], "cheapest": [np.inf, np.inf]}
    assert survivors(states, **given, width=2) == [0.0, 2.0, 3.0]


def make_problem(weights: dict) -> RecourseProblem:
    """Return one person who needs a margin of 1: each unit of a number gives 1, and blue 1.1."""
    X = pd.DataFrame({"a": [0.0, 2.0] * 8, "b": [0.0, 0.0, 2.0, 2.0] * 4, "color": "blue"})
    X.loc[::2, "color"] = "red"
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(X, X["a"] > 1)
    space = as_predictor(model, background=X).space
    person = X.head(1)
    ends = pd.concat(
        [person.assign(a=1.0), person.assign(b=1.0), person.assign(color="blue")],
    )
    moves = space.encode(ends) - space.encode(person)
    model[-1].coef_ = np.linalg.lstsq(moves, np.array([1.0, 1.0, 1.1]), rcond=None)[0][None, :]
    model[-1].intercept_ = -1.0 - space.encode(person) @ model[-1].coef_[0]
    predictor = as_predictor(model, background=X)
    actions = ActionSet().compile(predictor.space)
    # A number's weight is a price of an encoded unit.
    prices = {"a": weights["a"] / moves[0, 0], "b": weights["b"] / moves[1, 1]}
    cost = compile_cost(actions, cost_weights=prices | {"color": weights["color"]})
    target = torch.ones(1, dtype=torch.int64)
    return RecourseProblem(predictor, region_of(actions, person), cost, target, 0.0)


def test_an_added_change_spares_two_dearer_ones():
    """Trading one change for another leaves the second one where it is."""
    problem = make_problem({"a": 2.0, "b": 2.0, "color": 0.9})
    values = problem.values + 0.51 / 2 * (problem.region.upper - problem.region.lower)
    start = problem.states(torch.tensor([0]), values, problem.levels)
    assert start.valid.all()
    assert float(start.cost) == pytest.approx(2.04)
    found = exchange(problem, start)
    assert torch.equal(found.values, problem.values)
    assert float(found.cost) == pytest.approx(0.9)
