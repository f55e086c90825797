"""What displays compute of people: their means are the metrics, their intervals exact."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from skcfq.metrics import (
    action_overlap,
    counterfactual_recourse_gap,
    deployment_success,
    direction_similarity,
    validity_drop,
)
from skcfq.plotting import (
    BudgetCurveDisplay,
    CostRobustnessDisplay,
    CostShiftDisplay,
    GroupDisplay,
    LayerSensitivityDisplay,
    MarginDisplay,
    MethodBarDisplay,
)
from skcfq.theory import estimated_sensitivities, target_margin


def metric_of(name, reference, deployed, pair, weight):
    """The metrics of the library, with a group as weights of 0 and 1."""
    return {
        "validity_drop": lambda: validity_drop(reference, deployed, pair[0], sample_weight=weight),
        "counterfactual_recourse_gap": lambda: counterfactual_recourse_gap(
            *pair, sample_weight=weight
        ),
        "signed_recourse_gap": lambda: counterfactual_recourse_gap(
            *pair, kind="signed", sample_weight=weight
        ),
        "direction_similarity": lambda: direction_similarity(*pair, sample_weight=weight),
        "action_overlap": lambda: action_overlap(*pair, sample_weight=weight),
    }[name]()


METRICS = [
    "validity_drop",
    "counterfactual_recourse_gap",
    "signed_recourse_gap",
    "direction_similarity",
    "action_overlap",
]


def test_some_advice_fails_and_some_holds(reference, deployed, pair):
    assert 0.1 < validity_drop(reference, deployed, pair[0]) < 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_figures_by_group_are_the_metric_of_the_group(reference, deployed, people, pair, metric):
    groups = np.where(people["age"] < 35, "young", "old")
    display = GroupDisplay.from_results(pair, deployed, groups, metric)
    for row in display.table.itertuples():
        weight = (groups == row.group).astype(float)
        expected = metric_of(metric, reference, deployed, pair, weight)
        assert row.value == pytest.approx(expected, rel=1e-12)
    (overall,) = display.overall.values()
    expected = metric_of(metric, reference, deployed, pair, np.ones(len(groups)))
    assert overall == pytest.approx(expected, rel=1e-12)
    assert display.protocol == pair[0].protocol


def test_estimators_and_results_give_the_same_figures(reference, deployed, people, pair, solver):
    groups = np.where(people["age"] < 35, "young", "old")
    solved = GroupDisplay.from_estimators(
        reference, {"coarse": deployed}, people, groups, solver=solver
    )
    read = GroupDisplay.from_results({"coarse": pair}, {"coarse": deployed}, groups)
    pd.testing.assert_frame_equal(solved.table, read.table)
    bars = MethodBarDisplay.from_estimators(reference, {"coarse": deployed}, people, solver=solver)
    assert bars.table["value"].tolist() == [read.overall["coarse"]]


def test_intervals_of_shares_are_those_of_scipy():
    values = np.repeat([0.0, 1.0, 0.0, 1.0, 0.0], [17, 3, 25, 25, 8])
    groups = np.repeat(["a", "b", "c"], [20, 50, 8])
    display = GroupDisplay.from_predictions(
        values, groups, "validity_drop", protocol="p", confidence=0.9
    )
    for row, (k, n) in zip(display.table.itertuples(), [(3, 20), (25, 50), (0, 8)], strict=True):
        exact = binomtest(k, n).proportion_ci(0.9, method="exact")
        assert (row.low, row.high) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_intervals_of_means_cover_what_a_normal_distribution_says():
    rng = np.random.RandomState(0)
    values = rng.normal(2.0, 1.0, 4000)
    display = GroupDisplay.from_predictions(
        values, np.full(4000, "all"), "signed_recourse_gap", protocol="p"
    )
    (row,) = display.table.itertuples()
    expected = 1.96 * values.std() / np.sqrt(4000)
    assert row.high - row.value == pytest.approx(expected, rel=0.15)
    assert row.value - row.low == pytest.approx(expected, rel=0.15)


def test_resampling_has_its_own_seed():
    values, groups = np.random.RandomState(1).gamma(1.0, size=60), np.repeat(["a", "b"], 30)
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    first, second = (
        GroupDisplay.from_predictions(values, groups, "signed_recourse_gap", protocol="p").table
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)
    assert np.array_equal(np.random.get_state()[1], before)


def test_people_outside_of_the_population_and_without_a_group_do_not_count():
    values = [1, 0, np.nan, 1, 1]
    groups = ["a", "a", "a", "b", None]
    display = GroupDisplay.from_predictions(values, groups, "validity_drop", protocol="p")
    assert display.table[["group", "value", "n"]].values.tolist() == [["a", 0.5, 2], ["b", 1.0, 1]]
    assert display.overall == {"all models": pytest.approx(2 / 3)}


def test_small_and_empty_groups_are_named_and_not_scored():
    values = [1.0] * 3 + [0.0] * 20 + [0.0] * 19 + [1.0] + [np.nan] * 4
    groups = ["few"] * 3 + ["a"] * 20 + ["b"] * 20 + ["none"] * 4
    display = GroupDisplay.from_predictions(
        values, groups, "validity_drop", protocol="p", min_group_size=5
    )
    assert display.worst == {"all models": "b"}
    assert "Too few people: few, none." in display.description
    labels = [label.get_text() for label in display.plot().ax_.get_yticklabels()]
    assert labels[0].replace("\xa0", " ") == "few (n = 3: too few)"


@pytest.mark.parametrize(
    ("metric", "worst"),
    [("validity_drop", "b"), ("direction_similarity", "a"), ("signed_recourse_gap", "c")],
)
def test_the_worst_group_depends_on_what_is_good(metric, worst):
    values = {"a": [0.1, 0.2], "b": [0.8, 0.9], "c": [-1.0, 0.9]}
    table = pd.DataFrame(
        {
            "method": "m",
            "group": list(values),
            "value": [0.1, 0.9, 0.5] if metric != "signed_recourse_gap" else [0.1, 0.2, -0.9],
            "low": np.nan,
            "high": np.nan,
            "n": 9,
        }
    )
    display = GroupDisplay(table=table, overall={"m": 0.3}, metric=metric, protocol="p")
    assert display.worst == {"m": worst}


def test_equal_groups_have_no_worst():
    display = GroupDisplay.from_predictions(
        [0, 1, 0, 1], ["a", "a", "b", "b"], "validity_drop", protocol="p"
    )
    assert display.worst == {}


def test_repeats_give_mean_and_standard_deviation():
    runs = pd.DataFrame(
        {"method": ["m"] * 4, "budget": [4, 2, 4, 4], "validity_drop": [0.1, 0.5, 0.2, 0.6]}
    )
    display = BudgetCurveDisplay.from_predictions(runs, "validity_drop", protocol="p")
    four, two = display.table.to_dict("records")
    assert (four["budget"], four["n"], two["n"]) == (4, 3, 1)
    assert four["value"] == pytest.approx(0.3)
    assert four["high"] - four["value"] == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1))
    assert np.isnan([two["low"], two["high"]]).all()


def test_budgets_are_read_off_models(reference, deployed, people, pair, solver):
    class WithBudget:
        def __init__(self, model, budget):
            self.model, self.budget = model, budget

        def __getattr__(self, name):
            return getattr(self.model, name)

    with pytest.raises(ValueError, match="without `budget`"):
        BudgetCurveDisplay.from_estimators(reference, {"m": [deployed]}, people, solver=solver)
    deployed.budget = 3
    try:
        display = BudgetCurveDisplay.from_estimators(
            reference, {"m": [deployed]}, people, solver=solver
        )
    finally:
        del deployed.budget
    assert display.table[["budget", "value"]].values.tolist() == [
        [3, validity_drop(reference, deployed, pair[0])]
    ]


def test_margins_are_those_at_the_points(reference, deployed, pair):
    display = MarginDisplay.from_estimators(reference, {"coarse": deployed}, pair[0])
    rows = pair[0].reachable
    expected = target_margin(deployed, pair[0].points[rows], target="yes")
    assert np.array_equal(display.margins["coarse"], np.sort(expected))
    assert display.shares_refused == {
        "reference": 0.0,
        "coarse": validity_drop(reference, deployed, pair[0]),
    }


def test_costs_of_one_person_are_one_dot(reference, deployed, pair):
    display = CostShiftDisplay.from_results(*pair, deployed)
    rows = pair[0].reachable
    assert np.array_equal(display.cost_reference, pair[0].cost[rows])
    assert np.array_equal(display.cost_deployed, pair[1].cost[rows], equal_nan=True)
    drop = validity_drop(reference, deployed, pair[0])
    assert display.failed.mean() == pytest.approx(drop)


def test_sensitivities_are_means_over_people_with_advice(deployed, pair):
    display = LayerSensitivityDisplay.from_estimator(deployed, pair[0], normalize=False)
    rows = pair[0].reachable
    expected = estimated_sensitivities(deployed, pair[0].points[rows], target="yes").mean(axis=0)
    assert np.array_equal(display.sensitivities["at recourse points"], expected)


def test_cost_and_robust_success_are_of_the_same_people(reference, deployed, people, solver, pair):
    dearer = solver.solve(reference, people.head(60))
    with pytest.raises(ValueError, match="different numbers"):
        CostRobustnessDisplay.from_results({"a": pair[0], "b": dearer}, [deployed])
    robust = solver.solve(reference, people, variants=[deployed])
    display = CostRobustnessDisplay.from_results({"a": pair[0], "b": robust}, [deployed])
    both = pair[0].reachable & robust.reachable
    assert display.table["cost"].tolist() == [r.cost[both].mean() for r in (pair[0], robust)]
    assert display.table["value"].tolist()[1] == 1.0
    expected = deployment_success(pair[0], [deployed], sample_weight=both.astype(float)).robust
    assert display.table["value"].tolist()[0] == expected
