"""Objectives, teacher actions and policies through the estimator."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq import CFQClassifier, QATClassifier, RecourseSolver
from skcfq.actions import region_of
from skcfq.estimators import (
    BitPolicy,
    CFQObjective,
    Finish,
    FixedBits,
    Quantizer,
    SensitivityBits,
    TeacherActions,
)
from skcfq.exceptions import BudgetError, EmptyPopulationWarning
from skcfq.metrics import counterfactual_recourse_gap, validity_drop
from skcfq.models import as_predictor
from skcfq.training._conformal import quantile, share_for_others

pytestmark = pytest.mark.usefixtures("short_teachers")


@pytest.fixture(scope="module")
def shared(taught):
    return {**taught, "max_iter": 10, "batch_size": 32}


def fit(credit, shared, **parameters):
    return CFQClassifier(**{**shared, **parameters}).fit(credit.data, credit.target)


def test_faithful_keeps_the_price_where_validity_alone_is_lenient(credit, shared):
    solver = RecourseSolver(credit.action_set, target=credit.favorable, random_state=0)
    gaps = {}
    for name in ("faithful", "paper"):
        model = fit(credit, shared, objective=name, max_iter=40, quantizer=Quantizer(8))
        advice, own = solver.compare(model.teacher_, model, credit.data)
        gaps[name] = counterfactual_recourse_gap(advice, own)
        assert validity_drop(model.teacher_, model, advice) < 0.35
    assert gaps["faithful"] < 0.7 * gaps["paper"]


def test_matching_is_part_of_the_loss(credit, shared):
    objective = CFQObjective(matching=(0.5, 0.1))
    model = fit(credit, shared, objective=objective, max_iter=3)
    assert np.isfinite(model.history_["matching_loss"]).all()
    plain = fit(credit, shared, objective="paper", max_iter=3)
    assert not np.array_equal(
        model.decision_function(credit.data), plain.decision_function(credit.data)
    )


@pytest.mark.parametrize(
    "actions",
    [
        TeacherActions(online=True),
        TeacherActions(noise=0.1),
        TeacherActions(early_stopping=True),
        TeacherActions(share=0.25),
        TeacherActions(method="solver", max_people=20),
    ],
    ids=["online", "noise", "early", "share", "solver"],
)
def test_teacher_actions(actions, credit, shared):
    models = [fit(credit, shared, objective="paper", teacher_actions=actions) for _ in range(2)]
    first, second = (model.decision_function(credit.data) for model in models)
    np.testing.assert_array_equal(first, second)
    plain = fit(credit, shared, objective="paper")
    same = np.array_equal(first, plain.decision_function(credit.data))
    # Without noise the steps of a batch are those that were computed before.
    assert same == actions.online


def test_actions_obey_the_rules_and_stop_early(credit, shared):
    teacher = as_predictor(shared["teacher"].estimator)
    denied = shared["teacher"].predict(credit.data) != credit.favorable
    X = credit.data[denied]
    target = np.full(len(X), np.flatnonzero(teacher.classes == credit.favorable)[0])
    region = region_of(credit.action_set.compile(teacher.space), X)
    costs = {}
    for name, actions in {
        "all": TeacherActions(8),
        "early": TeacherActions(8, early_stopping=True),
        "noisy": TeacherActions(8, noise=0.3),
        "solver": TeacherActions(method="solver"),
    }.items():
        points, valid = actions.points(teacher, credit.action_set, X, target, seed=1)
        assert region.contains(points).all()
        assert valid.any()
        costs[name] = (points - region.origin).abs().sum(dim=1)
    assert (costs["early"] <= costs["all"] + 1e-9).double().mean() > 0.9
    assert not torch.equal(costs["noisy"], costs["all"])


def test_bias_holds_the_wanted_validity_drop(credit, shared):
    def accepted(drop):
        objective = CFQObjective.preset("faithful").set_params(finish__validity_drop=drop)
        model = fit(credit, shared, objective=objective)
        return np.mean(model.predict(credit.data) == credit.favorable)

    assert accepted(0.0) >= accepted(0.3) >= accepted(0.9)


@pytest.mark.parametrize(("n", "share"), [(30, 0.064), (50, 0.064), (60, 0.3), (400, 0.02)])
def test_as_many_others_as_wanted_lose_their_advice(n, share):
    """Slacks are uniform, so that the threshold is the share of others who are below it."""
    rng = torch.Generator().manual_seed(0)
    weights, thresholds = torch.ones(n), []
    for _ in range(4000):
        slack = torch.rand(n, generator=rng, dtype=torch.float64)
        thresholds.append(quantile(slack, weights, share_for_others(share, weights)))
    error = 4 * np.std(thresholds) / np.sqrt(4000)
    assert share - 1 / (n + 1) - error <= np.mean(thresholds) <= share + error


def test_a_weight_of_two_is_two_people_for_the_bias():
    slack, weights = torch.arange(20.0), torch.ones(20)
    weights[[2, 7]] = 2.0
    twice = torch.cat([slack, slack[[2, 7]]])
    for share in (0.05, 0.1, 0.2, 0.4):
        wanted = quantile(twice, torch.ones(22), share_for_others(share, torch.ones(22)))
        assert quantile(slack, weights, share_for_others(share, weights)) == wanted


def test_weights_that_sum_to_one_are_no_fewer_people():
    slack, weights = torch.arange(50.0), torch.ones(50)
    wanted = quantile(slack, weights, share_for_others(0.1, weights))
    assert wanted > 0
    assert quantile(slack, weights / 50, share_for_others(0.1, weights / 50)) == wanted


def test_bias_is_set_without_any_term_at_recourse_points(credit, shared):
    def bias(drop):
        objective = CFQObjective(
            task=0.1, eta=0.0, distillation=1.0, finish=Finish(validity_drop=drop)
        )
        actions = TeacherActions(method="solver")
        model = fit(credit, shared, objective=objective, teacher_actions=actions, max_iter=5)
        last = model.network_.layers[-1].bias
        return last[np.flatnonzero(model.classes_ == credit.favorable)[0]].item()

    assert bias(0.0) > bias(0.5)


def test_predict_changes_nothing_after_the_bias_is_set(credit, shared):
    model = fit(credit, shared, objective="faithful", max_iter=2)
    before = dict(model.__dict__)
    model.predict(credit.data)
    assert all(model.__dict__[name] is value for name, value in before.items())


class LastLayerWide(BitPolicy):
    """A user's own policy."""

    candidates = (2, 8)

    def choose(self, network, budget, sample):
        assert len(sample.points) > 0
        return [2, 8]


