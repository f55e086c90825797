"""What a solver is given by mistake ends in an error that names it, and hangs nowhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from skcfq.actions import ActionSet
from skcfq.exceptions import ActionSetError, UnsupportedModelError
from skcfq.solvers import RecourseSolver

X = np.random.RandomState(0).randn(30, 2)
MODEL = LogisticRegression().fit(X, X[:, 0] > 0)
FAVORED = int(np.flatnonzero(MODEL.predict(X))[0])
HUGE = [2**70, 10**400, 1e300]


def solve(method="exact", action_set=None, parameters=(), **arguments):
    solver = RecourseSolver(action_set, method=method, **dict(parameters))
    return solver.solve(MODEL, X, background=X, **arguments)


@pytest.mark.parametrize(
    "weights", ["sd", 3, [1, 2, 3], ["a", "b"], {"q": 1}, {0: -1}, {0: "a"}, np.array(3)]
)
def test_errors_about_weights_of_the_cost_name_their_parameter(weights):
    with pytest.raises(ValueError, match="cost_weights"):
        solve(parameters={"cost_weights": weights})
    if not isinstance(weights, list):
        with pytest.raises(ActionSetError, match="cost_weights"):
            solve(action_set=ActionSet(cost_weights=weights))


@pytest.mark.parametrize("start", ["x", 3, [1, 2], X[:5], X[:, :1], pd.DataFrame(X[:-1])])
def test_a_start_of_other_rows_or_columns_is_refused(start):
    with pytest.raises(ValueError, match=r"`start` .*X has shape \(30, 2\).*result.points"):
        solve("gradient", start=start)


def test_a_start_may_be_a_nested_list():
    assert solve("gradient", start=X.tolist()).reachable.any()


@pytest.mark.parametrize("variants", [MODEL, "x", 3, None, lambda X: X])
def test_variants_are_a_list(variants):
    with pytest.raises(ValueError, match="`variants` is .*give a list of further models"):
        solve(variants=variants)
    with pytest.raises(UnsupportedModelError):
        solve(variants=[3])


@pytest.mark.parametrize("row", [FAVORED, int(np.flatnonzero(~MODEL.predict(X))[0])])
@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"bounds": "x"}, "bounds.*a dict is needed"),
        ({"bounds": {0: "x"}}, "a pair"),
        ({"bounds": {0: np.array(3)}}, "a pair"),
        ({"bounds": {0: (1, 0)}}, "above the upper"),
        ({"bounds": {0: (None, np.nan)}}, "a number is needed"),
        ({"bounds": {0: (None, 10**400)}}, "a number is needed"),
        ({"bounds": {"q": (0, 1)}}, "'q', which is no column"),
        ({"immutable": "ab"}, "a list of names"),
        ({"immutable": np.array(0)}, "a list of names"),
        ({"bound": {}}, "with the keys"),
    ],
)
def test_overrides_are_read_for_everybody_who_is_named(row, rules, words):
    with pytest.raises(ActionSetError, match=f"overrides.*{words}"):
        solve(overrides={row: rules})


@pytest.mark.parametrize(
    "name",
    ["weight_radius", "beam_width", "step_size", "n_restarts", "n_steps", "n_alternatives"]
    + ["perturbation_radius"],
)
def test_numbers_that_a_loop_follows_have_an_upper_limit(name):
    for value in HUGE:
        with pytest.raises(ValueError, match=f"'{name}' parameter of RecourseSolver"):
            solve("gradient", parameters={name: value})


def test_a_step_size_may_be_any_real_number():
    points = [
        solve("pgd", parameters={"step_size": size}).points for size in (1.0, 1, np.float32(1))
    ]
    np.testing.assert_array_equal(points[0], points[1])
    np.testing.assert_array_equal(points[0], points[2])


@pytest.mark.parametrize("margin", [*HUGE, -1.0, "wide"])
def test_a_margin_has_a_limit(margin):
    with pytest.raises(ValueError, match="'margin' parameter of RecourseSolver"):
        solve(parameters={"margin": margin})


def test_seconds_may_be_a_number_of_numpy():
    result = solve(parameters={"time_limit": np.float32(60.0)})
    assert (result.status[result.denied] == "optimal").all()
