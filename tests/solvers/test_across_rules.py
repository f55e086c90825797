"""The exact method under rules across features: programs for those alone whom a rule binds."""

from __future__ import annotations

import numpy as np
import pytest
from tied_problems import draw_problem, solve

from skcfq.solvers.exact import _across_rules, _kept_programs


@pytest.fixture
def asked_programs(monkeypatch):
    """Count who is asked about in a program."""
    asked: list[int] = []
    programs = _across_rules._programs

    def counted(problem, rows, effort):
        asked.extend(rows.tolist())
        return programs(problem, rows, effort)

    monkeypatch.setattr(_across_rules, "_programs", counted)
    return asked


MANY = pytest.param(range(204, 220), marks=pytest.mark.slow)


@pytest.mark.parametrize("seeds", [range(200, 204), MANY], ids=["few", "many"])
def test_costs_and_statuses_are_those_of_programs_about_everybody(seeds, asked_programs):
    refused, both = 0, 0
    for seed in seeds:
        model, X, rules, weights = draw_problem(seed, across=True)
        people = X.head(20)
        own = solve(model, people, rules, weights, "l1", "exact")
        programs = solve(model, people, rules, weights, "l1", "milp")
        assert own.status.tolist() == programs.status.tolist()
        np.testing.assert_allclose(own.cost, programs.cost, rtol=1e-6)
        refused += int(own.denied.sum())
        both += int(own.reachable.sum())
    # Some need no program, and some do.
    assert 3 < len(asked_programs) < refused - 3
    assert refused > 10 * len(seeds) and both > 3 * len(seeds)


def test_whom_no_rule_binds_is_answered_as_without_rules_and_needs_no_program(asked_programs):
    model, X, rules, weights = draw_problem(3, across=False)
    people = X.head(40)
    free = solve(model, people, rules, weights, "l1", "exact")
    highest = float(people["a"].max() + people["b"].max()) + 1e3
    idle = rules | {"constraints": [f"a + b <= {highest}"]}
    tied = solve(model, people, idle, weights, "l1", "exact")
    assert tied.method == "exact" and asked_programs == []
    assert tied.status.tolist() == free.status.tolist()
    np.testing.assert_array_equal(tied.cost, free.cost)
    assert tied.points.equals(free.points)


def test_a_persons_answer_is_the_same_alone_and_beside_others():
    model, X, rules, weights = draw_problem(203, across=True)
    people = X.head(8)
    whole = solve(model, people, rules, weights, "l1", "exact")
    for row in range(8):
        alone = solve(model, people.iloc[[row]], rules, weights, "l1", "exact")
        assert alone.status[0] == whole.status[row]
        assert np.array_equal(alone.cost, whole.cost[[row]], equal_nan=True)
        assert alone.points.astype(object).equals(whole.points.iloc[[row]].astype(object))


def test_a_kept_program_answers_as_a_new_one_and_other_rules_get_their_own():
    model, X, rules, weights = draw_problem(203, across=True)
    people = X.head(6)
    _kept_programs._kept.clear()
    first = solve(model, people, rules, weights, "l1", "milp")
    assert len(_kept_programs._kept) == 1
    again = solve(model, people, rules, weights, "l1", "milp")
    assert again.status.tolist() == first.status.tolist()
    assert np.array_equal(again.cost, first.cost, equal_nan=True)
    assert again.points.equals(first.points)
    other = rules | {"constraints": ["a + b <= 1"]}
    _kept_programs._kept.clear()
    expected = solve(model, people, other, weights, "l1", "milp")
    solve(model, people, rules, weights, "l1", "milp")
    assert np.array_equal(
        solve(model, people, other, weights, "l1", "milp").cost, expected.cost, equal_nan=True
    )
    assert len(_kept_programs._kept) == 2
    assert not np.array_equal(expected.cost, first.cost, equal_nan=True)
