"""Sums of a first layer by tables, and gradients in closed form, against points written out."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, TableEncoder, TeacherClassifier
from skcfq.actions import compile_cost, region_of
from skcfq.models import as_predictor
from skcfq.nn import target_margin
from skcfq.solvers.problems import RecourseProblem

N_LEVELS = 90


@pytest.fixture(scope="module")
def table():
    rng = np.random.RandomState(0)
    n = 400
    return pd.DataFrame(
        {
            "number": rng.randn(n),
            "town": np.resize([f"t{i:02}" for i in range(N_LEVELS)], n),
            "other": rng.randn(n),
            "sex": rng.choice(["f", "m"], n),
        }
    )


@pytest.fixture(scope="module", params=["teacher", "perceptron", "three classes"])
def predictor(request, table):
    y = (table["number"] + (table["town"] > "t40") + 0.3 * table["other"] > 0.5).astype(int)
    if request.param == "three classes":
        y += (table["other"] > 1).astype(int)
    if request.param == "perceptron":
        model = make_pipeline(TableEncoder(), MLPClassifier((7, 5), max_iter=20, random_state=0))
    else:
        model = TeacherClassifier(hidden_layer_sizes=(7, 5), max_iter=5, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(table, y)
    return as_predictor(model, background=table)


def problem_of(predictor, rows):
    actions = ActionSet(immutable=["other"]).compile(predictor.space)
    region = region_of(actions, rows)
    target = torch.arange(len(rows)) % len(predictor.classes)
    return RecourseProblem(predictor, region, compile_cost(actions), target, 0.0)


@pytest.fixture
def states(predictor, table):
    rows = table.head(30).copy()
    rows.loc[3, "town"] = "nowhere"
    problem = problem_of(predictor, rows)
    draw = torch.Generator().manual_seed(0)
    person = torch.randint(30, (157,), generator=draw)
    values = problem.values[person] + torch.randn(157, 1, generator=draw, dtype=torch.float64)
    levels = problem.levels[person]
    moved = torch.rand(157, generator=draw) < 0.5
    levels[moved, 0] = torch.randint(N_LEVELS, (157,), generator=draw)[moved]
    assert (levels < 0).any()
    return problem, person, values, levels


def test_tables_give_the_logits_of_points_that_are_written_out(states):
    problem, person, values, levels = states
    (layer,) = problem._first_layers
    expected = problem.predictor.logits(problem.assemble(person, values, levels)).detach()
    torch.testing.assert_close(layer.logits(person, values, levels), expected, rtol=0, atol=1e-12)


def test_a_state_has_one_slack_alone_in_a_batch_and_in_a_part(states):
    problem, person, values, levels = states
    together = problem.states(person, values, levels).slack
    for i in range(0, 157, 12):
        here = slice(i, i + 1)
        alone = problem.states(person[here], values[here], levels[here]).slack
        part = problem.take(person[here])
        taken = part.states(torch.zeros(1).long(), values[here], levels[here]).slack
        assert together[i] == alone[0] == taken[0]


def test_few_columns_are_written_out(table):
    model = TeacherClassifier(hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    few = table.drop(columns="town")
    predictor = as_predictor(model.fit(few, table["number"] > 0))
    assert problem_of(predictor, few.head(3))._first_layers is None


def test_the_gradient_of_a_margin_is_that_of_a_graph(states):
    problem, person, values, levels = states
    points = problem.assemble(person, values, levels)
    margin, gradient = problem.margin_gradient(points, person)
    points = points.clone().requires_grad_(True)
    expected = target_margin(problem.predictor.logits(points), problem.target[person])
    (slope,) = torch.autograd.grad(expected.sum(), points)
    torch.testing.assert_close(margin, expected.detach(), rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient, slope, rtol=0, atol=1e-12)
    alone = problem.margin_gradient(points[5:6].detach(), person[5:6])[1]
    assert torch.equal(alone[0], gradient[5])
