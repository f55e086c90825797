"""How many batches, passes and rows: the numbers that the docs and the docstrings name."""

from __future__ import annotations

import math

import pytest
import torch

from skcfq.training._batches import calibration_rows, epochs_for, visits_again


@pytest.mark.parametrize(
    ("options", "updates", "most"),
    [
        ({}, 2500, 30),
        ({"follows_teacher": True, "starts_there": True}, 2500, 150),
        ({"follows_teacher": True}, 5000, 600),
        # A start near a teacher says nothing where its logits are not followed.
        ({"starts_there": True}, 2500, 30),
    ],
)
def test_passes_of_small_and_large_tables(options, updates, most):
    assert epochs_for(100, 256, None, **options) == most
    n_rows = 256 * math.ceil(updates / 25)
    assert epochs_for(n_rows, 256, None, **options) == 25
    # One row more is one batch more, however small.
    few = epochs_for(257, 256, None, **options)
    assert few == min(round(updates / 2), most)
    assert epochs_for(10**8, 256, None, **options) == 15


def test_at_most_so_many_rows_are_drawn():
    drawn = calibration_rows(3000, torch.Generator().manual_seed(0))
    assert len(drawn.unique()) == len(drawn) == 2048
    assert not torch.equal(drawn, drawn.sort().values)
    # All of them, and in their order, where they are no more than that.
    assert calibration_rows(2048, torch.Generator()).tolist() == list(range(2048))
    assert len(calibration_rows(3000, torch.Generator(), 7)) == 7


@pytest.mark.parametrize(("n_acted", "visits"), [(1, 8), (20, 4), (30, 2), (50, 1), (100, 1)])
def test_visits_of_a_row_with_an_action(n_acted, visits):
    again = visits_again(torch.arange(100) < n_acted)
    counts = torch.bincount(again, minlength=100) + 1
    assert counts.tolist() == [visits] * n_acted + [1] * (100 - n_acted)


def test_nobody_has_an_action():
    assert len(visits_again(torch.zeros(10, dtype=torch.bool))) == 0
