"""Widths of units, against every choice on a small network, and in the classifiers."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from torch import nn

from skcfq import CFQClassifier, QATClassifier, TeacherClassifier
from skcfq.datasets import make_credit
from skcfq.estimators import BitPolicy, BitSample, Quantizer, UnitBits
from skcfq.exceptions import BudgetError
from skcfq.nn import QuantizedMLP, unit_errors

pytestmark = pytest.mark.usefixtures("short_teachers")


@pytest.fixture(scope="module")
def scene():
    """A calibrated network of two layers of few units, rows, and points elsewhere."""
    generator = torch.Generator().manual_seed(0)
    network = QuantizedMLP(3, (4,), 2, (2, 4, 8), 8, start="mse", per_channel=True).double()
    rows = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    network.calibrate(rows)
    weights, labels = torch.ones(60, dtype=torch.float64), torch.zeros(60, dtype=torch.int64)
    points = rows[:9] * torch.tensor([0.0, 0.0, 5.0]).double()
    return network, BitSample(rows, labels, weights, points, labels[:9], weights[:9])


def errors_of(network, x, sample):
    """Return what each unit loses where its weights make up for each other's errors."""
    rows = torch.cat([sample.rows, sample.points])
    weights = torch.cat([sample.weights, sample.point_weights])
    return unit_errors(network, x, fitted_to=(rows, weights))


def least_total(network, errors, budget):
    """Return the least sum of errors of all choices within the budget, one after the other."""
    errors = torch.cat(errors).tolist()
    sizes = [3] * 4 + [4] * 2
    best = np.inf
    for choice in product(range(3), repeat=6):
        bits = sum(n * network.candidates[r] for n, r in zip(sizes, choice, strict=True))
        if bits <= budget * sum(sizes):
            best = min(best, sum(errors[unit][r] for unit, r in enumerate(choice)))
    return best


@pytest.mark.parametrize("budget", [2, 2.7, 3, 4.5, 8, 20])
@pytest.mark.parametrize("with_points", [True, False])
def test_the_least_total_within_the_budget(scene, budget, with_points):
    network, sample = scene
    if not with_points:
        nobody = {"points": sample.points[:0], "point_weights": sample.point_weights[:0]}
        sample = replace(sample, **nobody)
    x = sample.points if with_points else sample.rows
    found = UnitBits((2, 4, 8)).choose(network, budget, sample)
    assert [len(one) for one in found] == [4, 2]
    errors = errors_of(network, x, sample)
    total = sum(
        one[unit, network.candidates.index(bits)].item()
        for one, widths in zip(errors, found, strict=True)
        for unit, bits in enumerate(widths)
    )
    assert total == pytest.approx(least_total(network, errors, budget), rel=1e-12)
    network.set_bit_widths(found)
    assert network.average_bits <= budget


def test_it_is_the_points_that_count(scene):
    network, sample = scene
    at_points = UnitBits((2, 4, 8)).choose(network, 5, sample)
    weightless = replace(sample, point_weights=torch.zeros(9, dtype=torch.float64))
    assert at_points != UnitBits((2, 4, 8)).choose(network, 5, weightless)


@pytest.fixture(scope="module")
def credit():
    return make_credit(300, random_state=0)


@pytest.fixture(scope="module")
def shared(credit):
    teacher = TeacherClassifier((12, 8), max_iter=10, random_state=0)
    teacher.fit(credit.data, credit.target)
    return {
        "teacher": FrozenEstimator(teacher),
        "action_set": credit.action_set,
        "target": credit.favorable,
        "hidden_layer_sizes": (12, 8),
        "max_iter": 3,
        "random_state": 0,
    }


@pytest.mark.parametrize("estimator", [CFQClassifier, QATClassifier])
@pytest.mark.parametrize("budget", [2.5, 4])
def test_a_fit_has_the_widths_that_were_chosen(credit, shared, estimator, budget):
    model, given = (
        estimator(budget, bit_policy=policy, **shared).fit(credit.data, credit.target)
        for policy in ("units", UnitBits())
    )
    n = [model.feature_space_.n_encoded, 12, 8]
    widths = model.unit_bit_widths_
    assert [len(one) for one in widths] == [12, 8, 2]
    assert set(np.concatenate(widths).tolist()) <= {2, 3, 4, 8}
    assert len(set(np.concatenate(widths).tolist())) > 1
    bits = sum(a * int(one.sum()) for a, one in zip(n, widths, strict=True))
    total = n[0] * 12 + 12 * 8 + 8 * 2
    assert model.bit_cost_ == bits and model.average_bits_ == bits / total
    assert budget - 0.3 < model.average_bits_ <= budget
    np.testing.assert_allclose(model.bit_widths_, [one.mean() for one in widths])
    np.testing.assert_array_equal(
        given.decision_function(credit.data), model.decision_function(credit.data)
    )


def test_widths_of_layers_stay_whole(credit, shared):
    model = QATClassifier(4, **shared).fit(credit.data, credit.target)
    assert model.bit_widths_.dtype == np.int64
    assert [set(one.tolist()) for one in model.unit_bit_widths_] == [{4}, {4}, {4}]


def test_a_second_fit_keeps_the_widths(credit, shared):
    model = CFQClassifier(4, bit_policy="units", warm_start=True, **shared)
    before = model.fit(credit.data, credit.target).unit_bit_widths_
    again = model.fit(credit.data, credit.target).unit_bit_widths_
    assert [one.tolist() for one in before] == [one.tolist() for one in again]
    with pytest.raises(BudgetError, match="exceed"):
        model.set_params(budget=3).fit(credit.data, credit.target)


def test_units_of_a_module_have_widths(credit, shared):
    def convolutions(n_inputs, n_classes):
        return nn.Sequential(
            nn.Unflatten(1, (1, n_inputs)),
            nn.Conv1d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(4 * n_inputs, n_classes),
        )  # fmt: skip

    options = {k: v for k, v in shared.items() if k not in ("teacher", "hidden_layer_sizes")}
    model = QATClassifier(4, module=convolutions, bit_policy="units", **options)
    model.fit(credit.data, credit.target)
    n = model.feature_space_.n_encoded
    conv, linear = model.unit_bit_widths_
    assert (len(conv), len(linear)) == (4, 2)
    assert model.bit_cost_ == 3 * conv.sum() + 4 * n * linear.sum() <= 4 * (12 + 8 * n)


@pytest.mark.parametrize(
    ("quantizer", "says"),
    [
        (Quantizer(None), "activation_bits=8"),
        (Quantizer(8, granularity="per_tensor"), "granularity='per_channel'"),
    ],
)
def test_units_that_share_a_step_or_an_activation_are_refused(credit, shared, quantizer, says):
    model = QATClassifier(4, bit_policy="units", quantizer=quantizer, **shared)
    with pytest.raises(ValueError, match=says):
        model.fit(credit.data, credit.target)


class Halves(BitPolicy):
    """8 bits in the first half of the units of each layer, 2 in the others."""

    def choose(self, network, budget, sample):
        n_units = [len(one) for one in network.unit_bit_widths]
        return [[8] * (n // 2) + [2] * (n - n // 2) for n in n_units]


def test_a_policy_of_the_users_own(credit, shared):
    model = QATClassifier(6, bit_policy=Halves(), **shared).fit(credit.data, credit.target)
    assert model.unit_bit_widths_[1].tolist() == [8] * 4 + [2] * 4
    assert model.bit_widths_.tolist() == [5.0, 5.0, 5.0]
    with pytest.raises(BudgetError, match="5.000 bits"):
        QATClassifier(4, bit_policy=Halves(), **shared).fit(credit.data, credit.target)
