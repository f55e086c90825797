"""People with advice, whose results are read."""

from __future__ import annotations

import pytest
from advised_people import CHEAP, UNITS, draw_people, fit_model, solve


@pytest.fixture(scope="module")
def people():
    return draw_people()


@pytest.fixture(scope="module")
def model(people):
    return fit_model(people)


@pytest.fixture(scope="module")
def result(model, people):
    answer = solve(model, people, n_alternatives=3, margin=0.1, cost_weights=CHEAP)
    return answer.with_units(UNITS)
