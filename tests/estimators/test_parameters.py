"""The parameters of the estimators: how many there are, and the option objects behind them."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq import CFQClassifier, PTQClassifier, QATClassifier
from skcfq.estimators import CFQObjective, Quantizer

QUANTIZED = [CFQClassifier, QATClassifier, PTQClassifier]


def test_knobs_stay_few():
    assert len(CFQClassifier().get_params(deep=False)) < 27
    assert len(QATClassifier().get_params(deep=False)) < 26


@pytest.mark.parametrize("classifier", QUANTIZED)
def test_a_key_of_the_quantizer_keeps_the_defaults_beside_it(classifier):
    model = classifier().set_params(quantizer__activation_bits=8)
    assert model.quantizer.get_params() == {**Quantizer().get_params(), "activation_bits": 8}


@pytest.mark.parametrize("classifier", QUANTIZED)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"activation_bits": 0},
            "quantizer.activation_bits is 0; give an int in",
        ),
        ({"activation_bits": 33}, "quantizer.activation_bits is 33"),
        ({"activation_bits": 2.5}, "quantizer.activation_bits is 2.5"),
        ({"activation_bits": True}, "quantizer.activation_bits is True"),
        ({"activation_bits": "8"}, "quantizer.activation_bits is '8'"),
        ({"activation_bits": (8, 0)}, r"quantizer.activation_bits is \(8, 0\)"),
        (
            {"granularity": "channel"},
            r"quantizer.granularity is 'channel'; give a str among",
        ),
        ({"initialization": "lsq+"}, "quantizer.initialization is 'lsq.'; give a str among"),
    ],
)
def test_impossible_quantizers_are_told_before_anything_is_trained(
    classifier, changed, message, monkeypatch
):
    monkeypatch.setattr(classifier, "_fit_teacher", lambda *_: pytest.fail("trained in vain"))
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    with pytest.raises(ValueError, match=message):
        classifier(quantizer=Quantizer(**changed)).fit(X, y)


@pytest.mark.parametrize("classifier", QUANTIZED)
def test_what_is_no_quantizer(classifier):
    X, y = np.zeros((4, 2)), np.arange(4) % 2
    with pytest.raises(ValueError, match=f"'quantizer' parameter of {classifier.__name__}"):
        classifier(quantizer=8).fit(X, y)


def test_ptq_has_one_width_for_all_activations():
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2
    model = PTQClassifier(quantizer=Quantizer((8, 4)))
    with pytest.raises(ValueError, match=r"activation_bits is \(8, 4\), but PTQClassifier has one"):
        model.fit(X, y)


@pytest.mark.parametrize("classifier", QUANTIZED)
def test_activations_have_eight_bits_unless_they_follow_the_weights(classifier, short_teachers):
    X, y = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    given = {} if classifier is PTQClassifier else {"hidden_layer_sizes": (4,), "max_iter": 1}
    model = classifier(3, random_state=0, target=1, **given).fit(X, y)
    first = model.integer_network_.layers[0]
    more = (12 - 8) * int(first.unit_bits.sum()) * first.weight.shape[1]
    assert model.bops_ == 8 * model.bit_cost_ + more
    assert model.set_params(quantizer__activation_bits=None).fit(X, y).bops_ < 8 * model.bit_cost_


def test_presets_share_nothing():
    first, second = CFQObjective.preset("faithful"), CFQObjective.preset("faithful")
    first.set_params(finish__validity_drop=0.5)
    assert second.finish.validity_drop == CFQObjective.preset("faithful").finish.validity_drop
    assert CFQObjective.preset("paper").finish is None


def test_a_key_of_what_follows_the_training_keeps_the_rest_of_a_preset():
    model = CFQClassifier().set_params(objective__finish__validity_drop=0.1)
    assert model.objective.finish.get_params() == {"rounding": True, "validity_drop": 0.1}
    assert model.objective.path == CFQObjective.preset("faithful").path
    bare = CFQClassifier(objective="paper").set_params(objective__finish__rounding=True)
    assert bare.objective.finish.get_params() == {"rounding": True, "validity_drop": None}
    assert CFQObjective().set_params(finish__rounding=True).finish.rounding
