"""Exact methods against brute force on raw rows, over all kinds of rules."""

from __future__ import annotations

import math

import numpy as np
import pytest
from raw_oracle import admissible, costs
from tied_problems import draw_problem, solve


def best_cost(model, person, rules, weights, norm, need=1e-9) -> float:
    rows = admissible(person, rules)
    logits = np.atleast_2d(model.decision_function(rows))
    if logits.shape[0] == 1:
        margin = logits[0]
    else:
        margin = logits[:, -1] - logits[:, :-1].max(axis=1)
    blocks = model[0].feature_space_
    scales = {name: abs(blocks.block(name).scale) for name in ["a", "b", "f"]}
    parts = costs(rows[margin >= need], person, weights, scales)
    total = parts.sum(axis=1) if norm == "l1" else np.sqrt((parts**2).sum(axis=1))
    return total.min(initial=math.inf)


def compare(result, X, model, rules, weights, norm) -> tuple[int, list[int]]:
    """Count the refused people, and return who differs from the oracle."""
    refused = np.flatnonzero(result.denied)
    wrong = []
    for i in refused:
        expected = best_cost(model, X.iloc[i], rules, weights, norm)
        if math.isinf(expected):
            same = result.status[i] == "infeasible"
        else:
            same = result.status[i] == "optimal" and math.isclose(
                result.cost[i], expected, rel_tol=1e-6
            )
        if not same:
            wrong.append(i)
    return len(refused), wrong


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_exact_is_optimal_or_proves_that_nothing_is(norm):
    refused, several, infeasible, kinds = 0, [], 0, set()
    for seed in (0, 1, 5, 6, 8, 9, 11):
        model, X, rules, weights = draw_problem(seed, across=False)
        people = X.head(40)
        result = solve(model, people, rules, weights, norm, "exact")
        count, wrong = compare(result, people, model, rules, weights, norm)
        assert wrong == []
        refused += count
        kinds |= {*rules, rules["max_changes"]}
        infeasible += int((result.status == "infeasible").sum())
        several += result.changed.sum(axis=1)[result.reachable].tolist()
    # The control that the problems are no trivial ones.
    assert refused > 200 and infeasible > 2
    assert {"increasing", "transitions", "min_change", "max_change", None, 2, 3, 4} <= kinds
    assert np.mean(np.array(several) >= 2) > 0.5


_MORE_PROGRAMS = [(3, "l1"), (2, "l2"), (3, "l2")]


@pytest.mark.parametrize(
    ("n_classes", "norm"),
    [(2, "l1"), *(pytest.param(*case, marks=pytest.mark.slow) for case in _MORE_PROGRAMS)],
)
def test_mixed_integer_programs_agree_with_brute_force(n_classes, norm):
    refused, kinds, constraints = 0, set(), set()
    for seed in (101, 102, 108) if norm == "l1" else (100, 103):
        model, X, rules, weights = draw_problem(seed, across=True, n_classes=n_classes)
        people = X.head(6 if norm == "l1" else 4)
        for method in ("milp", "exact") if n_classes == 2 else ("milp",):
            result = solve(model, people, rules, weights, norm, method)
            count, wrong = compare(result, people, model, rules, weights, norm)
            assert wrong == []
        refused += count
        kinds |= {*rules, rules["max_changes"]}
        constraints |= {*rules["constraints"]}
    assert refused > (10 if norm == "l1" else 4)
    # All rules of the pool were in force but one at most.
    assert len(constraints) >= 6
    assert norm == "l2" or {"transitions", "max_change"} <= kinds
    assert (norm, n_classes) != ("l1", 2) or {"increasing", "min_change", None, 2, 3} <= kinds


def test_a_wrong_rule_is_noticed():
    model, X, rules, weights = draw_problem(3, across=False)
    result = solve(model, X.head(40), rules, weights, "l1", "exact")
    wider = rules | {"max_changes": 1 if rules["max_changes"] != 1 else 2}
    assert compare(result, X.head(40), model, wider, weights, "l1")[1]
    looser = rules | {"bounds": rules["bounds"] | {"a": (0, 12)}, "max_change": {}}
    assert compare(result, X.head(40), model, looser, weights, "l1")[1]


def test_methods_agree_and_auto_says_which_it_took():
    model, X, rules, weights = draw_problem(7, across=False)
    exact = solve(model, X.head(40), rules, weights, "l1", "exact")
    milp = solve(model, X.head(40), rules, weights, "l1", "milp")
    assert exact.status.tolist() == milp.status.tolist()
    np.testing.assert_allclose(exact.cost, milp.cost, rtol=1e-6)
    auto = solve(model, X.head(40), rules, weights, "l1", "auto")
    assert auto.method == "exact" and "method=exact" in auto.protocol
    coupled = rules | {"constraints": ["a + b <= 12"]}
    assert solve(model, X.head(5), coupled, weights, "l1", "auto").method == "exact"


def test_proved_bounds_never_exceed_the_cost():
    model, X, rules, weights = draw_problem(5, across=False)
    for method in ("exact", "milp", "gradient"):
        result = solve(model, X.head(30), rules, weights, "l1", method)
        found = result.reachable
        assert (result.lower_bound[found] <= result.cost[found] * (1 + 1e-9)).all()
        if method == "gradient":
            assert not result.lower_bound[found].any()
        else:
            assert (result.lower_bound[found] >= result.cost[found] * (1 - 1e-6)).all()
