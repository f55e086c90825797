"""What a plan of a training says about rows, recourse points and visits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from skcfq import CFQClassifier, QATClassifier
from skcfq.estimators import _student
from skcfq.nn import LossWeights, TrainingRows
from skcfq.training import LearnedBits, TrainingPlan
from skcfq.training._supervision import Supervision

pytestmark = pytest.mark.usefixtures("short_teachers")

PAPER = LossWeights(task=1.0, validity=1.0)
FOLLOWING = LossWeights(task=0.0, validity=0.0, distillation=1.0)
MARGINS = LossWeights(task=0.0, validity=0.0, margins=1.0)


def plan_of(loss, n_acted=5, **given):
    rows = torch.arange(20.0)[:, None]
    acted = torch.arange(20) < n_acted
    told = Supervision(
        rows + 100,
        torch.ones(20, dtype=torch.int64),
        acted,
        acted & (torch.arange(20) > 0),
        torch.ones(20, dtype=torch.float64),
        **given,
    )
    own = TrainingRows(rows, torch.zeros(20, dtype=torch.int64), torch.ones(20))
    return TrainingPlan(own, None, None, loss, told)


def test_the_sample_has_the_points_that_the_teacher_accepts():
    sample = plan_of(PAPER).bit_sample(torch.Generator())
    assert sample.rows.flatten().tolist() == list(range(20))
    assert sample.points.flatten().tolist() == [101, 102, 103, 104]
    assert len(sample.targets) == len(sample.point_weights) == 4
    bare = replace(plan_of(PAPER), supervision=None).bit_sample(torch.Generator())
    assert len(bare.rows) == 20 and len(bare.points) == len(bare.targets) == 0


@pytest.mark.parametrize(("loss", "n"), [(PAPER, 20), (FOLLOWING, 24), (MARGINS, 24)])
def test_steps_are_set_on_points_where_the_loss_follows_the_teacher(loss, n):
    plan = plan_of(loss)
    rows, weights = plan.calibration_sample(plan.bit_sample(torch.Generator()))
    assert len(rows) == len(weights) == n


@pytest.mark.parametrize(
    ("loss", "given", "visits"),
    [
        # Half of 20 + 5 (k - 1) visits are of the five: k is 3.
        (MARGINS, {}, 30),
        # No term looks at points, or none follows the teacher.
        (FOLLOWING, {}, 20),
        (PAPER, {}, 20),
        # The matching term does.
        (FOLLOWING, {"matching": "any"}, 30),
    ],
)
def test_visits_of_a_pass(loss, given, visits):
    plan = plan_of(loss, **given)
    assert plan.n_visits == visits
    again = plan.rows_again
    assert (again is None) == (visits == 20)
    assert again is None or set(again.tolist()) == set(range(5))
    assert replace(plan, supervision=None).n_visits == 20


def test_calibration_people_weigh_nothing():
    held = torch.arange(20) == 7
    plan = plan_of(MARGINS, held=held).without_calibration_people()
    assert torch.equal(plan.rows.weights, 1 - held.float())
    assert plan_of(MARGINS).without_calibration_people().rows.weights.sum() == 20


@pytest.mark.parametrize(
    ("model", "loss", "rate", "decay"),
    [
        (CFQClassifier(alpha=0.5), FOLLOWING, 0.002, 0.0),
        (CFQClassifier(alpha=0.5), PAPER, 0.004, 0.5),
        (CFQClassifier(learning_rate_init=0.1), FOLLOWING, 0.1, 0.0),
        (QATClassifier(alpha=0.5), LossWeights(), 0.004, 0.5),
    ],
)
def test_rate_and_decay_follow_the_loss(model, loss, rate, decay):
    plan = plan_of(loss)
    start = _student._Start(None, True, None, (plan.rows.rows, plan.rows.weights))
    settings = model._loop_settings(plan, start, torch.device("cpu"))
    assert (settings.learning_rate, settings.weight_decay) == (rate, decay)
    assert settings.name == type(model).__name__


@pytest.mark.parametrize(
    ("policy", "penalty"), [(LearnedBits(penalty=0.25), 0.25), ("learned", 1.0), ("uniform", 0.0)]
)
def test_the_penalty_of_bits_is_that_of_the_policy(policy, penalty, monkeypatch):
    seen, original = [], _student.faithful_module

    def spy(*args, **options):
        seen.append(options["bit_penalty"])
        return original(*args, **options)

    monkeypatch.setattr(_student, "faithful_module", spy)
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)).numpy()
    model = QATClassifier(4, bit_policy=policy, hidden_layer_sizes=(3,), max_iter=1)
    model.set_params(random_state=0).fit(X, X[:, 0] > 0)
    assert seen == [penalty]
