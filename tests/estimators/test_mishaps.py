"""Interrupted fits and numbers that are not finite: what is kept, and what is said."""

from __future__ import annotations

import signal

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback, EarlyStopping

from skcfq import (
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseSolver,
    TeacherClassifier,
)
from skcfq.actions import ActionRegion
from skcfq.estimators import LearnedBits, TeacherActions
from skcfq.exceptions import DivergenceWarning, InterruptedWarning

pytestmark = pytest.mark.usefixtures("short_teachers")

CLASSIFIERS = [TeacherClassifier, QATClassifier, CFQClassifier]
STUDENTS = [QATClassifier, CFQClassifier]


@pytest.fixture(scope="module")
def tiny():
    return {"hidden_layer_sizes": (6,), "max_iter": 10, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def teacher(table):
    settings = {"max_iter": 20, "batch_size": 16, "random_state": 0}
    return TeacherClassifier((6,), **settings).fit(*table)


def made(classifier, teacher, tiny, **options):
    given = {} if classifier is TeacherClassifier else {"teacher": teacher}
    return classifier(**given, **{**tiny, **options})


def finite(model):
    return all(value.isfinite().all() for value in model.network_.state_dict().values())


class States(Callback):
    """The state after every pass."""

    def on_train_begin(self, net, **kwargs):
        self.states = [self.of(net)]

    def on_epoch_end(self, net, **kwargs):
        self.states.append(self.of(net))

    @staticmethod
    def of(net):
        parameters = net.module_.network.named_parameters()
        return {name: value.detach().clone() for name, value in parameters}


class Interrupt(States):
    """Somebody who presses Ctrl-C in the middle of a batch of some pass."""

    def __init__(self, epoch):
        self.epoch = epoch

    begun = 0

    def on_train_begin(self, net, **kwargs):
        super().on_train_begin(net)
        Interrupt.begun += 1
        self.ended, calls = False, []
        original = net.module_.loss_terms

        def interrupted(*batch):
            calls.append(len(net.history))
            if calls.count(self.epoch) == 2:
                # What Python raises on the signal, which a background job may ignore.
                raise KeyboardInterrupt
            return original(*batch)

        net.module_.loss_terms = interrupted

    def on_train_end(self, net, **kwargs):
        self.ended = True


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("epoch", [2, 4, 8])
def test_ctrl_c_keeps_what_is_trained(classifier, epoch, table, teacher, tiny):
    X, y = table
    interrupt = Interrupt(epoch)
    model = made(classifier, teacher, tiny, callbacks=[interrupt])
    with pytest.warns(InterruptedWarning, match=rf"interrupted in pass {epoch} of 10.*warm_start"):
        model.fit(X, y)
    assert interrupt.ended and model.interrupted_
    assert model.n_iter_ == len(model.history_) == epoch - 1
    assert list(model.history_.columns[:2]) == ["epoch", "train_loss"]
    assert model.predict(X).shape == y.shape
    assert finite(model)
    assert model.history_["epoch"].tolist() == list(range(1, epoch))
    # One batch of the pass had been learned from.
    last = interrupt.states[epoch - 1]
    weights = {name: value for name, value in last.items() if "weight" in name}
    assert not all(torch.equal(model.network_.state_dict()[k], v) for k, v in weights.items())
    if classifier is not TeacherClassifier:
        assert model.average_bits_ <= 4
        assert model.deployed().predict(X).tolist() == model.predict(X).tolist()
    model.set_params(warm_start=True, callbacks=None).fit(X, y)
    assert model.n_iter_ == 10 and not model.interrupted_
    assert len(model.history_) == epoch - 1 + 10


@pytest.mark.parametrize("classifier", STUDENTS)
def test_widths_are_chosen_where_the_search_is_interrupted(classifier, table, teacher, tiny):
    policy = LearnedBits(search_fraction=1.0)
    callbacks = [Interrupt(2)]
    model = made(classifier, teacher, tiny, budget=3, bit_policy=policy, callbacks=callbacks)
    with pytest.warns(InterruptedWarning):
        model.fit(*table)
    assert model.average_bits_ <= 3
    assert not model.network_.training


def test_ctrl_c_in_a_validation_pass_is_no_early_stop(table, teacher, tiny, monkeypatch):
    from skcfq.training._validation import Validation

    original = Validation.figures
    calls = []

    def figures(self):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Validation, "figures", figures)
    model = made(CFQClassifier, teacher, tiny, early_stopping=True)
    with pytest.warns(InterruptedWarning, match="in pass 3 of 10"):
        model.fit(*table)
    assert len(model.history_) == 2
    assert np.isfinite(model.history_.to_numpy(dtype=float)).all()