def test_policies(credit, shared):
    for policy, expected in (
        (FixedBits((3, 8)), [3, 8]),
        (LastLayerWide(), [2, 8]),
        (SensitivityBits(candidates=(4,)), [4, 4]),
    ):
        assert fit(credit, shared, bit_policy=policy, max_iter=2).bit_widths_.tolist() == expected
    with pytest.raises(BudgetError, match=r"exceed budget=2\.5"):
        fit(credit, shared, bit_policy=FixedBits((8, 2)), budget=2.5)
    with pytest.raises(BudgetError, match="below the smallest"):
        fit(credit, shared, bit_policy=FixedBits((3, 8)), budget=1.5)
    with pytest.raises(ValueError, match="one width for each"):
        fit(credit, shared, bit_policy=FixedBits((4, 4, 4)))
    with pytest.raises(ValueError, match="bit_policy.kind is 'guess'"):
        fit(credit, shared, bit_policy=SensitivityBits("guess"))


@pytest.mark.parametrize("kind", ["error", "counterfactual", "factual", "hessian"])
@pytest.mark.parametrize("allocation", ["exact", "greedy", "closed_form"])
def test_sensitivities_meet_the_budget(kind, allocation, credit, shared):
    policy = SensitivityBits(kind, allocation=allocation)
    model = CFQClassifier(3.4, bit_policy=policy, **{**shared, "max_iter": 1})
    assert model.fit(credit.data, credit.target).average_bits_ <= 3.4


def test_without_recourse_points_the_factual_gradient_chooses_and_says_so(credit, shared):
    def widths(kind):
        model = QATClassifier(3.4, bit_policy=SensitivityBits(kind), **{**shared, "max_iter": 1})
        return model.fit(credit.data, credit.target).bit_widths_.tolist()

    with pytest.warns(EmptyPopulationWarning, match="there is no recourse point"):
        found = widths("counterfactual")
    assert found == widths("factual")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("distillation", value) for value in ("a", None, True, 1j, [1.0], -1.0, 10**400)),
        *(("matching", value) for value in ("a", None, (1.0, "a"), (1.0, 2.0, 3.0), np.ones(3))),
        ("dither", 1),
        ("groups", 3),
        ("groups", {"a": None}),
        ("finish", "bias"),
        ("finish", Finish(validity_drop=1j)),
        ("finish", Finish(rounding=None)),
    ],
)
def test_an_objective_refuses_by_name_what_weighs_nothing(name, value):
    with pytest.raises(ValueError, match=rf"objective\.{name}.* is .*; give|objective.groups has"):
        CFQObjective(**{name: value}).check()


def test_weights_may_be_numbers_of_numpy(credit, shared):
    given = {"distillation": 0.5, "margins": 0.25, "path": 0.0, "mixup": 1.0}
    same = {name: np.float32(value) for name, value in given.items()}
    models = [
        fit(credit, shared, objective=CFQObjective(**one), max_iter=2) for one in (given, same)
    ]
    X = credit.data
    np.testing.assert_array_equal(*(model.decision_function(X) for model in models))
