"""Metrics on results: cases small enough for a pencil, and a loop that shares no code with them."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, RecourseResult, RecourseSolver
from skcfq.exceptions import (
    ActionSetError,
    EmptyPopulationWarning,
    SpaceMismatchError,
    TargetError,
)
from skcfq.metrics import (
    action_overlap,
    counterfactual_recourse_gap,
    direction_similarity,
    feasible_recourse_rate,
    validity_drop,
)


class AtLeast:
    """Grant whoever has at least so much in the first column."""

    def __init__(self, threshold):
        self.threshold = threshold

    def predict(self, X):
        first = np.asarray(X, dtype=float)[:, 0]
        return np.where(first >= self.threshold, "grant", "refuse")


def make_result(status, points, *, cost, delta=None, changed=None, target="grant", space="one"):
    status = np.asarray(status)
    n = len(status)
    valid = np.isin(status, ["optimal", "feasible", "already_favorable"])
    points = np.asarray(points if delta is None else delta, dtype=float).reshape(n, -1)
    delta = np.where(valid[:, None], points, np.nan)
    if changed is None:
        changed = np.nan_to_num(delta) != 0
    return RecourseResult(
        X=np.zeros_like(points),
        points=points,
        cost=np.asarray(cost, dtype=float),
        margin=np.zeros(n),
        status=status,
        valid=valid,
        changed=np.asarray(changed),
        target=np.full(n, target),
        actions=SimpleNamespace(
            feature_names=tuple(f"x{i}" for i in range(np.shape(changed)[1])),
            space=SimpleNamespace(fingerprint=space, encode=np.array),
        ),
        protocol="by hand",
        lower_bound=np.zeros(n),
        method="by hand",
        cost_function=None,
    )


@pytest.fixture
def pair():
    """Six people: favored, dearer, favored by the deployed model, lost, not found, cheaper."""
    reference = make_result(
        ["already_favorable", "feasible", "optimal", "feasible", "not_found", "feasible"],
        [[0, 0], [2, 0], [1, 0], [2, 2], [0, 0], [4, 0]],
        cost=[0, 2, 1, 4, np.nan, 4],
    )
    deployed = make_result(
        ["feasible", "feasible", "already_favorable", "not_found", "feasible", "feasible"],
        [[1, 0], [3, 0], [0, 0], [0, 0], [5, 0], [0, 3]],
        cost=[1, 3, 0, np.nan, 5, 3],
    )
    return reference, deployed


def test_gap_by_hand(pair):
    # gaps (3-2)/2, (0-1)/1 and (3-4)/4 of the three people whom both models can serve
    assert counterfactual_recourse_gap(*pair, kind="signed") == pytest.approx(-0.25)
    assert counterfactual_recourse_gap(*pair) == pytest.approx(1.75 / 3)
    assert counterfactual_recourse_gap(*pair, kind="median") == pytest.approx(-0.25)
    assert counterfactual_recourse_gap(*pair, kind="ratio") == pytest.approx(-1 / 7)


def test_gap_weights_count_like_copies(pair):
    weight = [1, 2, 1, 1, 1, 1]
    assert counterfactual_recourse_gap(*pair, kind="signed", sample_weight=weight) == pytest.approx(
        (0.5 + 0.5 - 1 - 0.25) / 4
    )
    assert counterfactual_recourse_gap(*pair, kind="ratio", sample_weight=weight) == pytest.approx(
        (1 + 1 - 1 - 1) / (2 + 2 + 1 + 4)
    )
    # gaps -1, -.25, .5, .5: the median lies between the second and the third
    assert counterfactual_recourse_gap(*pair, kind="median", sample_weight=weight) == pytest.approx(
        0.125
    )


def test_direction_and_overlap_by_hand(pair):
    # the same direction, no direction, a right angle
    assert direction_similarity(*pair) == pytest.approx(1 / 3)
    assert action_overlap(*pair) == pytest.approx(1 / 3)
    assert action_overlap(*pair, threshold=0.0) == pytest.approx(1 / 3)
    assert action_overlap(*pair, threshold=2.5) == pytest.approx(0.0)


def test_overlap_counts_a_category_once():
    # One category moves two encoded coordinates; the number moves with it in one action only.
    first = make_result(["feasible"], [[0]], cost=[1], delta=[[1, -1, 2]], changed=[[True, True]])
    second = make_result(["feasible"], [[0]], cost=[1], delta=[[1, -1, 0]], changed=[[True, False]])
    assert action_overlap(first, second) == pytest.approx(1 / 2)
    assert action_overlap(first, second, threshold=0.5) == pytest.approx(2 / 3)


def test_feasible_recourse_rate_counts_denied_rows_only(pair):
    assert feasible_recourse_rate(pair[0]) == pytest.approx(4 / 5)
    assert feasible_recourse_rate(pair[1]) == pytest.approx(4 / 5)
    assert feasible_recourse_rate(pair[0], sample_weight=[9, 0, 0, 1, 1, 0]) == pytest.approx(1 / 2)


@pytest.fixture
def served():
    """One person who needs nothing, three reachable ones and one who is not."""
    return make_result(
        ["already_favorable", "feasible", "feasible", "feasible", "not_found"],
        [[1.5], [1.0], [2.0], [3.0], [0.0]],
        cost=[0, 1, 2, 3, np.nan],
    )


def test_validity_drop_by_hand(served):
    reference, deployed = AtLeast(1.0), AtLeast(2.0)
    assert validity_drop(reference, deployed, served) == pytest.approx(1 / 3)
    assert validity_drop(reference, deployed, served, kind="mismatch") == pytest.approx(2 / 4)
    assert validity_drop(
        reference, deployed, served, sample_weight=[9, 3, 1, 0, 9]
    ) == pytest.approx(3 / 4)
    assert validity_drop(reference, reference, served) == 0.0


def test_validity_drop_reads_frames(served):
    from dataclasses import replace

    framed = replace(served, points=pd.DataFrame(served.points, index=list("abcde")))
    assert validity_drop(AtLeast(1.0), AtLeast(2.0), framed) == pytest.approx(1 / 3)


def test_validity_drop_refuses_another_reference(served):
    with pytest.raises(ValueError, match="not solved on `reference`.* 2 of 3"):
        validity_drop(AtLeast(2.5), AtLeast(2.0), served)


def empty_result():
    return make_result(["not_found", "not_found"], [[0.0], [0.0]], cost=[np.nan, np.nan])


@pytest.mark.parametrize(
    "metric",
    [
        lambda r: validity_drop(AtLeast(1), AtLeast(2), r),
        lambda r: validity_drop(AtLeast(1), AtLeast(2), r, kind="mismatch"),
        lambda r: counterfactual_recourse_gap(r, r),
        lambda r: counterfactual_recourse_gap(r, r, kind="median"),
        lambda r: counterfactual_recourse_gap(r, r, kind="ratio"),
        lambda r: direction_similarity(r, r),
        lambda r: action_overlap(r, r),
        lambda r: feasible_recourse_rate(r, sample_weight=[0, 0]),
    ],
)
def test_nobody_gives_nan_and_a_warning(metric):
    with pytest.warns(EmptyPopulationWarning, match="is NaN"):
        assert math.isnan(metric(empty_result()))


def test_a_model_that_refuses_nobody_is_named_before_the_action_set():
    result = make_result(["already_favorable"] * 2, [9, 9], cost=[0, 0])
    with pytest.warns(EmptyPopulationWarning, match="The model gives the target to all of 2 rows"):
        feasible_recourse_rate(result)


def test_nobody_reachable_is_a_rate_of_zero():
    assert feasible_recourse_rate(empty_result()) == 0.0


@pytest.mark.parametrize(
    "metric", [counterfactual_recourse_gap, direction_similarity, action_overlap]
)
class TestResultsThatCannotBeCompared:
    def test_other_space(self, metric, pair):
        other = make_result(["feasible"] * 6, np.ones((6, 2)), cost=np.ones(6), space="two")
        with pytest.raises(SpaceMismatchError, match="one encoder"):
            metric(pair[0], other)

    def test_other_actions(self, metric, pair):
        other = make_result(
            ["feasible"] * 6, np.ones((6, 2)), cost=np.ones(6), changed=np.ones((6, 1), bool)
        )
        with pytest.raises(SpaceMismatchError, match="one action set"):
            metric(pair[0], other)

    def test_other_rows(self, metric, pair):
        other = make_result(["feasible"] * 2, np.ones((2, 2)), cost=np.ones(2))
        with pytest.raises(ValueError, match="6 rows and `result_deployed` has 2"):
            metric(pair[0], other)

    def test_other_target(self, metric, pair):
        other = make_result(["feasible"] * 6, np.ones((6, 2)), cost=np.ones(6), target="refuse")
        with pytest.raises(TargetError, match="different targets"):
            metric(pair[0], other)

    @pytest.mark.parametrize("name", ["margin", "perturbation_radius"])
    def test_other_distance_from_the_boundary(self, metric, pair, name):
        near, far = (
            replace(one, provenance={f"required_{name}": distance})
            for one, distance in zip(pair, [0.0, 1e-4], strict=True)
        )
        with pytest.raises(ValueError, match=f"{name}=0 .*{name}=0.0001.*compare"):
            metric(near, far)
        metric(near, replace(far, provenance=near.provenance))
        # What a result does not say about its distance cannot be another one.
        metric(near, replace(far, provenance={}))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: counterfactual_recourse_gap(r, r, kind="mean"), "'kind'"),
        (lambda r: validity_drop(AtLeast(1), AtLeast(1), r, kind="labels"), "'kind'"),
        (lambda r: action_overlap(r, r, threshold=-1.0), "'threshold'"),
        (lambda r: feasible_recourse_rate(r, sample_weight=[1.0, -1.0]), "`sample_weight`"),
        # Their sum is infinite, and a share of it would be 0.
        (lambda r: feasible_recourse_rate(r, sample_weight=[1e308, 1e308]), "`sample_weight`"),
        (lambda r: feasible_recourse_rate(r, sample_weight=[1.0, np.inf]), "sample_weight"),
        (lambda r: feasible_recourse_rate(r, sample_weight=[1.0]), r"shape \(1,\)"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(empty_result())


STATUS = st.sampled_from(["feasible", "optimal", "already_favorable", "not_found", "infeasible"])
PEOPLE = st.lists(
    st.tuples(
        STATUS,
        STATUS,
        st.floats(0.1, 9),
        st.floats(0.1, 9),
        st.tuples(*[st.sampled_from([-1.0, 0.0, 0.5, 2.0])] * 3),
        st.tuples(*[st.sampled_from([-1.0, 0.0, 0.5, 2.0])] * 3),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=12,
)


@given(PEOPLE)
def test_metrics_equal_their_definitions(people):
    results = [
        make_result(
            [p[side] for p in people],
            [[0.0]] * len(people),
            cost=[expected_cost(p[side], p[side + 2]) for p in people],
            delta=[expected_delta(p[side], p[side + 4]) for p in people],
        )
        for side in (0, 1)
    ]
    weight = [p[6] for p in people]
    gaps, cosines, overlaps, costs, changes = [], [], [], [], []
    for row, person in enumerate(people):
        if person[0] not in ("feasible", "optimal"):
            continue
        if person[1] not in ("feasible", "optimal", "already_favorable"):
            continue
        c_f, c_q = person[2], (0.0 if person[1] == "already_favorable" else person[3])
        d_f = person[4]
        d_q = (0.0, 0.0, 0.0) if person[1] == "already_favorable" else person[5]
        set_f = {j for j in range(3) if d_f[j] != 0}
        set_q = {j for j in range(3) if d_q[j] != 0}
        norm = math.sqrt(sum(a * a for a in d_f)) * math.sqrt(sum(b * b for b in d_q))
        dot = sum(a * b for a, b in zip(d_f, d_q, strict=True))
        for _ in range(weight[row]):
            gaps.append((c_q - c_f) / (c_f + 1e-9))
            cosines.append(dot / (norm + 1e-9))
            overlaps.append(len(set_f & set_q) / len(set_f | set_q) if set_f | set_q else 0.0)
            costs.append(c_f)
            changes.append(c_q - c_f)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EmptyPopulationWarning)
        got = [
            counterfactual_recourse_gap(*results, kind=kind, sample_weight=weight)
            for kind in ("signed", "absolute", "median", "ratio")
        ]
        got.append(direction_similarity(*results, sample_weight=weight))
        got.append(action_overlap(*results, sample_weight=weight))
    if not gaps:
        assert all(math.isnan(value) for value in got)
        return
    expected = [
        sum(gaps) / len(gaps),
        sum(abs(g) for g in gaps) / len(gaps),
        float(np.median(gaps)),
        sum(changes) / sum(costs),
        sum(cosines) / len(cosines),
        sum(overlaps) / len(overlaps),
    ]
    assert got == pytest.approx(expected, abs=1e-9)


def expected_cost(status, cost):
    return {"already_favorable": 0.0, "feasible": cost, "optimal": cost}.get(status, np.nan)


def expected_delta(status, delta):
    if status in ("feasible", "optimal"):
        return delta
    return (0.0,) * 3 if status == "already_favorable" else (np.nan,) * 3


def test_results_under_other_rules_or_costs_are_not_compared():
    X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    model = LogisticRegression().fit(X, [0, 0, 1, 1])
    solved = [
        RecourseSolver(rules, cost=cost).solve(model, X, background=X)
        for rules, cost in ((None, None), (None, "l2"), (ActionSet(max_changes=1), None))
    ]
    assert counterfactual_recourse_gap(solved[0], solved[0]) == 0
    same = RecourseSolver(ActionSet(cost="l2"), cost="l1").solve(model, X, background=X)
    assert counterfactual_recourse_gap(solved[0], same) == 0
    for other, words in ((solved[1], "different costs, 'l1'"), (solved[2], "different action set")):
        with pytest.raises(ActionSetError, match=f"{words}.*RecourseSolver.compare"):
            counterfactual_recourse_gap(solved[0], other)