class Stop(Callback):
    """A callback that ends the training as skorch's early stopping does."""

    def __init__(self, where):
        setattr(self, where, self._stop)

    def _stop(self, net, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(
    "where", ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"]
)
def test_a_callback_may_stop_at_any_time(classifier, where, table, teacher, tiny):
    model = made(classifier, teacher, tiny, callbacks=[Stop(where)]).fit(*table)
    assert model.n_iter_ == {"on_epoch_end": 1, "on_train_end": 10}.get(where, 0)
    assert model.predict(table[0]).shape == (90,)


def interrupt_projections(monkeypatch, after):
    """Press Ctrl-C while an action set is asked where somebody may go."""
    original, calls = ActionRegion.project, []

    def project(self, points):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return original(self, points)

    monkeypatch.setattr(ActionRegion, "project", project)
    return calls


def unfitted(model):
    """Nothing that passes for a fitted model is left."""
    with pytest.raises(NotFittedError):
        check_is_fitted(model)
    return not [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_ctrl_c_in_the_first_pass_leaves_nothing(classifier, table, teacher, tiny):
    model = made(classifier, teacher, tiny, callbacks=[Interrupt(1)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table)
    assert unfitted(model)
    assert model.set_params(callbacks=None).fit(*table).n_iter_ == 10


@pytest.mark.parametrize("method", ["pgd", "solver"])
def test_ctrl_c_while_recourse_is_computed(method, table, teacher, tiny, monkeypatch):
    X, y = table
    calls = interrupt_projections(monkeypatch, after=1)
    solver = RecourseSolver(method="gradient", random_state=0) if method == "solver" else None
    actions = TeacherActions(method=method, solver=solver)
    model = CFQClassifier(teacher=teacher, teacher_actions=actions, **tiny)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert len(calls) == 2
    assert unfitted(model)
    monkeypatch.undo()
    assert len(model.fit(X, y).history_) == 10


def test_ctrl_c_in_a_second_fit_leaves_the_first(table, teacher, tiny, monkeypatch):
    X, y = table
    model = made(CFQClassifier, teacher, tiny, warm_start=True).fit(X, y)
    before, state = model.decision_function(X), dict(vars(model))
    interrupt_projections(monkeypatch, after=0)
    for warm_start in (True, False):
        with pytest.raises(KeyboardInterrupt):
            model.set_params(warm_start=warm_start).fit(X[:60], y[:60])
        np.testing.assert_array_equal(model.decision_function(X), before)
        assert all(vars(model)[name] is state[name] for name in state if name.endswith("_"))


@pytest.mark.parametrize("classifier", STUDENTS)
def test_ctrl_c_while_the_teacher_is_trained(classifier, table, tiny):
    teacher = TeacherClassifier((6,), max_iter=10, batch_size=16, callbacks=[Interrupt(3)])
    model = classifier(teacher=teacher, **tiny)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table)
    assert unfitted(model)


class Swallowing(MLPClassifier):
    """A classifier whose fit returns after Ctrl-C, as scikit-learn's own does."""

    def _backprop(self, *given):
        if self.t_ > 3 * 90:
            signal.raise_signal(signal.SIGINT)
        return super()._backprop(*given)


@pytest.fixture
def keyboard():
    """Let SIGINT raise KeyboardInterrupt, also where a background job ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore:Training interrupted by user")
@pytest.mark.usefixtures("keyboard")
def test_ctrl_c_that_a_teacher_swallows(table, tiny):
    model = QATClassifier(teacher=Swallowing((6,), max_iter=10), **tiny)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table)
    assert unfitted(model)


def search(model, X, y):
    return GridSearchCV(model, {"budget": [3, 4]}, cv=2).fit(X, y)


def ensemble(model, X, y):
    return VotingClassifier([("first", model), ("second", model)]).fit(X, y)


@pytest.mark.parametrize("work", [search, ensemble])
def test_what_fits_several_stops(work, table, teacher, tiny):
    """A fold, or a member, that saw three passes of ten would count like the others."""
    Interrupt.begun = 0
    model = QATClassifier(teacher=FrozenEstimator(teacher), callbacks=[Interrupt(4)], **tiny)
    with pytest.raises(KeyboardInterrupt):
        work(model, *table)
    assert Interrupt.begun == 1


def test_ctrl_c_in_the_rounding(table, teacher, tiny, monkeypatch):
    from skcfq.nn import _reconstruction

    original, calls = _reconstruction._Student.fit_scales, []

    def fit_scales(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(_reconstruction._Student, "fit_scales", fit_scales)
    model = made(CFQClassifier, teacher, tiny)
    with pytest.warns(InterruptedWarning, match="in the rounding that follows"):
        model.fit(*table)
    assert model.interrupted_ and model.n_iter_ == 10 and model.average_bits_ <= 4
    # The promise is kept all the same.
    assert model.logit_bias_ != 0
    assert model.deployed().predict(table[0]).tolist() == model.predict(table[0]).tolist()


@pytest.mark.parametrize("place", ["_end", "_keep"])
@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_ctrl_c_at_the_end_loses_nothing(
    classifier, place, table, teacher, tiny, keyboard, monkeypatch
):
    from skcfq.training._loop import TensorNet

    owner = TensorNet if place == "_end" else classifier
    original = getattr(owner, place)

    def pressed(self, *given):
        signal.raise_signal(signal.SIGINT)
        return original(self, *given)

    whole = made(classifier, teacher, tiny).fit(*table)
    assert not whole.interrupted_
    monkeypatch.setattr(owner, place, pressed)
    model = made(classifier, teacher, tiny)
    with pytest.warns(InterruptedWarning):
        model.fit(*table)
    assert model.interrupted_ and model.n_iter_ == 10
    if classifier is not CFQClassifier:
        np.testing.assert_array_equal(model.predict_proba(table[0]), whole.predict_proba(table[0]))


def test_calibration_is_whole_or_nothing(table, teacher, monkeypatch):
    from skcfq.estimators import _ptq

    def pressed(*given, **named):
        raise KeyboardInterrupt

    model = PTQClassifier(teacher=teacher).fit(*table)
    assert not model.interrupted_
    monkeypatch.setattr(_ptq, "calibrate_layers", pressed)
    model = PTQClassifier(teacher=teacher)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table)
    assert unfitted(model)


@pytest.mark.parametrize("classifier", STUDENTS)
def test_what_was_never_trained_is_not_shipped(classifier, table, teacher, tiny, tmp_path):
    model = made(classifier, teacher, tiny, callbacks=[Stop("on_train_begin")]).fit(*table)
    for write in (model.export, model.to_onnx):
        with pytest.raises(NotFittedError, match="never trained"):
            write(tmp_path / "model")
    assert not list(tmp_path.iterdir())
    # After a warm start without a pass it is what the first fit has made.
    model.set_params(callbacks=None, warm_start=True).fit(*table)
    model.set_params(callbacks=[Stop("on_train_begin")]).fit(*table)
    assert model.n_iter_ == 0
    model.export(tmp_path / "model")


class Poison(States):
    """A callback that breaks a weight after some pass."""

    def __init__(self, epoch, where="on_epoch_end"):
        self.epoch, self.where = epoch, where

    def _poison(self, net):
        with torch.no_grad():
            next(net.module_.network.parameters()).view(-1)[0] = float("nan")

    def on_epoch_end(self, net, **kwargs):
        super().on_epoch_end(net)
        if self.where == "on_epoch_end" and len(net.history) == self.epoch:
            self._poison(net)

    def on_batch_begin(self, net, training, **kwargs):
        if self.where == "on_batch_begin" and len(net.history) == self.epoch:
            self._poison(net)


@pytest.mark.parametrize("classifier", STUDENTS)
@pytest.mark.parametrize("rate", [100.0, 1e4, 1e30])
def test_a_rate_that_is_far_too_high_leaves_a_network(classifier, rate, table, teacher, tiny):
    """Steps are kept as logarithms: they are infinite long before these are."""
    model = made(classifier, teacher, {**tiny, "max_iter": 3}, learning_rate_init=rate)
    with pytest.warns(DivergenceWarning, match="Lower learning_rate_init"):
        model.fit(*table)
    assert np.isfinite(model.predict_proba(table[0])).all()


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(
    ("poison", "broken"),
    [
        (Poison(1, "on_batch_begin"), 1),
        (Poison(4, "on_batch_begin"), 4),
        (Poison(3), 3),
        (Poison(8), 8),
        (Poison(10), 10),
    ],
    ids=["first-batch", "batch", "search", "tuning", "end"],
)
def test_a_weight_that_is_not_finite(classifier, poison, broken, table, teacher, tiny):
    model = made(classifier, teacher, tiny, callbacks=[poison])
    if classifier is CFQClassifier:
        # The faithful objective sets a bias in the network that is kept.
        model.set_params(objective="paper")
    message = rf"no longer finite in pass {broken} of 10.*Lower learning_rate_init"
    with pytest.warns(DivergenceWarning, match=message):
        model.fit(*table)
    assert finite(model)
    assert model.n_iter_ == len(model.history_) == broken - 1
    assert np.isfinite(model.predict_proba(table[0])).all()
    kept = poison.states[broken - 1]
    searched = classifier is CFQClassifier and broken <= 6
    for name, value in kept.items():
        # Where widths were still searched, they are chosen now, and their steps refitted.
        if "log_" not in name or not searched:
            assert torch.equal(model.network_.state_dict()[name], value.double()), name
    if classifier is not TeacherClassifier:
        assert model.average_bits_ <= 4


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_huge_learning_rate(classifier, table, teacher, tiny):
    model = made(classifier, teacher, tiny, learning_rate_init=1e200)
    message = r"no longer finite in pass 1 of 10. The network is the one it started from.*1e\+200"
    with pytest.warns(DivergenceWarning, match=message):
        model.fit(*table)
    assert finite(model)
    if classifier is not TeacherClassifier:
        assert (model.predict(table[0]) == teacher.predict(table[0])).mean() > 0.9


@pytest.mark.parametrize("classifier", [TeacherClassifier, QATClassifier])
def test_statistics_of_normalization_are_kept_too(classifier, table):
    def normalized(n_inputs, n_classes):
        return torch.nn.Sequential(
            torch.nn.Linear(n_inputs, 6),
            torch.nn.BatchNorm1d(6),
            torch.nn.ReLU(),
            torch.nn.Linear(6, n_classes),
        )

    model = classifier(module=normalized, max_iter=4, batch_size=16, random_state=0)
    if classifier is QATClassifier:
        model.set_params(teacher=TeacherClassifier((6,), max_iter=2, random_state=0).fit(*table))
    model.set_params(learning_rate_init=1e200)
    with pytest.warns(DivergenceWarning, match="in pass 1 of 4.*the one it started from"):
        model.fit(*table)
    statistics = {k: v for k, v in model.network_.state_dict().items() if "running" in k}
    assert len(statistics) == 2
    for name, value in statistics.items():
        assert (value == (1.0 if "var" in name else 0.0)).all(), name
    assert np.isfinite(model.predict_proba(table[0])).all()


def test_divergence_returns_to_the_best_pass(table, teacher, tiny):
    poison = Poison(9, "on_batch_begin")
    model = made(
        TeacherClassifier, None, tiny, early_stopping=True, callbacks=[poison], max_iter=12
    )
    with pytest.warns(DivergenceWarning, match="in pass 9 of 12"):
        model.fit(*table)
    best = int(model.history_["valid_loss"].idxmin()) + 1
    assert torch.equal(
        model.network_.layers[0].weight, poison.states[best]["layers.0.weight"].double()
    )


def test_a_batch_without_anybody_who_was_refused(teacher, table, tiny):
    """Three of ninety are refused: most batches of sixteen have none."""
    X, y = table
    refused = np.flatnonzero(teacher.predict(X) == 0)
    rows = np.r_[np.flatnonzero(teacher.predict(X) == 1), refused[:3]]
    labels = y[rows].copy()
    seen = []

    class Watch(Callback):
        def on_batch_begin(self, net, batch, training, **kwargs):
            seen.append(len(batch.positions))

    for objective in ("paper", "faithful"):
        model = made(CFQClassifier, teacher, tiny, objective=objective, batch_size=4)
        model.set_params(callbacks=[Watch()]).fit(X[rows], labels)
        assert 0 in seen
        assert max(seen) > 0
        assert finite(model)
        assert np.isfinite(model.history_.to_numpy(dtype=float)).all()
        seen.clear()


def test_an_early_stopping_callback_of_the_user_reads_the_validation_loss(table, teacher, tiny):
    """Its default column is ours."""
    stop = EarlyStopping(patience=2, threshold=0.9, sink=lambda text: None)
    model = made(TeacherClassifier, None, tiny, early_stopping=True, callbacks=[stop])
    assert model.fit(*table).n_iter_ < 10
    assert isinstance(model.history_, pd.DataFrame)
