"""The bias that keeps the promise: whom it is read off, and how strict it may be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq import ActionSet, TeacherClassifier
from skcfq.estimators import CFQObjective, Finish, TeacherActions
from skcfq.models import as_predictor
from skcfq.nn import QuantizedMLP
from skcfq.training import People, TrainingTable
from skcfq.training._supervision import Supervision, supervise


def identity():
    """A network whose margin of the second class is its input."""
    network = QuantizedMLP(1, (), 2, input_bits=None, start="mse").double()
    network.set_bit_widths(8)
    with torch.no_grad():
        network.layers[0].weight.copy_(torch.tensor([[-0.5], [0.5]]))
        network.layers[0].bias.zero_()
    network.calibrate(torch.linspace(-1, 1, 10, dtype=torch.float64)[:, None])
    return network


def told(points, **given):
    n = len(points)
    everybody = torch.ones(n, dtype=torch.bool)
    defaults = {
        "targets": torch.ones(n, dtype=torch.int64),
        "acted": everybody,
        "promised": everybody,
        "weights": torch.ones(n, dtype=torch.float64),
        "held": everybody,
        "depth": torch.zeros(n, dtype=torch.float64),
        "validity_drop": 0.1,
    }
    rows = torch.as_tensor(points, dtype=torch.float64)[:, None]
    return Supervision(rows, **{**defaults, **given})


def test_a_lenient_student_gets_no_stricter_than_its_teacher():
    points = torch.linspace(10, 11, 99)
    # The teacher is stricter by 1 everywhere, and half of the people may lose their advice.
    people = told(points, depth=points.double() - 1, validity_drop=0.5)
    network = identity()
    before = network(people.points)
    assert people.calibrate(network) == pytest.approx(-1, abs=0.01)
    change = network(people.points) - before
    torch.testing.assert_close(change[:, 1] - change[:, 0], torch.full((99,), -1.0).double())


def test_a_point_that_the_teacher_refuses_is_no_promise():
    points = torch.cat([torch.linspace(-9, -8, 50), torch.linspace(-1, 0, 99)])
    depth = torch.where(points < -2, -1.0, 0.0).double()
    bias = told(points, depth=depth).calibrate(identity())
    # The tenth of 99 is at -1 + 9 / 98.
    assert bias == pytest.approx(1 - 9 / 98, abs=0.01)


def test_the_bias_is_read_off_those_who_were_held():
    points = torch.cat([torch.linspace(-9, -8, 50), torch.linspace(-1, 0, 99)])
    held = points > -2
    assert told(points, held=held).calibrate(identity()) == pytest.approx(1 - 9 / 98, abs=0.01)
    # Where nobody could be held, off those who were trained on.
    nobody = torch.zeros_like(held)
    found = told(points, held=nobody, acted=~held).calibrate(identity())
    assert found == pytest.approx(9 - 4 / 49, abs=0.01)


def test_targets_that_differ_have_no_bias():
    network, points = identity(), torch.linspace(-1, 0, 10)
    before = network(points.double()[:, None])
    assert told(points, targets=torch.arange(10) % 2).calibrate(network) == 0
    assert told(points, validity_drop=None).calibrate(network) == 0
    assert torch.equal(network(points.double()[:, None]), before)


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
