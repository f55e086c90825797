"""Early stopping: who is held out, what is judged, when it counts and what is restored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skcfq import CFQClassifier, QATClassifier, TeacherClassifier
from skcfq.estimators import CFQObjective, LearnedBits, TeacherActions
from skcfq.exceptions import EmptyPopulationWarning
from skcfq.metrics import validity_drop
from skcfq.models import as_predictor
from skcfq.solvers import RecourseSolver
from skcfq.training._validation import held_out

pytestmark = pytest.mark.usefixtures("short_teachers")

CLASSIFIERS = [TeacherClassifier, QATClassifier, CFQClassifier]
VALIDATION = ["valid_loss", "valid_accuracy"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 4))
    return X, (X[:, 0] + 0.5 * X[:, 1] + 0.3 * rng.normal(size=160) > 0).astype(int)


@pytest.fixture(scope="module")
def tiny():
    return {"hidden_layer_sizes": (6,), "max_iter": 12, "batch_size": 16, "random_state": 0}


class States(Callback):
    """The weights after every pass."""

    def on_train_begin(self, net, **kwargs):
        self.weights, self.searching = [], []

    def on_epoch_end(self, net, **kwargs):
        module = net.module_
        self.weights.append(module.network.layers[0].weight.detach().clone().double())
        self.searching.append(getattr(module, "searching", False))


def best_pass(losses, first=0):
    """The last pass whose loss was lower than any before, by a ten-thousandth."""
    best = first
    for i in range(first, len(losses)):
        best = i if losses[i] < (1 - 1e-4) * losses[best] else best
    return best


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_it_stops_and_restores_the_best_pass(classifier, table, tiny):
    states = States()
    options = {**tiny, "max_iter": 200, "learning_rate_init": 0.05, "alpha": 0.0}
    model = classifier(early_stopping=True, n_iter_no_change=4, callbacks=[states], **options)
    if classifier is not TeacherClassifier:
        model.set_params(bit_policy="uniform", teacher=TeacherClassifier((6,), max_iter=4))
    if classifier is CFQClassifier:
        model.set_params(objective__finish__rounding=False)
    model.fit(*table)
    history = model.history_
    assert model.n_iter_ == len(history) < 200
    best = best_pass(history["valid_loss"])
    # At least four passes without an improvement came after it.
    assert best == len(history) - 1 - 4
    assert torch.equal(model.network_.layers[0].weight, states.weights[best])
    assert not torch.equal(model.network_.layers[0].weight, states.weights[-1])


@pytest.fixture
def shares(monkeypatch):
    """What every fit trained on and what it held out."""
    import skcfq.estimators._trained as shared

    found = []

    def spy(labels, fraction, seed):
        found.append(held_out(labels, fraction, seed))
        return found[-1]

    monkeypatch.setattr(shared, "held_out", spy)
    return found


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_validation_figures_are_those_of_the_held_out_rows(classifier, table, tiny, shares):
    X, y = table
    model = classifier(early_stopping=True, validation_fraction=0.25, n_iter_no_change=12, **tiny)
    if classifier is not TeacherClassifier:
        model.set_params(teacher=TeacherClassifier((6,), max_iter=30, batch_size=16).fit(X, y))
    if classifier is CFQClassifier:
        # The faithful objective moves the target's bias after the last pass.
        model.set_params(objective="paper")
    model.fit(X, y)
    ((trained, held),) = shares
    assert len(held) == 40
    assert sorted([*trained, *held]) == list(range(160))
    assert abs(y[held].mean() - y[trained].mean()) < 0.02
    searched = 6 if classifier is CFQClassifier else 0
    best = best_pass(model.history_["valid_loss"], first=searched)
    # Fake quantization in training and integers in use are the same function.
    accuracy = model.history_["valid_accuracy"][best]
    assert accuracy == pytest.approx(model.score(X[held], y[held]))
    if classifier is CFQClassifier:
        expected = drop_of_steps(model, X[held])
        assert model.history_["valid_validity_drop"][best] == pytest.approx(expected)


def drop_of_steps(model, X):
    """The validity drop of the points that the paper's objective trains on."""
    result = RecourseSolver(target=1, method="pgd", n_steps=3, step_size=0.5).solve(
        model.teacher_, X
    )
    return validity_drop(model.teacher_, model, result)


