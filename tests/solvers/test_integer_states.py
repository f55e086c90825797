"""Integer networks at states, by what they change, against points that are written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skcfq import ActionSet, PTQClassifier, TeacherClassifier
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor, validity_slack
from skcfq.solvers.problems import RecourseProblem
from skcfq.solvers.search._code_search import search_codes
from skcfq.solvers.search._rung_search import search_numbers

pytestmark = pytest.mark.usefixtures("short_teachers")

# Radii at which hardly any column has two codes, several have, and nearly all.
RADII = (1e-3, 0.02, 0.2)
N_PEOPLE, N_STATES = 30, 400


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    numbers = {f"n{j}": 2.0**j * rng.randn(400) for j in range(14)}
    return pd.DataFrame(
        {**numbers, "town": rng.choice(list("abcdef"), 400), "sex": rng.choice(list("fm"), 400)}
    )


@pytest.fixture(scope="module")
def predictors(table):
    y = (
        table["n0"] + table["n1"] / 2 + (table["town"] > "c") + 0.5 * (table["sex"] == "f") > 1
    ).astype(int)
    teacher = TeacherClassifier((9, 6), max_iter=15, batch_size=32, random_state=0).fit(table, y)
    found = []
    for bits in (4, 8):
        model = PTQClassifier(bits, teacher=teacher, random_state=0).fit(table, y)
        found.append(as_predictor(model, space=as_predictor(teacher, background=table).space))
    return found


def problem_of(predictors, table, **settings):
    rows = table.head(N_PEOPLE).copy()
    rows.loc[3, "town"] = "nowhere"
    actions = ActionSet(immutable=["n3"]).compile(predictors[0].space)
    target = torch.arange(N_PEOPLE) % 2
    first, *others = predictors
    region, cost = region_of(actions, rows), compile_cost(actions)
    return RecourseProblem(first, region, cost, target, 0.01, others, **settings)


def some_states(problem, n=N_STATES):
    draw = torch.Generator().manual_seed(0)
    person = torch.randint(N_PEOPLE, (n,), generator=draw)
    person[0] = 3
    values, levels = problem.values[person], problem.levels[person]
    for _ in range(2):
        j = torch.randint(values.shape[1], (n,), generator=draw)
        values[torch.arange(n), j] += torch.randn(n, generator=draw, dtype=torch.float64)
    moved = torch.rand(n, generator=draw) < 0.5
    moved[0] = False
    levels[moved, 0] = torch.randint(6, (n,), generator=draw)[moved]
    assert (levels < 0).any()
    return person, values, levels


@pytest.mark.parametrize("count", [1, 2])
def test_slacks_are_those_of_points_bit_for_bit(count, predictors, table):
    problem = problem_of(predictors[:count], table)
    person, values, levels = some_states(problem)
    assert problem._integer_states is not None
    points = problem.assemble(person, values, levels)
    expected = [
        validity_slack(one.logits(points).detach(), problem.target[person], problem.margin[person])
        for one in predictors[:count]
    ]
    assert torch.equal(problem.states(person, values, levels).slack, torch.stack(expected).amin(0))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("radius", RADII)
def test_what_is_valid_has_the_slack_of_its_worst_corner(radius, count, predictors, table):
    problem = problem_of(predictors[:count], table, perturbation_radius=radius, steady=True)
    person, values, levels = some_states(problem)
    slack = problem.states(person, values, levels).slack
    points = problem.assemble(person, values, levels)
    plain, worst = problem._slack(points, person), problem.worst_slack(points, person)
    assert torch.equal(slack, torch.where(plain >= 0, worst, plain))
    assert ((plain >= 0) & (worst < 0)).any() or radius == RADII[0]


def test_a_state_has_one_slack_alone_and_in_a_part(predictors, table):
    problem = problem_of(predictors, table, perturbation_radius=0.05, steady=True)
    person, values, levels = some_states(problem)
    together = problem.states(person, values, levels).slack
    for i in range(0, N_STATES, 23):
        here = slice(i, i + 1)
        part = problem.take(person[here])
        alone = part.states(torch.zeros(1).long(), values[here], levels[here]).slack
        assert alone[0] == together[i]


def test_what_follows_from_moves_is_written_out(predictors, table):
    actions = ActionSet(immutable=["n3"], implied={"n3": {"n0": 1.0}}).compile(predictors[0].space)
    region, target = region_of(actions, table.head(2)), torch.ones(2).long()
    problem = RecourseProblem(predictors[0], region, compile_cost(actions), target, 0.0)
    assert problem._integer_states is None


@pytest.mark.parametrize("steady", [False, True])
def test_a_line_ends_at_the_cheapest_code_that_is_valid(steady, predictors, table):
    # So small that all corners are tried: of more, a sample need not hold what one of fewer does.
    problem = problem_of(predictors[:1], table, perturbation_radius=1e-4, steady=steady)
    person, values, levels = some_states(problem, 500)
    side = torch.where(torch.arange(len(person)) % 2 == 0, 3.0, -3.0)
    values[:, 0] = problem.values[person, 0] + side
    states = problem.states(person, values, levels)
    states = states.take(states.valid)
    goal = states.values.clone()
    goal[:, 0] = problem.values[states.person, 0]
    found = search_codes(problem, states, goal)
    assert found.valid.all()
    assert (found.cost <= states.cost).all()
    assert (found.values[:, 1:] == states.values[:, 1:]).all()
    again = problem.states(found.person, found.values, found.levels)
    assert torch.equal(again.slack, found.slack)
    assert torch.equal(again.cost, found.cost)
    # On a fine grid of the way, where validity begins once, nothing cheaper is valid.
    ended, n_checked = found.values[:, 0], 0
    for i in range(len(states)):
        share = torch.linspace(0, 1, 400, dtype=torch.float64)
        way = states.values[i].repeat(400, 1)
        way[:, 0] = goal[i, 0] + share * (states.values[i, 0] - goal[i, 0])
        tried = problem.states(states.person[i].repeat(400), way, states.levels[i].repeat(400, 1))
        if (tried.valid.long().diff() < 0).any():
            continue
        n_checked += 1
        first = way[tried.valid.long().argmax(), 0]
        assert (ended[i] - goal[i, 0]).abs() <= (first - goal[i, 0]).abs() + 1e-8
    assert n_checked > 20
    assert torch.equal(search_numbers(problem, states, goal).values, found.values)
