"""Bit allocations from one number a layer, against brute force and the equation itself."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from skcfq.exceptions import BudgetError
from skcfq.quantization import (
    average_bits,
    closed_form_bits,
    exact_bits,
    greedy_bits,
)
from skcfq.quantization._surrogates import closed_form_widths

CANDIDATES = (2, 3, 4, 8)


@pytest.fixture(params=range(12))
def case(request):
    rng = np.random.default_rng(request.param)
    n = rng.integers(1, 5)
    return rng.gamma(1.0, size=n), rng.integers(10, 500, n).tolist(), rng.uniform(2, 8)


@pytest.mark.parametrize("allocate", [greedy_bits, exact_bits, closed_form_bits])
def test_the_budget_is_met(case, allocate):
    scores, sizes, budget = case
    widths = allocate(scores, sizes, CANDIDATES, budget)
    assert set(widths) <= set(CANDIDATES)
    assert average_bits(widths, sizes) <= budget


def test_exact_is_the_best_of_all_and_greedy_never_better(case):
    scores, sizes, budget = case
    affordable = [
        choice
        for choice in product(CANDIDATES, repeat=len(sizes))
        if average_bits(choice, sizes) <= budget
    ]
    best = max(np.dot(scores, choice) for choice in affordable)
    assert np.dot(scores, exact_bits(scores, sizes, CANDIDATES, budget)) == pytest.approx(best)
    assert np.dot(scores, greedy_bits(scores, sizes, CANDIDATES, budget)) <= best + 1e-9


def test_greedy_leaves_nothing_affordable(case):
    scores, sizes, budget = case
    widths = greedy_bits(scores, sizes, CANDIDATES, budget)
    for layer, width in enumerate(widths):
        wider = [bits for bits in CANDIDATES if bits > width][:1]
        if wider:
            more = [*widths[:layer], *wider, *widths[layer + 1 :]]
            assert average_bits(more, sizes) > budget


def test_closed_form_has_one_multiplier(case):
    """Eq. 74: n / (s 2^-b) is the same for all layers that are not at a limit."""
    scores, sizes, budget = case
    widths = closed_form_widths(scores, sizes, budget, 0.0, 60.0)
    inside = (widths > 1e-9) & (widths < 60 - 1e-9)
    prices = scores * 2.0**-widths / np.asarray(sizes)
    assert np.ptp(np.log2(prices[inside])) < 1e-6
    assert np.dot(sizes, widths) / sum(sizes) == pytest.approx(budget)


def test_equal_layers_get_equal_widths():
    assert closed_form_bits([3.0, 3.0, 3.0], [10, 10, 10], CANDIDATES, 4) == [4, 4, 4]


@pytest.mark.parametrize("allocate", [greedy_bits, exact_bits, closed_form_bits])
def test_what_is_refused(allocate):
    with pytest.raises(BudgetError, match="budget=1"):
        allocate([1.0], [10], CANDIDATES, 1)
    with pytest.raises(ValueError, match="sensitivities"):
        allocate([1.0, -1.0], [10, 10], CANDIDATES, 4)
    with pytest.raises(ValueError, match="sensitivities"):
        allocate([1.0], [10, 10], CANDIDATES, 4)
