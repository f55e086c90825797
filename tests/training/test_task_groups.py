"""Groups in the terms at x: what they count, what follows what they lose, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score

from skcfq import CFQClassifier, QATClassifier, TeacherClassifier
from skcfq.estimators import CFQObjective, GroupBound
from skcfq.models import as_predictor
from skcfq.nn import GroupWeights, LossWeights, SampleTable
from skcfq.training import TaskGroups, TrainingPlan, faithful_module, held_out
from skcfq.training._networks import quantized_network
from skcfq.training._table import TrainingTable
from skcfq.training._task_groups import BoundedGroups, WorstGroup
from skcfq.training._validation import strata_of

N, FEW = 600, 60


@pytest.fixture(scope="module")
def crowd():
    """Table in which a tenth of the people follow another rule, and two logits cannot have both."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 2))
    groups = np.where(np.arange(N) < FEW, "few", "many")
    y = np.where(groups == "few", X[:, 0] + X[:, 1] > 0, X[:, 0] - X[:, 1] > 0).astype(int)
    return X, y, groups


@pytest.fixture(scope="module")
def settings(crowd):
    X, y, _ = crowd
    teacher = TeacherClassifier((), max_iter=5, random_state=0).fit(X, y)
    return {
        "teacher": FrozenEstimator(teacher),
        "hidden_layer_sizes": (),
        "max_iter": 15,
        "batch_size": 60,
        "learning_rate_init": 0.05,
        "random_state": 0,
    }


def accuracies(model, crowd):
    X, y, groups = crowd
    right = model.predict(X) == y
    return right[groups == "few"].mean(), right[groups == "many"].mean()


@pytest.fixture(scope="module")
def alike(crowd, settings):
    return QATClassifier(**settings).fit(*crowd[:2])


@pytest.mark.parametrize("rule", ["balanced", "worst", {"few": 3.0, "many": 1.0}], ids=str)
def test_a_group_that_counts_more_loses_less(rule, crowd, settings, alike):
    X, y, groups = crowd
    model = QATClassifier(task_groups=rule, **settings).fit(X, y, sensitive_features=groups)
    few, many = accuracies(model, crowd)
    plain = accuracies(alike, crowd)
    assert few > plain[0] + 0.1
    assert many < plain[1]


def test_a_bound_gives_back_what_a_group_lost_against_the_teacher(crowd, settings):
    """The teacher draws its line for the small group; without a bound, the student does not."""
    X, y, groups = crowd
    weighed = np.where(groups == "few", 9.0, 1.0)
    teacher = TeacherClassifier((), max_iter=15, random_state=0).fit(X, y, sample_weight=weighed)
    given = {**settings, "teacher": FrozenEstimator(teacher), "max_iter": 40}
    found = {}
    for rule in (GroupBound(1.0), GroupBound(0.0, rate=1.0)):
        model = QATClassifier(task_groups=rule, **given).fit(X, y, sensitive_features=groups)
        found[rule.accuracy_drop] = accuracies(model, crowd)[0]
        assert len(model.history_["group_accuracy_drop"]) == 40
    assert found[0.0] > found[1.0] + 0.05


def test_without_a_rule_groups_change_nothing_and_are_told(crowd, settings, alike):
    X, y, groups = crowd
    model = QATClassifier(**settings)
    with pytest.warns(UserWarning, match="sensitive_features is not used, because task_groups"):
        model.fit(X, y, sensitive_features=groups)
    np.testing.assert_array_equal(model.decision_function(X), alike.decision_function(X))


def test_one_group_is_everybody(crowd, settings, alike):
    X, y, _ = crowd
    for rule in ("balanced", "worst"):
        model = QATClassifier(task_groups=rule, **settings)
        model.fit(X, y, sensitive_features=["all"] * N)
        same = model.decision_function(X)
        np.testing.assert_allclose(same, alike.decision_function(X), rtol=1e-6)


def plan_of(crowd, settings, rule, held=None):
    X, y, groups = crowd
    codes = (groups == "many").astype(np.int64)
    ones = np.ones(N)
    table = TrainingTable(X, y.astype(np.int64), ones * 1.5, ones, torch.float64, codes)
    teacher = as_predictor(settings["teacher"])
    weights = torch.tensor([1.0, 1.0]).double() if rule == "balanced" else None
    bound = rule if isinstance(rule, GroupBound) else None
    task = None if rule is None else TaskGroups(["few", "many"], weights, bound)
    encoded = teacher.space.encode(X)
    rows = table.rows(encoded)
    loss = LossWeights(task=0.5, distillation=2.0, mixup=1.0)
    others = None if held is None else (table.take(held).rows(encoded[held]), None)
    return TrainingPlan(rows, teacher, teacher.space, loss, task_groups=task, held_out=others)


