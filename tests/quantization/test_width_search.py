"""Widths of least measured loss under a budget, against all of them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from skcfq.quantization import MeasuredLosses, average_bits, search_widths

WIDTHS = (2, 3, 4, 8)


def feasible(sizes, budget):
    choices = itertools.product(WIDTHS, repeat=len(sizes))
    return [choice for choice in choices if average_bits(choice, sizes) <= budget]


def rough_loss(n_layers, seed):
    """A loss that falls with every bit, in which layers hinder each other."""
    rng = np.random.default_rng(seed)
    weights, shared = rng.lognormal(0, 2, n_layers), rng.lognormal(0, 1, (n_layers, n_layers))

    def loss(widths):
        errors = weights * 4.0 ** -np.array(widths)
        return float(errors.sum() + np.sqrt(errors) @ shared @ np.sqrt(errors))

    return loss


@pytest.mark.parametrize("budget", [2.5, 3, 4, 6])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_of_few_layers_the_best_of_all_choices_is_found(n_layers, budget):
    sizes = np.random.default_rng(n_layers).integers(10, 5000, n_layers).tolist()
    loss = rough_loss(n_layers, seed=0)
    found = search_widths(MeasuredLosses(loss, WIDTHS), sizes, budget, [2] * n_layers)
    best = min(feasible(sizes, budget), key=loss)
    assert loss(found) <= 1.02 * loss(best)
    assert average_bits(best, sizes) <= average_bits(found, sizes) <= budget


@pytest.mark.parametrize("n_layers", [5, 7])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("budget", [2.5, 3, 4, 6])
def test_of_more_layers_what_is_found_is_near_the_best(seed, n_layers, budget):
    sizes = np.random.default_rng(seed).integers(10, 5000, n_layers).tolist()
    loss = rough_loss(n_layers, seed)
    losses = MeasuredLosses(loss, WIDTHS)
    found = search_widths(losses, sizes, budget, [2] * n_layers)
    assert average_bits(found, sizes) <= budget
    assert loss(found) <= 1.05 * min(map(loss, feasible(sizes, budget)))
    assert len(losses.measured) < 4**n_layers / 4


def test_no_loss_is_measured_twice_and_what_is_no_number_is_avoided():
    asked = []

    def loss(widths):
        asked.append(widths)
        return math.nan if widths[0] == 8 else -sum(widths)

    losses = MeasuredLosses(loss, WIDTHS)
    assert search_widths(losses, [10, 10], 5, (2, 2)) == [2, 8]
    assert losses.around((2, 8))[0, 3] == math.inf
    assert len(asked) == len(set(asked)) == len(losses.measured)


def test_of_choices_that_lose_alike_the_one_with_the_most_bits_is_taken():
    losses = MeasuredLosses(lambda widths: 1.01 if widths == (8, 8) else 1.0, WIDTHS)
    assert search_widths(losses, [10, 10], 8, (2, 2)) == [8, 8]
    losses = MeasuredLosses(lambda widths: 1.1 if widths == (8, 8) else 1.0, WIDTHS)
    assert search_widths(losses, [10, 20], 8, (2, 2)) == [4, 8]