def test_people_count_once_whatever_the_weight_of_their_class(table, tiny, shares):
    X, y = table
    teacher = TeacherClassifier((6,), max_iter=30, batch_size=16, random_state=0).fit(X, y)
    # A strict student loses some people, but not all.
    options = {**tiny, "max_iter": 1, "class_weight": {0: 50.0, 1: 1.0}, "bit_policy": "uniform"}
    model = CFQClassifier(
        2,
        objective=CFQObjective(eta=0.01),
        teacher=teacher,
        early_stopping=True,
        validation_fraction=0.4,
        learning_rate_init=0.05,
        **options,
    ).fit(X, y)
    ((_, held),) = shares
    expected = drop_of_steps(model, X[held])
    assert 0 < expected < 1
    assert model.history_["valid_validity_drop"].iloc[-1] == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["paper", "faithful"])
def test_what_is_judged_has_the_recourse_terms(objective, table, tiny):
    model = CFQClassifier(objective=objective, early_stopping=True, n_iter_no_change=50, **tiny)
    history = model.fit(*table).history_
    assert list(history.columns[-4:]) == [*VALIDATION, "valid_validity_drop", "seconds"]
    assert np.isfinite(history.to_numpy(dtype=float)).all()
    assert history["valid_validity_drop"].between(0, 1).all()
    # The loss is more than the task's: no validity term would make it that of plain training.
    plain = QATClassifier(bit_policy="learned", early_stopping=True, n_iter_no_change=50, **tiny)
    plain.fit(*table)
    assert list(plain.history_.columns[-3:]) == [*VALIDATION, "seconds"]
    assert abs(history["valid_loss"][0] - plain.history_["valid_loss"][0]) > 1e-3


@pytest.mark.parametrize(
    "objective", [CFQObjective(matching=0.1), CFQObjective(groups="worst"), CFQObjective(path=1.0)]
)
def test_every_term_can_be_judged(objective, table, tiny):
    people = {"sensitive_features": np.arange(160) % 2} if objective.groups else {}
    model = CFQClassifier(objective=objective, early_stopping=True, **tiny)
    history = model.fit(*table, **people).history_
    assert np.isfinite(history["valid_loss"]).all()


def test_the_same_network_is_judged_the_same(table, tiny):
    """Samples on paths and of mixup are the same in all passes: else the best is the luckiest."""

    class Freeze(Callback):
        def on_train_begin(self, net, **kwargs):
            for group in net.optimizer_.param_groups:
                group["lr"] = group["initial_lr"] = 0.0

        def on_epoch_begin(self, net, **kwargs):
            self.on_train_begin(net)

    options = {**tiny, "max_iter": 4}
    model = CFQClassifier(
        objective="faithful", bit_policy="uniform", early_stopping=True, **options
    ).set_params(callbacks=[Freeze()])
    history = model.fit(*table).history_
    assert history["valid_loss"].nunique() == 1
    assert history["train_loss"].nunique() > 1


def test_patience_counts_from_the_chosen_widths_on(table, tiny):
    states = States()
    options = {**tiny, "max_iter": 40}
    model = CFQClassifier(
        bit_policy=LearnedBits(search_fraction=0.5), early_stopping=True, n_iter_no_change=1
    ).set_params(callbacks=[states], objective__finish__rounding=False, **options)
    model.fit(*table)
    assert states.searching.count(True) == 20
    assert 20 < model.n_iter_ < 40
    assert model.average_bits_ <= 4
    chosen = best_pass(model.history_["valid_loss"], first=20)
    assert chosen == model.n_iter_ - 2
    assert torch.equal(model.network_.layers[0].weight, states.weights[chosen])
    # A search that takes the whole training leaves nothing to stop.
    searching = CFQClassifier(
        bit_policy=LearnedBits(search_fraction=1.0), early_stopping=True, n_iter_no_change=1
    ).set_params(**tiny)
    assert searching.fit(*table).n_iter_ == 12
    assert searching.average_bits_ <= 4