def module_of(plan):
    torch.manual_seed(0)
    network, _ = quantized_network(None, (), 2, 2, source=None, dtype=torch.float64, rows=None)
    network.calibrate(plan.rows.rows, plan.rows.weights, plan.span)
    generator = torch.Generator().manual_seed(0)
    return faithful_module(plan, network, generator, device=torch.device("cpu"))


def test_both_terms_at_x_are_weighed_and_no_other(crowd, settings):
    found = {}
    for rule in (None, "balanced"):
        plan = plan_of(crowd, settings, rule)
        module = module_of(plan)
        batch = SampleTable(plan.taught_rows(), module.needs_points).take(torch.arange(40, 90))
        found[rule] = {name: one.item() for name, one in module.loss_terms(batch).items()}
        losses = torch.nn.functional.cross_entropy(
            module.network(batch.rows), batch.labels, reduction="none"
        )
    # Rows 40 to 59 are of the small group, a tenth; two groups are to count the same.
    weights = np.array([5.0] * 20 + [5.0 / 9.0] * 30)
    expected = np.average(losses.detach().numpy(), weights=weights)
    assert found["balanced"]["task_loss"] == pytest.approx(expected)
    assert found[None]["task_loss"] == pytest.approx(losses.mean().item())
    assert found["balanced"]["distillation_loss"] != found[None]["distillation_loss"]
    assert found["balanced"]["mixup_loss"] == found[None]["mixup_loss"]
    parts = found["balanced"]
    total = 0.5 * parts["task_loss"] + 2 * parts["distillation_loss"] + parts["mixup_loss"]
    assert parts["loss"] == pytest.approx(total)


def test_the_worst_group_counts_by_the_exponential_of_its_loss(crowd, settings):
    plan = plan_of(crowd, settings, "worst")
    module = module_of(plan)
    update = WorstGroup(plan.task_groups, plan.rows)
    batch = SampleTable(plan.taught_rows(), module.needs_points).whole
    module.loss_terms(batch)
    logits = module.network(plan.rows.rows).log_softmax(1)
    losses = -logits[torch.arange(N), plan.rows.labels].detach().numpy()
    means = losses[:FEW].mean(), losses[FEW:].mean()
    assert update(module) == {"group_task_loss": pytest.approx(max(means))}
    q = np.exp(means) / np.exp(means).sum()
    assert update.weights.tolist() == pytest.approx(q)
    np.testing.assert_allclose(module.row_groups.factors, q / [0.1, 0.9])


def test_multipliers_follow_the_accuracy_on_held_out_rows(crowd, settings):
    held = np.arange(30, 130)
    plan = plan_of(crowd, settings, GroupBound(0.05, rate=2.0), held)
    module = module_of(plan)
    update = BoundedGroups(plan.task_groups, plan.rows, plan.held_out[0], plan.teacher)
    X, y, groups = (one[held] for one in crowd)
    right = module.network(plan.held_out[0].rows).argmax(1).numpy() == y
    lost = (settings["teacher"].predict(X) == y).astype(float) - right
    drops = np.array([lost[groups == name].mean() for name in ("few", "many")])
    assert update(module) == {"group_accuracy_drop": pytest.approx(drops.max())}
    expected = np.clip(2.0 * (drops - 0.05), 0, 1)
    assert update.multipliers.tolist() == pytest.approx(expected)
    np.testing.assert_allclose(module.row_groups.factors, 1 + expected / [0.1, 0.9])
    for _ in range(100):
        update(module)
    assert set(update.multipliers.tolist()) <= {0.0, 1.0}


def test_a_group_that_is_not_held_out_has_no_multiplier(crowd, settings):
    plan = plan_of(crowd, settings, GroupBound(0.0), np.arange(FEW, N))
    module = module_of(plan)
    update = BoundedGroups(plan.task_groups, plan.rows, plan.held_out[0], plan.teacher)
    update(module)
    assert update.drops(module)[0].isnan()
    assert update.multipliers[0] == 0
    assert module.network.training


