"""Cost weights against their definitions, fallbacks, and refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from skcfq.actions import ActionSet, compile_cost, region_of
from skcfq.encoding import TableEncoder
from skcfq.exceptions import ActionSetError, CostFallbackWarning

X = pd.DataFrame(
    {
        "age": [20.0, 30.0, 45.0, 70.0, 90.0, 31.0],
        "gain": [0.0, 0.0, 0.0, 0.0, 0.0, 900.0],
        "constant": [3.0] * 6,
        "job": ["x", "x", "x", "y", "y", "z"],
        "grade": ["low", "low", "mid", "mid", "high", "high"],
    }
)
ORDER = {"grade": ["low", "mid", "high"]}


def compiled(**rules):
    return ActionSet(ordinal=ORDER, **rules).compile(TableEncoder().fit(X).feature_space_)


def test_std_weights_are_the_inverse_spread_of_the_encoded_column():
    actions = compiled(immutable=["constant"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cost = compile_cost(actions)
    shares = np.array([3, 2, 1]) / 6
    job = np.sqrt((1 - (shares**2).sum()) / 2)
    grade = np.std([0, 0, 1, 1, 2, 2])
    assert actions.feature_names == ("age", "gain", "job", "grade")
    np.testing.assert_allclose(cost.feature_weights, [1, 1, 1 / job, 1 / grade])


def test_the_category_spread_is_that_of_half_the_squared_one_hot_distance():
    rng = np.random.default_rng(0)
    levels = rng.choice(3, 4000, p=[0.5, 0.3, 0.2])
    codes = np.eye(3)[levels]
    spread = np.sqrt(codes.var(axis=0).sum() / 2)
    table = pd.DataFrame({"job": np.array(["x", "y", "z"])[levels]})
    actions = ActionSet().compile(TableEncoder().fit(table).feature_space_)
    assert float(compile_cost(actions).feature_weights) == pytest.approx(1 / spread)


def test_mad_falls_back_to_std_and_std_to_one_with_a_single_warning():
    actions = compiled()
    with pytest.warns(CostFallbackWarning) as caught:
        cost = compile_cost(actions, cost_weights="mad")
    assert len(caught) == 1
    assert "['gain']" in str(caught[0].message)
    assert "['constant']" in str(caught[0].message)
    age = TableEncoder().fit_transform(X)[:, 0]
    mad = np.median(np.abs(age - np.median(age)))
    np.testing.assert_allclose(cost.feature_weights[:3], [1 / mad, 1, 1])


def test_uniform_given_and_named_weights():
    actions = compiled(immutable=["constant"])
    assert compile_cost(actions, cost_weights="uniform").feature_weights.tolist() == [1.0] * 4
    assert compile_cost(actions, cost_weights=[1, 2, 3, 4]).feature_weights.tolist() == [1, 2, 3, 4]
    named = compile_cost(actions, cost_weights={"gain": 7, "constant": 2}).feature_weights
    std = compile_cost(actions).feature_weights
    assert named.tolist() == [std[0], 7.0, std[2], std[3]]


def test_a_weight_that_is_given_needs_no_fallback():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_cost(compiled(), cost_weights={"constant": 1.0})


def test_a_category_pays_once_and_an_ordered_one_by_rank():
    actions = compiled(immutable=["constant", "age", "gain"])
    region = region_of(actions, X)
    cost = compile_cost(actions, cost_weights=[10.0, 1.0])
    levels = region.levels.clone()
    levels[:, 0] = (levels[:, 0] + 1) % 3
    names = actions.categorical[1].levels
    levels[:, 1] = names.index("high")
    paid = cost.contributions(region.values, levels, region)
    assert paid.tolist() == [[10, 2], [10, 2], [10, 1], [10, 1], [10, 0], [10, 0]]
    assert cost(region.assemble(region.values, levels), region).tolist() == [12, 12, 11, 11, 10, 10]
    assert cost(region.origin, region).tolist() == [0.0] * 6
    kept = torch.full_like(levels, -1)
    assert cost.of_state(region.values, kept, region).tolist() == [0.0] * 6


def test_norms_on_a_case_small_enough_to_check_by_hand():
    actions = compiled(immutable=["constant", "job", "grade"])
    region = region_of(actions, X.iloc[:1])
    move = region.origin.clone()
    move[0, 0] += 3.0
    move[0, 1] += 4.0
    by_norm = {
        norm: float(
            compile_cost(actions, cost=norm, cost_weights="uniform", cost_mix=0.25)(move, region)
        )
        for norm in ("l1", "l2", "mixed")
    }
    assert by_norm == pytest.approx({"l1": 7.0, "l2": 5.0, "mixed": 0.25 * 7 + 0.75 * 5})


def test_the_spread_of_an_order_is_that_of_the_people_in_it():
    rules = ActionSet(ordinal={"grade": ["low", "high", "top"]}, immutable=list(X.columns[:4]))
    table = X.assign(grade=["low", "low", None, "low", "high", "top"])
    actions = rules.compile(TableEncoder().fit(table).feature_space_)
    expected = 1 / np.std([0, 0, 0, 1, 2])
    assert float(compile_cost(actions).feature_weights) == pytest.approx(expected)


@pytest.mark.parametrize("norm", ["l1", "l2", "mixed"])
def test_one_number_that_contributes_something_else_is_priced_as_if_all_were_summed(norm):
    cost = compile_cost(compiled(immutable=["constant"]), cost=norm, cost_mix=0.3)
    rng = np.random.RandomState(0)
    contributions, moved = torch.from_numpy(rng.rand(5, 4)), torch.from_numpy(rng.rand(5, 2))
    for j in range(2):
        other = contributions.clone()
        other[:, j] = moved[:, j]
        found = cost.with_moves(contributions, moved)[:, j]
        torch.testing.assert_close(found, cost.combine(other), rtol=1e-12, atol=0)


def test_gradient_of_the_cost_is_finite_where_nothing_moves():
    actions = compiled(immutable=["constant"])
    region = region_of(actions, X)
    for norm in ("l1", "l2", "mixed"):
        values = region.values.clone().requires_grad_()
        compile_cost(actions, cost=norm).of_state(values, region.levels, region).sum().backward()
        assert torch.isfinite(values.grad).all()


def test_nothing_to_change_costs_nothing():
    actions = compiled(immutable=list(X.columns))
    region = region_of(actions, X)
    for norm in ("l1", "l2", "mixed"):
        assert compile_cost(actions, cost=norm)(region.origin, region).tolist() == [0.0] * 6


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"cost": "l3"}, ActionSetError, "cost is 'l3'.*'l1'"),
        ({"cost_mix": 2}, ActionSetError, "cost_mix is 2"),
        ({"cost_weights": "sd"}, ActionSetError, "cost_weights is 'sd'.*'std'"),
        ({"cost_weights": 3}, ActionSetError, "cost_weights is 3.*'std'"),
        ({"cost_weights": [1.0, 2.0]}, ActionSetError, "cost_weights is .*4 features.*dict"),
        ({"cost_weights": ["a"] * 4}, ActionSetError, "cost_weights is .*4 features.*dict"),
        ({"cost_weights": {"agee": 1.0}}, ActionSetError, "cost_weights .*'agee'.*no column"),
        ({"cost_weights": {"age": 0.0}}, ActionSetError, "'age' is.*positive.*immutable"),
        ({"cost_weights": {"age": "1"}}, ActionSetError, "'age' is '1': a number"),
        ({"cost_weights": {"age": np.nan}}, ActionSetError, "'age' is.*number"),
    ],
)
def test_arguments_that_make_no_cost_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        compile_cost(compiled(immutable=["constant"]), **arguments)
    with pytest.raises(ActionSetError):
        compile_cost(compiled(immutable=["constant"], **arguments))


def test_an_action_set_carries_its_cost():
    held = ["constant", "job"]
    weights = {"gain": 7, "job": 3, 0: 2}
    own = compiled(immutable=held, cost="mixed", cost_mix=0.25, cost_weights=weights)
    cost, std = compile_cost(own), compile_cost(compiled(immutable=held))
    assert (cost.norm, cost.mix, cost.weighting) == ("mixed", 0.25, "given")
    expected = dict(zip(own.feature_names, std.weights, strict=True)) | {"gain": 7, "age": 2}
    assert dict(zip(own.feature_names, cost.weights, strict=True)) == expected
    other = compile_cost(own, cost="l1", cost_weights="std")
    assert (other.norm, other.weighting) == ("l1", "std")
    assert other.weights.tolist() == std.weights.tolist()
