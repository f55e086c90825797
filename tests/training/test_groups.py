"""Groups of people in the training, in the rounding and in the promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from skcfq import CFQClassifier
from skcfq.estimators import CFQObjective, Quantizer, TeacherActions
from skcfq.models import as_predictor
from skcfq.nn import LossWeights
from skcfq.training import AdvisedPeople
from skcfq.training._conformal import (
    calibration_people,
    conformal_quantile_of_shares,
    quantile,
    share_for_others,
)
from skcfq.training._distillation_set import DistillationSet
from skcfq.training._groups import Groups, groups_of, labels_of_rows
from skcfq.training._supervision import Supervision

pytestmark = pytest.mark.usefixtures("short_teachers")


@pytest.fixture(scope="module")
def shared(taught):
    # Which group is the worst is to be seen in every batch; coarse activations lose something.
    return {**taught, "max_iter": 60, "batch_size": 240, "quantizer": Quantizer(4)}


@pytest.fixture(scope="module")
def losses(credit, shared):
    """Train with a rule; return the mean validity losses of a small group and of the others."""
    few = (credit.data["open_loans"] > credit.data["open_loans"].quantile(0.75)).to_numpy()
    rows = np.flatnonzero(shared["teacher"].predict(credit.data) != credit.favorable)
    target = np.full(len(rows), list(shared["teacher"].classes_).index(credit.favorable))
    actions = TeacherActions(method="solver")
    points, valid = actions.points(
        as_predictor(shared["teacher"]), credit.action_set, credit.data.iloc[rows], target
    )

    def of(rule):
        people = {} if rule is None else {"sensitive_features": np.where(few, "few", "others")}
        objective = CFQObjective(groups=rule)
        model = CFQClassifier(4, objective=objective, teacher_actions=actions, **shared)
        model.fit(credit.data, credit.target, **people)
        found = -model.network_(points.double()).log_softmax(1)[:, target[0]].detach().numpy()
        return [found[valid.numpy() & group[rows]].mean() for group in (few, ~few)]

    return of


@pytest.fixture(scope="module")
def alike(losses):
    return losses(None)


@pytest.mark.parametrize("rule", [{"few": 20.0, "others": 1.0}, "balanced"])
def test_a_small_group_that_counts_more_loses_less(rule, losses, alike):
    weighed = losses(rule)
    assert weighed[0] < 0.85 * alike[0]
    assert weighed[1] > alike[1]


def test_the_worst_group_loses_less(losses, alike):
    w = losses("worst")
    assert max(w) < max(alike)


def groups(codes, weights=None):
    given = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    return Groups(torch.tensor(codes), given)


def test_balanced_weights_have_the_shares_that_are_asked_for():
    rows, own = torch.tensor([0, 1, 3, 4]), torch.tensor([1.0, 2.0, 3.0, 4.0])
    balanced = groups([0, 1, 1, 1, 0], [1.0, 3.0]).balance(rows, own)
    assert balanced.sum() == own.sum()
    assert balanced[[0, 3]].sum() == pytest.approx(2.5)
    assert balanced[[1, 2]].sum() == pytest.approx(7.5)
    assert balanced[0] / balanced[3] == pytest.approx(1 / 4)
    alike = groups([0, 1, 1, 1, 0]).balance(rows, own)
    assert alike[[0, 3]].sum() == pytest.approx(5.0)


def test_a_group_that_is_not_there_takes_no_share():
    balanced = groups([0, 1, 2], [1.0, 1.0, 5.0]).balance(torch.tensor([0, 1]), torch.ones(2))
    assert balanced.tolist() == [1.0, 1.0]
    none = groups([0, 1], [0.0, 1.0]).balance(torch.tensor([0]), torch.ones(1))
    assert none.tolist() == [1.0]


def failing(given, n=400):
    """Return the shares of two groups who lose their advice once the bias is set."""
    codes = torch.arange(n) % 2
    # Those of group 1 are further on the wrong side.
    slack = torch.randn(n, generator=torch.Generator().manual_seed(0)) - 0.8 * codes
    ones, zeros = torch.ones(2, n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    people = AdvisedPeople(None, slack[:, None], codes * 0, ones[0], -ones[1], zeros, given(codes))
    bias = people.bias(slack.double(), 0.1)
    return [(slack[code::2] + bias < 0).double().mean().item() for code in (0, 1)]


def test_the_promise_is_to_all_together_or_to_each_group():
    all_alike, each = failing(lambda codes: None), failing(lambda codes: Groups(codes, None))
    assert np.mean(all_alike) <= 0.1 < max(all_alike)
    assert max(each) <= 0.1


def test_the_promise_weighs_groups():
    weights = torch.tensor([1.0, 9.0], dtype=torch.float64)
    weighed = failing(lambda codes: Groups(codes, weights))
    share = (weighed[0] + 9 * weighed[1]) / 10
    assert 0.08 <= share <= 0.1


@pytest.mark.parametrize("few", [200, 40, 10, 3])
@pytest.mark.parametrize("share", [0.02, 0.1])
def test_weighed_groups_of_others_lose_no_more_than_the_share(few, share):
    """Of uniform slacks, a threshold is the share of others below it, in each group."""
    rng = np.random.default_rng(0)
    codes = torch.tensor([0] * few + [1] * (400 - few))
    weights = torch.ones(400, dtype=torch.float64)
    shares = Groups(codes, torch.ones(2)).balance(torch.arange(400), weights)
    found = [
        conformal_quantile_of_shares(
            torch.from_numpy(rng.uniform(size=400)), weights, codes, shares, share
        )
        for _ in range(1000)
    ]
    # With too few people for the share, the lowest slack of all is what is left.
    enough = (1 / (few + 1) + 1 / (401 - few)) / 2 <= share
    assert np.mean(found) <= (share if enough else 0.01)


def test_one_group_is_weighed_as_everybody():
    slack = torch.from_numpy(np.random.default_rng(1).normal(size=57))
    ones, codes = torch.ones(57, dtype=torch.float64), torch.zeros(57, dtype=torch.int64)
    for share in (0.01, 0.05, 0.2, 0.5):
        wanted = quantile(slack, ones, share_for_others(share, ones))
        assert conformal_quantile_of_shares(slack, ones, codes, ones, share) == wanted


def test_as_many_of_each_group_are_held_out_where_each_is_promised_the_same():
    codes = torch.tensor([0] * 3000 + [1] * 600)
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(3600, 2)))
    everybody, ones = torch.ones(3600, dtype=torch.bool), torch.ones(3600, dtype=torch.float64)
    held = calibration_people(rows, everybody, ones, np.random.RandomState(0), codes=codes)
    counts = torch.bincount(codes[held])
    assert counts[0] == pytest.approx(0.2 * 3000, rel=0.1)
    assert counts[1] == pytest.approx(300, rel=0.15)


def test_points_count_by_group_in_the_rounding():
    """A group of one has half of what the points weigh; its twin in the other group adds to it."""
    rows = torch.tensor([[0.0], [1.0], [2.0], [0.0]], dtype=torch.float64)
    everybody = torch.ones(4, dtype=torch.bool)
    told = Supervision(
        rows + 1,
        torch.ones(4, dtype=torch.int64),
        everybody,
        everybody,
        torch.ones(4, dtype=torch.float64),
        groups([0, 1, 1, 1], [1.0, 1.0]),
    )
    source = DistillationSet(
        rows, torch.ones(4), told, LossWeights(margins=1.0), None, None, torch.Generator()
    )
    found = source._weights_of(torch.arange(4))
    assert found.tolist() == pytest.approx([2.0, 2 / 3, 2 / 3, 2 / 3])
    points, weights = source._distinct(torch.arange(4), rows, told.points, weights=found)
    assert points[:, 1].tolist() == [1.0, 2.0, 3.0]
    assert weights.tolist() == pytest.approx([8 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        ("worst", None, "without sensitive_features"),
        ({"a": 1.0}, np.array(["a", "c"]), r"no weight for the groups \['c'\]"),
        ("worst", labels_of_rows(["a", None], None, [0, 1]), "has 1 missing values"),
        ("worst", labels_of_rows(["a", np.nan], None, [0, 1]), "has 1 missing values"),
        ("worst", labels_of_rows(pd.Series([1.0, np.nan]), None, [0, 1]), "has 1 missing values"),
    ],
)
def test_missing_groups_are_named(rule, given, message):
    with pytest.raises(ValueError, match=message):
        groups_of(CFQObjective(groups=rule), given)


@pytest.mark.parametrize("weights", [{"a": -1.0, "b": 1.0}, {"a": np.inf}, {"a": 0.0}, {}])
def test_weights_of_groups_are_checked(weights):
    with pytest.raises(ValueError, match="objective.groups has the weights"):
        CFQObjective(groups=weights).check()


@pytest.mark.parametrize(
    ("first", "second"),
    [(1, "x"), (("f", 1), ("m", 1)), (np.float64, np.int64), (True, False), (1.5, 2.5)],
)
def test_groups_of_any_type_are_groups(first, second):
    given = labels_of_rows([first, second, first], None, [0, 1, 2])
    found = groups_of(CFQObjective(groups={first: 2.0, second: 3.0}), given)
    assert found.weights[found.codes].tolist() == [2.0, 3.0, 2.0]


def test_a_column_of_groups_is_read_and_two_are_refused():
    table = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert labels_of_rows(table[["a"]], None, table).tolist() == [1, 2]
    with pytest.raises(ValueError, match="sensitive_features must hold one group"):
        labels_of_rows(table, None, table)


def test_groups_that_are_not_asked_for_are_told(credit, shared):
    model = CFQClassifier(4, objective="paper", **{**shared, "max_iter": 1})
    with pytest.warns(UserWarning, match="objective.groups is None"):
        model.fit(credit.data, credit.target, sensitive_features=np.arange(len(credit.data)) % 2)


def test_missing_groups_are_refused_before_the_teacher_is_trained(credit, shared):
    model = CFQClassifier(4, objective=CFQObjective(groups="worst"), max_iter=1)
    with pytest.raises(ValueError, match="without sensitive_features"):
        model.fit(credit.data, credit.target)
    assert not hasattr(model, "teacher_")
