"""Warm starts: what a second fit goes on from, what it counts, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from skcfq import CFQClassifier, QATClassifier, TeacherClassifier
from skcfq.estimators import LearnedBits, Quantizer, UniformBits
from skcfq.exceptions import BudgetError, SpaceMismatchError

pytestmark = pytest.mark.usefixtures("short_teachers")

CLASSIFIERS = [TeacherClassifier, QATClassifier, CFQClassifier]
STUDENTS = [QATClassifier, CFQClassifier]


@pytest.fixture(scope="module")
def tiny():
    return {"hidden_layer_sizes": (6,), "max_iter": 6, "batch_size": 16, "random_state": 0}


class Start(Callback):
    """The state that training begins with."""

    def on_train_begin(self, net, **kwargs):
        network = net.module_.network
        self.state = {name: value.clone() for name, value in network.state_dict().items()}
        self.searching = getattr(net.module_, "searching", None)


def state_of(model):
    return {name: value.clone() for name, value in model.network_.state_dict().items()}


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_second_fit_starts_where_the_first_ended(classifier, dtype, table, tiny):
    X, y = table[0].astype(dtype), table[1]
    start = Start()
    model = classifier(warm_start=True, callbacks=[start], **tiny).fit(X, y)
    before, space = state_of(model), model.feature_space_
    teacher, widths = getattr(model, "teacher_", None), getattr(model, "bit_widths_", None)
    model.fit(X, y)
    for name, value in start.state.items():
        # The faithful objective sets its bias in double precision, after the last pass.
        assert torch.equal(value, before[name].to(value)), name
    assert not start.searching
    assert model.feature_space_ is space
    assert any(not torch.equal(value, before[name]) for name, value in state_of(model).items())
    if classifier is not TeacherClassifier:
        assert model.teacher_ is teacher
        np.testing.assert_array_equal(model.bit_widths_, widths)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_passes_of_the_last_fit_and_one_history(classifier, table, tiny):
    model = classifier(warm_start=True, **tiny).fit(*table)
    model.set_params(max_iter=4).fit(*table)
    assert model.n_iter_ == 4
    assert model.history_["epoch"].tolist() == list(range(1, 11))
    assert model.history_.index.tolist() == list(range(10))
    cold = classifier(**tiny).fit(*table).fit(*table)
    assert len(cold.history_) == cold.n_iter_ == 6


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_without_it_every_fit_is_the_first(classifier, table, tiny):
    once = classifier(**tiny).fit(*table)
    twice = clone(once).fit(table[0], 1 - table[1]).fit(*table)
    np.testing.assert_array_equal(once.predict_proba(table[0]), twice.predict_proba(table[0]))
    # A clone forgets its fit, so that a search never starts warm.
    warm = clone(once.set_params(warm_start=True)).fit(*table)
    np.testing.assert_array_equal(once.predict_proba(table[0]), warm.predict_proba(table[0]))


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_other_rows_behind_the_same_encoder(classifier, tiny):
    frame = pd.DataFrame({"a": np.linspace(0, 1, 40), "b": ["x", "y"] * 20})
    y = (frame["a"] > 0.5).to_numpy()
    model = classifier(warm_start=True, **tiny).fit(frame, y)
    space = model.feature_space_
    model.fit(frame.assign(a=frame["a"] * 0.9).iloc[10:], y[10:])
    assert model.feature_space_ is space
    with pytest.raises(ValueError, match="feature names"):
        model.fit(frame.rename(columns={"a": "c"}), y)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_other_labels(classifier, table, tiny):
    model = classifier(warm_start=True, **tiny).fit(*table)
    before = model.predict(table[0])
    with pytest.raises(ValueError, match=r"classes \[0, 1\] of the previous fit, but y has \[0, 2"):
        model.fit(table[0], 2 * table[1])
    np.testing.assert_array_equal(model.predict(table[0]), before)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_other_layers(classifier, table, tiny):
    model = classifier(warm_start=True, **tiny).fit(*table)
    model.set_params(hidden_layer_sizes=(5,))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes \(6,\).* now ask for \(5,\)"):
        model.fit(*table)


@pytest.mark.parametrize("classifier", STUDENTS)
def test_other_quantizers(classifier, table, tiny):
    model = classifier(8, warm_start=True, bit_policy="uniform", **tiny).fit(*table)
    with pytest.raises(ValueError, match=r"activation_bits 8.* now ask for 4"):
        clone_of(model).set_params(quantizer__activation_bits=4).fit(*table)
    with pytest.raises(ValueError, match=r"granularity 'per_channel', .* now ask for 'per_tensor'"):
        clone_of(model).set_params(quantizer__granularity="per_tensor").fit(*table)
    with pytest.raises(ValueError, match=r"bit_policy \(its candidates\) \(2, 3, 4, 8\)"):
        clone_of(model).set_params(bit_policy=UniformBits((2, 8))).fit(*table)
    with pytest.raises(BudgetError, match=r"\[8, 8\].*8.000 bits.*budget=4"):
        clone_of(model).set_params(budget=4).fit(*table)
    # What chooses widths does not matter any more: they stay.
    model.set_params(bit_policy=LearnedBits()).fit(*table)
    assert model.bit_widths_.tolist() == [8, 8]


def clone_of(model):
    """A fitted copy."""
    copy = clone(model)
    copy.__dict__.update(model.__dict__)
    return copy


@pytest.mark.parametrize("classifier", STUDENTS)
def test_a_teacher_that_is_given(classifier, table, tiny):
    X, y = table
    teacher = TeacherClassifier(**tiny).fit(X, y)
    model = classifier(warm_start=True, teacher=teacher, **tiny).fit(X, y)
    model.fit(X[20:], y[20:])
    assert model.teacher_ is teacher
    # Another one behind the same encoder takes its place; behind another encoder it cannot.
    encoder = teacher.encoder_
    second = TeacherClassifier(encoder=encoder, **{**tiny, "random_state": 1}).fit(X, y)
    assert model.set_params(teacher=second).fit(X, y).teacher_ is second
    third = TeacherClassifier(**tiny).fit(5 * X, y)
    with pytest.raises(SpaceMismatchError, match="`teacher` .TeacherClassifier. has another one"):
        model.set_params(teacher=third).fit(X, y)


def test_the_same_seed_goes_on_in_the_same_way(table, tiny):
    first, second = (
        CFQClassifier(warm_start=True, **tiny).fit(*table).fit(*table) for _ in range(2)
    )
    for name, value in state_of(first).items():
        assert torch.equal(value, state_of(second)[name])


def test_a_users_module_goes_on_where_it_was(table):
    def residual(n_inputs, n_classes):
        return torch.nn.Sequential(
            torch.nn.Linear(n_inputs, 6), torch.nn.Tanh(), torch.nn.Linear(6, n_classes)
        )

    model = QATClassifier(4, module=residual, max_iter=6, batch_size=16, random_state=0)
    model.set_params(warm_start=True).fit(*table)
    before = {name: value.clone() for name, value in model.network_.state_dict().items()}
    model.set_params(max_iter=1, learning_rate_init=1e-9).fit(*table)
    for name, value in model.network_.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"quantizer__activation_bits": 8},
            r"quantizer.activation_bits \(4, 4\), but the parameters now ask for \(8, 8",
        ),
        (
            {"bit_policy": UniformBits((2, 3, 4, 6))},
            r"bit_policy \(its candidates\) \(2, 3, 4, 8\)",
        ),
        ({"quantizer__initialization": "lsq"}, "quantizer.initialization 'mse'"),
        ({"quantizer__granularity": "per_tensor"}, "quantizer.granularity 'per_channel'"),
        # Nothing is told of the module that is none of its settings.
        ({"module": None}, r"quantizer.activation_bits \(4, 4\), input_bits None, but the"),
    ],
)
def test_a_users_module_with_other_quantizers(changed, message, table):
    # Of most, the tensors have the same shapes, so that these do not tell.
    def curved(n_inputs, n_classes):
        return torch.nn.Sequential(
            torch.nn.Linear(n_inputs, 6), torch.nn.Tanh(), torch.nn.Linear(6, n_classes)
        )

    model = QATClassifier(4, module=curved, quantizer=Quantizer(4), max_iter=1, random_state=0)
    model.set_params(warm_start=True).fit(*table)
    with pytest.raises(ValueError, match=message):
        model.set_params(**changed).fit(*table)


def test_a_list_of_widths_is_what_a_tuple_is(table, tiny):
    model = QATClassifier(8, quantizer=Quantizer([4]), warm_start=True, **tiny).fit(*table)
    model.set_params(quantizer__activation_bits=(4,)).fit(*table)
    assert len(model.history_) == 12
