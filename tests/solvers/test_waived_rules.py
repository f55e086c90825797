"""Every method keeps to an if-then rule that somebody breaks already: it is waived, not void."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, RecourseSolver

# Hours, pay and savings.
BACKGROUND = np.array([[0.0, 0.0, 0.0], [100.0, 200.0, 10.0]])
RULE = "if `0` >= 40 then `1` >= 100"
PEOPLE = np.array(
    [
        [50.0, 20.0, 0.0],  # breaks the rule; more savings suffice
        [40.0, 0.0, 5.0],  # breaks it; savings do not suffice
        [30.0, 20.0, 0.0],  # obeys it
    ]
)
STEPS = {0: 5, 1: 20, 2: 1}
WEIGHTS = [0.1, 0.05, 0.6]
METHODS = ["milp", "gradient", "black_box"]


def model() -> LogisticRegression:
    """Return a model that likes hours, pay and savings."""
    fitted = LogisticRegression().fit(BACKGROUND, [0, 1])
    fitted.coef_ = np.array([[1.0, 0.1, 5.0]])
    fitted.intercept_ = np.array([-90.5])
    return fitted


def solve(method: str, *constraints: str):
    rules = ActionSet(steps=STEPS, constraints=list(constraints))
    solver = RecourseSolver(rules, method=method, cost_weights=WEIGHTS, random_state=0)
    return solver.solve(model(), PEOPLE, background=BACKGROUND)


def obeys(own: np.ndarray, point: np.ndarray) -> bool:
    """Say in plain words what the rule asks of somebody who breaks it already, or does not."""
    if point[0] < 40 or point[1] >= 100:
        return True
    was_broken = own[0] >= 40 and own[1] < 100
    return was_broken and point[0] == own[0] and point[1] == own[1]


def cheapest(own: np.ndarray) -> float:
    """Try every point of the grid."""
    axes = [
        sorted({*np.arange(0, high + 1, STEPS[j]), own[j]}) for j, high in enumerate([100, 200, 10])
    ]
    points = np.array([p for p in itertools.product(*axes) if obeys(own, np.array(p))])
    reached = points[model().decision_function(points) >= 1e-9]
    return float((np.abs(reached - own) @ WEIGHTS).min())


@pytest.mark.parametrize("method", METHODS)
def test_whoever_breaks_a_rule_does_not_move_what_it_names_any_deeper(method):
    result = solve(method, RULE)
    assert result.method == method
    assert result.reachable.all()
    pairs = list(zip(PEOPLE, result.points, strict=True))
    assert all(obeys(own, point) for own, point in pairs)
    # The control: without the rule, somebody who breaks it goes deeper.
    free = solve(method).points
    assert not all(obeys(own, point) for own, point in zip(PEOPLE, free, strict=True))
    best = np.array([cheapest(own) for own in PEOPLE])
    assert (result.cost >= best - 1e-9).all()
    if method == "milp":
        np.testing.assert_allclose(result.cost, best, rtol=1e-6)


def test_the_waiver_is_used_where_nothing_named_has_to_change():
    result = solve("milp", RULE)
    np.testing.assert_array_equal(result.points[0][:2], PEOPLE[0][:2])
    assert result.points[0][2] > 0
