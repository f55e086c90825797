"""Whom the teacher's recourse supervises, and who is kept for the promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, TeacherClassifier
from skcfq.estimators import CFQObjective, Finish, TeacherActions
from skcfq.models import as_predictor
from skcfq.training import People, TrainingTable
from skcfq.training._supervision import Supervision, supervise


def people_at(points, **given):
    """Supervision of people on a line, all of whom are held."""
    n = len(points)
    everybody = torch.ones(n, dtype=torch.bool)
    defaults = {
        "targets": torch.ones(n, dtype=torch.int64),
        "acted": everybody,
        "promised": everybody,
        "weights": torch.ones(n, dtype=torch.float64),
        "held": everybody,
    }
    return Supervision(points[:, None], **{**defaults, **given})


@pytest.fixture(scope="module")
def line():
    """A teacher on one column, and a function that reads people of it."""
    X = np.linspace(-1, 1, 40)[:, None]
    teacher = as_predictor(LogisticRegression().fit(X, X[:, 0] > 0), background=X)

    def advised(told):
        n = len(told.points)
        table = TrainingTable(np.full((n, 1), -1.0), *[np.ones(n)] * 3, torch.float64)
        return told.advised(People(table, np.full((n, 1), -1.0), None, None), teacher)

    return advised


def test_the_promise_is_read_off_those_who_were_held(line):
    points = torch.linspace(0, 1, 10, dtype=torch.float64)
    held = points > 0.5
    assert torch.equal(line(people_at(points, held=held)).points[:, 0], points[held])
    # Where nobody could be held, off those who were trained on.
    nobody = torch.zeros_like(held)
    found = line(people_at(points, held=nobody, promised=~held))
    assert torch.equal(found.points[:, 0], points[~held])


@pytest.mark.parametrize("online", [False, True])
def test_nobody_who_is_held_is_looked_at_before_the_bias(online):
    """Neither by a term nor by what chooses widths and steps."""
    X = np.random.default_rng(0).normal(size=(80, 4))
    teacher = TeacherClassifier((8,), max_iter=5, random_state=0).fit(X, X[:, 0] > 0)
    predictor = as_predictor(teacher)
    ones, target = np.ones(80), np.zeros(80, dtype=np.int64)
    table = TrainingTable(X, target, ones, ones, torch.float64)
    found = supervise(
        People(table, X, predictor.predict(X) != predictor.classes[0], target),
        predictor,
        action_set=ActionSet(),
        actions=TeacherActions(step_size=5.0, online=online),
        objective=CFQObjective(finish=Finish(validity_drop=0.1)),
        rng=np.random.RandomState(0),
    )
    assert found.held.any() and found.promised.any()
    assert not (found.held & found.promised).any()
    assert not (found.held & found.acted).any()
    # Whoever the teacher accepts at the point is on one of the two sides.
    accepted = predictor.logits(found.points).argmax(dim=1) == 0
    refused = torch.from_numpy(predictor.predict(X) != predictor.classes[0])
    assert torch.equal(found.held | found.promised, accepted & refused)
