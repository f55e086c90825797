"""The exact choice of widths against complete enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcfq.exceptions import BudgetError
from skcfq.quantization import allocate_bits, average_bits, check_candidates


@st.composite
def problems(draw):
    n_layers = draw(st.integers(1, 4))
    candidates = sorted(draw(st.sets(st.sampled_from([2, 3, 4, 6, 8]), min_size=1, max_size=4)))
    sizes = draw(st.lists(st.integers(1, 10**6), min_size=n_layers, max_size=n_layers))
    scores = draw(
        st.lists(
            st.lists(st.floats(-100, 100), min_size=len(candidates), max_size=len(candidates)),
            min_size=n_layers,
            max_size=n_layers,
        )
    )
    budget = draw(st.floats(candidates[0], candidates[-1] + 1))
    return scores, sizes, candidates, budget


@settings(deadline=None)
@given(problems())
def test_no_choice_within_the_budget_is_better(problem):
    scores, sizes, candidates, budget = problem
    widths = allocate_bits(scores, sizes, candidates, budget)

    def score(choice):
        return sum(row[candidates.index(b)] for row, b in zip(scores, choice, strict=True))

    feasible = [
        choice
        for choice in itertools.product(candidates, repeat=len(sizes))
        if average_bits(choice, sizes) <= budget
    ]
    assert tuple(widths) in feasible
    best = max(map(score, feasible))
    assert score(widths) == pytest.approx(best, abs=1e-6 * np.ptp(scores) + 1e-12)


@given(
    st.lists(st.integers(1, 10**5), min_size=1, max_size=5), st.integers(0, 60), st.integers(1, 7)
)
@settings(deadline=None)
def test_the_average_never_exceeds_a_budget_that_is_a_fraction(sizes, extra, parts):
    budget = 2 + extra / (10 * parts)
    widths = allocate_bits(np.tile([0, 1, 2, 3], (len(sizes), 1)), sizes, budget=budget)
    assert average_bits(widths, sizes) <= budget


def test_a_budget_that_is_met_exactly_is_used_in_full():
    scores = [[0, 1, 2, 3], [0, 1, 2, 3], [0, 0, 0, 0]]
    widths = allocate_bits(scores, [6656, 4096, 128], budget=4.0)
    assert average_bits(widths, [6656, 4096, 128]) <= 4.0
    assert allocate_bits([[0, 1, 2, 3]] * 2, [10, 10], budget=8) == [8, 8]
    assert allocate_bits([[0, 1, 2, 3]] * 2, [10, 10], budget=2) == [2, 2]


def test_equal_scores_are_fine():
    widths = allocate_bits(np.zeros((3, 4)), [5, 5, 5], budget=3)
    assert average_bits(widths, [5, 5, 5]) <= 3


def test_what_equal_scores_leave_is_spent_on_the_narrowest():
    assert allocate_bits(np.zeros((3, 4)), [10, 10, 10], budget=4) == [4, 4, 4]
    assert allocate_bits([[0, 0], [0, 0]], [100, 100], (2, 8), budget=8) == [8, 8]
    assert allocate_bits([[0, -1], [0, 0]], [100, 100], (2, 8), budget=8) == [2, 8]


def test_a_budget_below_every_candidate_is_an_error():
    with pytest.raises(BudgetError, match=r"budget=1\.5 .* at least 2"):
        allocate_bits([[0, 1]], [10], [2, 4], budget=1.5)


@pytest.mark.parametrize("scores", [[[0, 1]], [[0, np.nan, 1, 2]], [[0, np.inf, 1, 2]]])
def test_scores_that_cannot_be_compared_are_refused(scores):
    with pytest.raises(ValueError, match="scores"):
        allocate_bits(scores, [10], budget=4)


@pytest.mark.parametrize("candidates", [[], [4, 2], [2, 2], [1, 2], [4, 32], [2.0, 4.0]])
def test_candidates_are_checked(candidates):
    with pytest.raises(ValueError, match="candidates"):
        check_candidates(candidates)
