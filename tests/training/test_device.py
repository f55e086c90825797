"""The device of the training: names, and what is not there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skcfq import CFQClassifier, QATClassifier, TeacherClassifier
from skcfq.estimators import CFQObjective, TeacherActions, _student, _teacher
from skcfq.training._device import generator_on, training_device

CLASSIFIERS = [TeacherClassifier, QATClassifier, CFQClassifier]
ABSENT = f"cuda:{torch.cuda.device_count()}"
TINY = {"hidden_layer_sizes": (6,), "max_iter": 4, "batch_size": 16, "random_state": 0}
HAS_CUDA = torch.cuda.is_available()


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(
    ("device", "message"),
    [
        (ABSENT, rf"device='{ABSENT}' is not there: torch sees .*device=\"auto\""),
        ("meta", "device='meta' is not supported. Give"),
        ("mps", "device='mps' is not supported. Give"),
        ("toaster", "device='toaster' is no device. Give"),
        (0, "'device' parameter"),
    ],
)
def test_a_device_that_is_not_there(classifier, device, message, table, monkeypatch):
    for module in (_teacher, _student):
        monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("trained in vain"))
    with pytest.raises(ValueError, match=message):
        classifier(device=device, **TINY).fit(*table)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_the_cpu_by_any_name(classifier, table):
    # A default teacher would be trained for longer than all else here.
    given = dict(TINY)
    if classifier is not TeacherClassifier:
        given["teacher"] = TeacherClassifier(**TINY)
    default = classifier(**given).fit(*table)
    for device in ("cpu", *(() if HAS_CUDA else ("auto",))):
        named = classifier(device=device, **given).fit(*table)
        np.testing.assert_array_equal(
            named.decision_function(table[0]), default.decision_function(table[0])
        )
        assert {one.device.type for one in named.network_.parameters()} == {"cpu"}


def test_auto_takes_what_is_there():
    assert training_device("auto").type == ("cuda" if HAS_CUDA else "cpu")


def test_a_generator_of_the_same_device_goes_on():
    generator = torch.Generator().manual_seed(3)
    assert generator_on(torch.device("cpu"), generator) is generator


@pytest.mark.skipif(not HAS_CUDA, reason="no CUDA device")
@pytest.mark.parametrize(
    "model",
    [
        TeacherClassifier(),
        QATClassifier(),
        CFQClassifier(),
        CFQClassifier(objective="faithful"),
        CFQClassifier(objective=CFQObjective(matching=0.1, groups="balanced")),
        CFQClassifier(teacher_actions=TeacherActions(online=True, noise=0.1)),
        CFQClassifier(objective="paper", teacher_actions=TeacherActions(online=True)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_training_on_a_gpu(model, table):
    before = torch.cuda.get_rng_state()
    model.set_params(device="cuda", early_stopping=True, **TINY)
    grouped = getattr(getattr(model, "objective", None), "groups", None)
    people = {"sensitive_features": np.arange(90) % 2} if grouped else {}
    model.fit(*table, **people)
    assert {one.device.type for one in model.network_.parameters()} == {"cpu"}
    assert {one.dtype for one in model.network_.parameters()} == {torch.float64}
    assert model.predict(table[0]).shape == (90,)
    assert torch.equal(torch.cuda.get_rng_state(), before)
