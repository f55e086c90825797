"""Random small problems with extreme people, against brute force on raw rows."""

from __future__ import annotations

import pytest
from enumerated_answers import FAULTS, judge
from random_problems import POPULATIONS, PROVING, draw_problem


def faults_of(population, seeds):
    """Return what is wrong, one line a person."""
    return [
        f"{population}, seed {seed}, {verdict}"
        for seed in seeds
        for verdict in judge(draw_problem(population, seed))[0]
        if set(verdict.faults) & set(FAULTS)
    ]


@pytest.mark.parametrize("population", POPULATIONS)
def test_no_proof_is_wrong_and_no_rule_is_broken(population):
    # A search takes many times as long as a proof.
    n_problems = 9 if population in PROVING else 4
    assert faults_of(population, range(7, 7 + n_problems)) == []


@pytest.mark.slow
@pytest.mark.parametrize("population", POPULATIONS)
def test_a_thousand_problems(population):
    assert faults_of(population, range(145)) == []