def test_strata_hold_out_every_group_that_is_large_enough():
    rng = np.random.default_rng(0)
    labels = (rng.random(500) < 0.3).astype(np.int64)
    groups = np.where(np.arange(500) < 40, 0, 1)
    groups[-1] = 2
    table = TrainingTable(labels, labels, labels, labels, torch.float64, groups)
    rows, held = held_out(strata_of(table, 0.1), 0.1, 0)
    for group in (0, 1):
        for label in (0, 1):
            cell = (groups == group) & (labels == label)
            assert cell[held].sum() == pytest.approx(0.1 * cell.sum(), abs=1)
    assert sorted([*rows, *held]) == list(range(500))


@pytest.mark.parametrize("rule", ["balanced", "worst", GroupBound()], ids=str)
def test_groups_of_one_and_groups_without_positives(rule, crowd, settings):
    X, y, groups = crowd
    groups = np.where(y == 0, "never", groups)
    groups[5] = "alone"
    model = QATClassifier(task_groups=rule, **{**settings, "max_iter": 2})
    model.fit(X, y, sensitive_features=groups)
    assert np.isfinite(model.decision_function(X)).all()
    assert np.isfinite(model.history_.to_numpy()).all()


@pytest.mark.parametrize(
    ("rule", "given", "message"),
    [
        ("worst", None, "task_groups is 'worst', but fit was called without sensitive_features"),
        ({"few": 1.0}, "groups", r"task_groups has no weight for the groups \['many'\]"),
        ({"few": -1.0}, "groups", "task_groups has the weights"),
        (GroupBound(-1.0), "groups", "task_groups.accuracy_drop is -1.0"),
        ("balanced", [np.nan] * N, "has 600 missing values"),
        ("balanced", ["a"] * 3, "must hold one group"),
    ],
)
def test_what_is_refused(rule, given, message, crowd, settings):
    X, y, groups = crowd
    given = groups if isinstance(given, str) else given
    for model, where in (
        (QATClassifier(task_groups=rule, **settings), ""),
        (CFQClassifier(objective=CFQObjective(task_groups=rule), **settings), r"objective\."),
    ):
        says = where + message if message.startswith("task_groups") else message
        with pytest.raises(ValueError, match=says):
            model.fit(X, y, sensitive_features=given)
        assert not hasattr(model, "classes_")


def test_terms_at_recourse_points_have_a_switch_of_their_own(credit, taught):
    groups = credit.data["sex"].to_numpy()
    given = {**taught, "max_iter": 2}
    found = []
    for rules in ({}, {"task_groups": {"male": 0.0, "female": 1.0}}):
        objective = CFQObjective(**rules)
        told = {"sensitive_features": groups} if rules else {}
        model = CFQClassifier(4, objective=objective, **given)
        model.fit(credit.data, credit.target, **told)
        found.append(model.history_.loc[0, ["task_loss", "validity_loss"]].to_numpy())
    plain, of_task = found
    # The first batch is the whole table: what is reported there is before any step.
    assert of_task[0] != plain[0]
    assert of_task[1] == plain[1]


def test_grids_clones_and_routing(crowd, settings):
    X, y, groups = crowd
    model = QATClassifier(**{**settings, "max_iter": 2})
    bound = clone(model).set_params(task_groups__accuracy_drop=0.1).task_groups
    assert bound.accuracy_drop == 0.1
    objective = CFQClassifier().set_params(objective__task_groups__rate=3.0).objective
    assert objective.task_groups.rate == 3.0
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(sensitive_features=True)
        grid = {"task_groups": ["balanced", "worst"]}
        search = GridSearchCV(model, grid, cv=2, error_score="raise")
        search.fit(X, y, sensitive_features=groups)
        assert set(search.best_estimator_.predict(X)) <= {0, 1}
        given = {"sensitive_features": groups}
        scores = cross_val_score(
            model.set_params(task_groups="worst"), X, y, params=given, cv=2, error_score="raise"
        )
    assert np.isfinite(scores).all()


def test_group_weights_without_rows():
    weights = GroupWeights(torch.tensor([1.0, 2.0]))
    assert weights.means().tolist() == [0.0, 0.0]


def test_a_bound_beside_early_stopping_and_in_a_pickle(crowd, settings):
    X, y, groups = crowd
    model = QATClassifier(task_groups=GroupBound(), early_stopping=True, **settings)
    model.fit(X, y, sensitive_features=groups)
    assert "group_accuracy_drop" in model.history_
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    model.set_params(warm_start=True, max_iter=2).fit(X, y, sensitive_features=groups)
    assert model.n_iter_ == 2
    assert model.history_["group_accuracy_drop"].notna().all()