def test_online_actions_are_judged_at_fixed_points(table, tiny):
    actions = TeacherActions(online=True, noise=0.2)
    model = CFQClassifier(teacher_actions=actions, early_stopping=True, **tiny).fit(*table)
    assert model.history_["valid_validity_drop"].between(0, 1).all()
    assert actions.online


def test_only_points_that_the_teacher_accepts_are_a_promise(table, tiny, monkeypatch):
    """Online actions may reach the target in a later pass; their first point may not."""
    seen = []
    choose = LearnedBits.start

    def spy(self, network, budget, sample):
        seen.append(sample)
        return choose(self, network, budget, sample)

    monkeypatch.setattr(LearnedBits, "start", spy)
    actions = TeacherActions(1, step_size=0.3, online=True)
    model = CFQClassifier(objective="paper", teacher_actions=actions, **tiny).fit(*table)
    refused = (model.teacher_.predict(table[0]) == 0).sum()
    (sample,) = seen
    assert 0 < len(sample.points) < refused
    slack = as_predictor(model.teacher_).logits(sample.points.double())
    assert (slack[:, 1] >= slack[:, 0]).all()


def test_nobody_refused_among_the_held_out(table, tiny):
    """The share is NaN-free where it exists, absent where nobody is refused: no second warning."""
    X, y = table
    teacher = TeacherClassifier((6,), max_iter=30, batch_size=16, random_state=0).fit(X, y)
    teacher.network_.layers[-1].bias[1] += 1e3
    model = CFQClassifier(teacher=teacher, early_stopping=True, **tiny)
    with pytest.warns(EmptyPopulationWarning, match="refuses nobody") as caught:
        model.fit(X, y)
    assert len(caught) == 1
    assert list(model.history_.columns[-3:]) == [*VALIDATION, "seconds"]


def test_the_default_teacher_does_not_see_the_held_out_rows(table, tiny, monkeypatch):
    seen = []
    original = TeacherClassifier.fit

    def spy(self, X, y, sample_weight=None):
        seen.append((len(X), self.early_stopping, self.n_iter_no_change))
        return original(self, X, y, sample_weight)

    monkeypatch.setattr(TeacherClassifier, "fit", spy)
    QATClassifier(early_stopping=True, validation_fraction=0.2, n_iter_no_change=5, **tiny).fit(
        *table
    )
    assert seen == [(128, True, 5)]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_too_few_rows_of_a_class(classifier, table, tiny):
    X, y = table[0][:20], np.r_[np.zeros(19), 1]
    with pytest.raises(ValueError, match=r"validation_fraction=0.1 of 20 rows.*Give more rows"):
        classifier(early_stopping=True, **tiny).fit(X, y)


def test_groups_follow_the_rows(table, tiny):
    """A group that fails would be seen: the groups of rows without weight are skipped too."""
    X, y = table
    groups = np.where(np.arange(160) < 80, "a", "b")
    weights = np.ones(160)
    weights[:10] = 0
    objective = CFQObjective(groups={"a": 1.0, "b": 0.0})
    model = CFQClassifier(objective=objective, early_stopping=True, **tiny)
    model.fit(X, y, weights, sensitive_features=groups)
    same = CFQClassifier(objective=objective, early_stopping=True, **tiny)
    same.fit(X[10:], y[10:], sensitive_features=groups[10:])
    np.testing.assert_array_equal(model.predict_proba(X), same.predict_proba(X))
