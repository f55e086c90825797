"""Deployments drawn around a model: on the grid, inside the band, and never the model itself."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skcfq import QATClassifier, TeacherClassifier
from skcfq.datasets import make_credit
from skcfq.estimators import Quantizer
from skcfq.exceptions import UnsupportedModelError
from skcfq.models import Predictor, as_predictor, deployment_variants
from skcfq.quantization import signed_range

SMALL = {"hidden_layer_sizes": (8,), "max_iter": 8, "batch_size": 32, "random_state": 0}


@pytest.fixture(scope="module")
def credit():
    return make_credit(300, random_state=0)


@pytest.fixture(scope="module")
def quantized(credit):
    model = QATClassifier(3, bit_policy="learned", **SMALL).fit(credit.data, credit.target)
    assert len(model.bit_widths_) == 2
    return model


@pytest.fixture(scope="module")
def numbers():
    X = np.random.default_rng(0).normal(size=(150, 4))
    return X, np.where(X @ [1.0, -2.0, 0.5, 1.0] > 0, "yes", "no")


def parameters(model):
    return {name: p.clone() for name, p in model.network_.state_dict().items()}


def changed_parameters(model, variant):
    own, drawn = parameters(model), parameters(variant.model)
    return {name for name in own if not torch.equal(own[name], drawn[name])}


def codes(layer, index):
    scaled = layer.weight / layer.steps[index].unsqueeze(1)
    assert torch.allclose(scaled, scaled.round(), atol=1e-9)
    return scaled.round()


def test_variants_are_predictors_of_the_same_space_that_decide_by_themselves(credit, quantized):
    nominal = as_predictor(quantized)
    variants = deployment_variants(quantized, 4, X=credit.data, random_state=0)
    encoded = torch.from_numpy(nominal.space.encode(credit.data))
    for variant in variants:
        assert isinstance(variant, Predictor)
        assert isinstance(variant.model, QATClassifier)
        assert variant.space.fingerprint == nominal.space.fingerprint
        decided = variant.classes[variant.logits(encoded).argmax(dim=1).numpy()]
        assert np.array_equal(variant.predict(credit.data), decided)
        assert np.array_equal(variant.model.bit_widths_, quantized.bit_widths_)
    assert len({nominal.fingerprint, *(variant.fingerprint for variant in variants)}) == 5


def test_the_model_is_left_as_it_was(credit, quantized):
    before, logits = parameters(quantized), quantized.decision_function(credit.data)
    deployment_variants(quantized, 2, X=credit.data, random_state=0)
    after = parameters(quantized)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert np.array_equal(quantized.decision_function(credit.data), logits)


def test_a_seed_repeats_the_list_and_a_shorter_list_is_its_beginning(credit, quantized):
    state = np.random.get_state()[1].copy()
    options = {"X": credit.data, "random_state": 3}
    five = [v.fingerprint for v in deployment_variants(quantized, 5, **options)]
    assert [v.fingerprint for v in deployment_variants(quantized, 5, **options)] == five
    assert [v.fingerprint for v in deployment_variants(quantized, 2, **options)] == five[:2]
    options["random_state"] = 4
    others = deployment_variants(quantized, 5, **options)
    assert {v.fingerprint for v in others}.isdisjoint(five)
    assert np.array_equal(np.random.get_state()[1], state)


def test_rounding_takes_one_of_the_two_codes_around_each_weight(quantized):
    variants = deployment_variants(quantized, 3, kinds="rounding", random_state=0)
    for variant in variants:
        changed = changed_parameters(quantized, variant)
        assert changed == {"layers.0.weight", "layers.1.weight"}
        for own, layer, width in zip(
            quantized.network_.layers,
            variant.model.network_.layers,
            quantized.bit_widths_.tolist(),
            strict=True,
        ):
            index = own.candidates.index(width)
            low, high = signed_range(width)
            scaled = own.weight / own.steps[index].unsqueeze(1)
            stored = codes(layer, index)
            assert ((stored >= low) & (stored <= high)).all()
            assert ((stored - scaled.clamp(low, high)).abs() < 1).all()
            assert torch.allclose(layer.quantized_weight(index), layer.weight, rtol=1e-12)


def test_each_unit_stays_on_the_grid_of_its_width(credit):
    model = QATClassifier(3, bit_policy="units", **SMALL).fit(credit.data, credit.target)
    assert len({*model.unit_bit_widths_[0].tolist()}) > 1
    (variant,) = deployment_variants(model, 1, X=credit.data, random_state=0)
    layers = zip(
        model.network_.layers, variant.model.network_.layers, model.unit_bit_widths_, strict=True
    )
    for own, layer, widths in layers:
        assert not torch.equal(layer.weight, own.weight)
        for unit, bits in enumerate(widths.tolist()):
            index, (low, high) = own.candidates.index(bits), signed_range(bits)
            scaled = own.weight[unit] / layer.steps[index, unit]
            stored = layer.weight[unit] / layer.steps[index, unit]
            assert torch.allclose(stored, stored.round(), atol=1e-9)
            assert ((stored.round() - scaled.clamp(low, high)).abs() < 1).all()
            assert 0.979 < layer.steps[index, unit] / own.steps[index, unit] < 1.021


def test_rounding_is_unbiased_between_the_ends_of_the_grid(quantized):
    variants = deployment_variants(quantized, 400, kinds=["rounding"], random_state=0)
    own = quantized.network_.layers[0]
    index = own.candidates.index(int(quantized.bit_widths_[0]))
    step = own.steps[index].unsqueeze(1)
    low, high = signed_range(int(quantized.bit_widths_[0]))
    mean = torch.stack([v.model.network_.layers[0].weight for v in variants]).mean(dim=0)
    error = (mean / step - (own.weight / step).clamp(low, high)).abs()
    # A code is off by at most 0.5 in standard deviation, its mean over 400 draws by 0.025.
    assert error.max() < 5 * 0.025
    nearest = (own.weight / step).round().clamp(low, high)
    assert (mean / step - nearest).abs().max() > 0.3


def test_steps_and_clips_stay_in_their_bands(quantized):
    variants = deployment_variants(
        quantized, 20, kinds=["steps"], step_jitter=0.05, clip_jitter=0.1, random_state=0
    )
    steps, clips = [], []
    for variant in variants:
        for own, layer, width in zip(
            quantized.network_.layers,
            variant.model.network_.layers,
            quantized.bit_widths_.tolist(),
            strict=True,
        ):
            index = own.candidates.index(width)
            steps.extend((layer.steps[index] / own.steps[index]).tolist())
            step = layer.steps[index].unsqueeze(1)
            nearest = (own.weight / step).round().clamp(*signed_range(width))
            assert torch.equal(codes(layer, index), nearest)
            if own.log_clips is not None:
                # One for all widths of the weights.
                clips.append(float(layer.clips[0] / own.clips[0]))
    for drawn, width in ((steps, 0.05), (clips, 0.1)):
        assert max(abs(ratio - 1) for ratio in drawn) <= width
        assert max(drawn) > 1 + width / 2 and min(drawn) < 1 - width / 2


def test_no_jitter_is_the_model_itself(credit, quantized):
    variants = deployment_variants(
        quantized, 2, kinds=["steps"], step_jitter=0, clip_jitter=0, random_state=0
    )
    for variant in variants:
        np.testing.assert_allclose(
            variant.model.decision_function(credit.data),
            quantized.decision_function(credit.data),
            rtol=0,
            atol=1e-9,
        )


def test_calibration_moves_clips_alone(credit, quantized):
    variants = deployment_variants(
        quantized,
        6,
        kinds=["calibration"],
        X=credit.data,
        calibration_rows=40,
        random_state=0,
    )
    moved = set().union(*(changed_parameters(quantized, variant) for variant in variants))
    assert moved == {"layers.0.log_clips"} | {
        # Weights are stored on the grid, which does not change what they are quantized to.
        "layers.0.weight",
        "layers.1.weight",
    }
    index = quantized.network_.candidates.index(int(quantized.bit_widths_[0]))
    for variant in variants:
        network = variant.model.network_
        assert torch.allclose(
            network.layers[0].quantized_weight(index),
            quantized.network_.layers[0].quantized_weight(index),
            rtol=1e-12,
        )
        ratio = float(network.layers[0].clips[0] / quantized.network_.layers[0].clips[0])
        assert 0.5 < ratio < 2


def test_calibration_on_rows_that_are_all_alike_changes_nothing(credit, quantized):
    same = credit.data.iloc[[0] * 50]
    (variant,) = deployment_variants(quantized, 1, kinds=["calibration"], X=same, random_state=0)
    changed = dict(variant.model.network_.named_parameters())
    for name, parameter in quantized.network_.named_parameters():
        if name.endswith(("log_clips", "bias")):
            assert torch.allclose(changed[name], parameter, rtol=0, atol=1e-5), name


@pytest.mark.parametrize(
    "shape", [{"quantizer": Quantizer(32)}, {"quantizer": Quantizer(4)}, {"hidden_layer_sizes": ()}]
)
def test_networks_without_clips_or_with_one_clip_a_layer(credit, shape):
    model = QATClassifier(2, **{**SMALL, "max_iter": 2, **shape}).fit(credit.data, credit.target)
    variants = deployment_variants(model, 2, X=credit.data, random_state=0)
    logits = [variant.model.decision_function(credit.data) for variant in variants]
    assert np.isfinite(logits).all()
    assert not np.array_equal(*logits)


@pytest.mark.parametrize("bits", [2, 4])
def test_full_precision_models_are_deployed_at_a_width(credit, numbers, bits):
    X, y = numbers
    three = np.digitize(X[:, 0], [-0.5, 0.5])
    teacher = TeacherClassifier((8,), max_iter=3, random_state=0).fit(credit.data, credit.target)
    network = MLPClassifier((6,), solver="lbfgs", max_iter=2000, random_state=0).fit(X, y)
    for model, background, weights in [
        (teacher, None, lambda m: [layer.weight.numpy() for layer in m.network_.layers]),
        (network, X, lambda m: m.coefs_),
        (LogisticRegression().fit(X, y), X, lambda m: [m.coef_]),
        (LogisticRegression().fit(X, three), X, lambda m: [m.coef_]),
    ]:
        before = [np.array(w) for w in weights(model)]
        first, second = deployment_variants(
            model,
            2,
            kinds=("rounding", "steps"),
            bits=bits,
            background=background,
            random_state=0,
        )
        assert type(first.model) is type(model)
        for own, one, other in zip(
            weights(model), weights(first.model), weights(second.model), strict=True
        ):
            assert not np.array_equal(one, other)
            assert len(np.unique(one)) <= 2**bits
            assert one.dtype == own.dtype
        assert all(np.array_equal(w, b) for w, b in zip(weights(model), before, strict=True))


def test_more_bits_stay_nearer_to_a_linear_model(numbers):
    X, y = numbers
    model = LogisticRegression().fit(X, y)
    errors = [
        np.mean(
            [
                np.abs(variant.model.coef_ - model.coef_).max()
                for variant in deployment_variants(
                    model, 20, kinds=["rounding"], bits=bits, background=X, random_state=0
                )
            ]
        )
        for bits in (3, 5, 8)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0


def test_models_behind_steps_searches_and_frozen(numbers):
    X, y = numbers
    base = make_pipeline(StandardScaler(), LogisticRegression())
    piped = clone(base).fit(X, y)
    searched = GridSearchCV(base, {"logisticregression__C": [1.0]}, cv=2).fit(X, y)
    options = {"kinds": ["rounding"], "bits": 3, "background": X, "random_state": 0}
    expected = deployment_variants(piped, 2, **options)
    for model in (searched, FrozenEstimator(piped), FrozenEstimator(searched)):
        for drawn, wanted in zip(deployment_variants(model, 2, **options), expected, strict=True):
            assert np.array_equal(drawn.predict(X), wanted.predict(X))
            # Steps are shared, and decisions are those of the changed coefficients.
            assert np.array_equal(drawn.row_logits(X), wanted.row_logits(X))
    nominal = as_predictor(piped, background=X)
    assert not np.array_equal(expected[0].row_logits(X), nominal.row_logits(X))


def test_quantized_network_behind_a_step(numbers):
    X, y = numbers
    model = make_pipeline(StandardScaler(), QATClassifier(3, **{**SMALL, "max_iter": 2})).fit(X, y)
    variants = deployment_variants(model, 2, X=X, background=X, random_state=0)
    nominal = as_predictor(model, background=X)
    for variant in variants:
        assert variant.space.fingerprint == nominal.space.fingerprint
        best = variant.row_logits(X).argmax(dim=1).numpy()
        assert np.array_equal(variant.predict(X), variant.classes[best])
        assert not np.array_equal(variant.row_logits(X), nominal.row_logits(X))


def test_variants_can_be_sent_to_another_process(credit, quantized):
    (variant,) = deployment_variants(quantized, 1, X=credit.data, random_state=0)
    copied = pickle.loads(pickle.dumps(variant))
    assert copied.fingerprint == variant.fingerprint
    assert np.array_equal(copied.predict(credit.data), variant.predict(credit.data))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["rounding", "pruning"]}, "'kinds' parameter.*'pruning'"),
        ({"kinds": []}, "'kinds' parameter.*not empty"),
        ({}, "X=None.*kinds=\\('rounding', 'steps'\\)"),
        ({"kinds": ["steps"], "n_variants": 0}, "'n_variants' parameter.* Got 0"),
        ({"kinds": ["steps"], "n_variants": 2.5}, "'n_variants' parameter.* Got 2.5"),
        ({"kinds": ["steps"], "step_jitter": 1.0}, "'step_jitter' parameter.* Got 1.0"),
        ({"kinds": ["steps"], "clip_jitter": float("nan")}, "'clip_jitter' parameter.* Got nan"),
        ({"kinds": ["steps"], "calibration_rows": 0}, "'calibration_rows' parameter.* Got 0"),
        ({"kinds": ["steps"], "bits": 4}, "bits=4.*quantized already.*Leave `bits` away"),
    ],
)
def test_wrong_parameters_are_told_with_a_remedy(quantized, options, message):
    with pytest.raises(ValueError, match=message):
        deployment_variants(quantized, **options)


def test_models_that_have_no_deployments_are_told_so(numbers):
    X, y = numbers
    linear = LogisticRegression().fit(X, y)
    with pytest.raises(UnsupportedModelError, match="is not quantized.*bits=8"):
        deployment_variants(linear, kinds=["rounding"], background=X)
    with pytest.raises(ValueError, match="no clips to calibrate"):
        deployment_variants(linear, bits=8, X=X, background=X)
    with pytest.raises(ValueError, match="'bits' parameter"):
        deployment_variants(linear, kinds=["rounding"], bits=1, background=X)
    forest = RandomForestClassifier(3, random_state=0).fit(X, y)
    with pytest.raises(UnsupportedModelError, match="RandomForestClassifier has no weights"):
        deployment_variants(forest, kinds=["rounding"], bits=4, background=X)
    machine = SVC(kernel="linear").fit(X, y)
    with pytest.raises(UnsupportedModelError, match="SVC computes its coefficients"):
        deployment_variants(machine, kinds=["rounding"], bits=4, background=X)
    with pytest.raises(NotFittedError):
        deployment_variants(QATClassifier(4), kinds=["rounding"])


def test_one_step_a_unit(credit):
    model = QATClassifier(3, **SMALL).fit(credit.data, credit.target)
    (variant,) = deployment_variants(model, 1, kinds="steps", random_state=0)
    for own, drawn in zip(model.network_.layers, variant.model.network_.layers, strict=True):
        step = drawn.steps[1].unsqueeze(1)
        scaled = drawn.weight / step
        torch.testing.assert_close(scaled, scaled.round())
        assert 0.9 < (drawn.steps[1] / own.steps[1]).min() < 1.1
    agreement = variant.predict(credit.data) == model.predict(credit.data)
    assert agreement.mean() > 0.9
