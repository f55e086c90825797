"""Numbers that a loop follows, or that there is no layer for, are refused; no budget hangs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq import CFQClassifier, TeacherClassifier
from skcfq.estimators import BitPolicy, CFQObjective, LearnedBits, TeacherActions
from skcfq.exceptions import BudgetError
from skcfq.quantization import allocate_bits, average_bits, greedy_bits
from skcfq.quantization._calibration import lsq_step, lsq_steps, mse_step, mse_steps

SCORES = [[0, 1, 2, 3], [0, 1, 2, 3]]
X, Y = np.arange(20.0)[:, None], np.arange(20) % 2


@pytest.mark.parametrize("budget", [8.0, 9.5, 1e18, 1e300])
def test_a_budget_above_the_widest_is_the_widest(budget):
    assert allocate_bits(SCORES, [100, 300], budget=budget) == [8, 8]
    assert greedy_bits([1.0, 2.0], [100, 300], budget=budget) == [8, 8]


@pytest.mark.parametrize("budget", [float("inf"), float("nan"), -1.0])
def test_budgets_that_are_none(budget):
    with pytest.raises(BudgetError, match="budget="):
        allocate_bits(SCORES, [100, 300], budget=budget)


@pytest.mark.parametrize("sizes", [[0, 300], [-1, 300], [2**60, 300], [True, 300], [1.5, 300]])
def test_sizes_that_no_layer_has(sizes):
    with pytest.raises(ValueError, match="n_weights=.*whole number of at least 1"):
        allocate_bits(SCORES, sizes)
    with pytest.raises(ValueError, match="n_weights="):
        average_bits([4, 4], sizes)


def test_no_layer_has_no_average():
    with pytest.raises(ValueError, match="at least one layer"):
        average_bits([], [])


@pytest.mark.parametrize("step", [lsq_step, mse_step, lsq_steps, mse_steps])
@pytest.mark.parametrize("values", [[[float("nan"), 1.0]], [[float("inf")]]])
def test_steps_of_numbers_that_are_not_finite(step, values):
    with pytest.raises(ValueError, match="`weight` holds numbers that are not finite"):
        step(torch.tensor(values), 4)


@pytest.mark.parametrize("step", [lsq_step, mse_step])
def test_steps_of_nothing_span_one(step):
    assert step(torch.zeros(0), 4) == step(torch.zeros(3), 4) == 0.125


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (TeacherClassifier(max_iter=2**70), "'max_iter' parameter"),
        (TeacherClassifier(n_iter_no_change=2**70), "'n_iter_no_change' parameter"),
        (TeacherClassifier((2**70,), max_iter=1), "'hidden_layer_sizes' parameter"),
        (
            CFQClassifier(teacher_actions=TeacherActions(2**70)),
            "n_steps is .*; give an int in",
        ),
        (CFQClassifier(teacher_actions=TeacherActions(step_size=float("inf"))), "step_size is inf"),
        (CFQClassifier(objective=CFQObjective(eta=float("inf"))), "objective.eta is inf"),
        (CFQClassifier(bit_policy=LearnedBits(penalty=float("inf"))), "bit_policy.penalty is inf"),
    ],
)
def test_counts_and_weights_without_end(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


class Narrow(BitPolicy):
    """A policy without a parameter."""

    def choose(self, network, budget, sample):
        assert repr(sample) == "BitSample(20 rows and 0 recourse points of 1 columns)"
        return [2] * len(network.n_weights)


def test_a_policy_needs_no_candidates_of_its_own():
    objective = CFQObjective(eta=0)
    teacher = TeacherClassifier((4,), max_iter=2)
    model = CFQClassifier(
        bit_policy=Narrow(), objective=objective, hidden_layer_sizes=(4,), teacher=teacher
    )
    assert model.set_params(max_iter=1).fit(X, Y).bit_widths_.tolist() == [2, 2]
