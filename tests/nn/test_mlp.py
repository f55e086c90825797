"""Full-precision and quantized networks."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from skcfq.nn import FullPrecisionMLP, QuantizedMLP
from skcfq.nn._losses import cross_entropy
from skcfq.quantization import (
    GumbelBits,
    QuantizedLinear,
    quantize_activation,
    quantize_input,
    quantize_weight,
)

CANDIDATES = (2, 3, 4, 8)


def rows(n=200, d=6, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def forked_seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(sizes=(5, 4), **options):
    teacher = FullPrecisionMLP(6, sizes, 3)
    network = QuantizedMLP(6, sizes, 3, **options)
    network.load_from(teacher)
    network.calibrate(rows())
    return teacher, network


def one_hot(indices):
    return nn.functional.one_hot(torch.tensor(indices), 4).float().requires_grad_()


@pytest.mark.parametrize("sizes", [(), (5,), (5, 4)])
@pytest.mark.parametrize("activation_bits", [None, 1, 8, 32])
@pytest.mark.parametrize("input_bits", [None, 8, 32])
def test_the_forward_is_the_composition_of_the_pure_quantizers(sizes, activation_bits, input_bits):
    _, network = build(sizes, activation_bits=activation_bits, input_bits=input_bits)
    widths = [4, 2, 8][: len(sizes) + 1]
    network.set_bit_widths(widths)
    x = rows()
    expected = x
    if input_bits == 8:
        step = network.log_input_step.exp()[0]
        # Moved by whole steps, its range lies around the center.
        moved = expected / network.input_factors - step * network.input_centers
        expected = quantize_input(moved, step, 8) + step * network.input_centers
        expected = expected * network.input_factors
    for position, (layer, bits) in enumerate(zip(network.layers, widths, strict=True)):
        index = CANDIDATES.index(bits)
        weight = quantize_weight(layer.weight, layer.steps[index], bits)
        expected = nn.functional.linear(expected, weight, layer.bias)
        if position < len(sizes):
            width = bits if activation_bits is None else activation_bits
            clip = 1.0
            if layer.clips is not None:
                clip = layer.clips[index if activation_bits is None else 0]
            expected = quantize_activation(expected, clip, width)
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("width", CANDIDATES)
def test_a_sample_gives_the_same_logits_as_its_fixed_widths(width):
    _, network = build()
    index = CANDIDATES.index(width)
    network.set_bit_widths(width)
    assert torch.equal(network(rows()), network(rows(), one_hot([index] * 3)))


def test_no_hidden_layer_is_logistic_regression():
    teacher, network = build(())
    assert len(teacher.layers) == len(network.layers) == 1
    assert network.n_weights == [18]
    assert network(rows()).shape == (200, 3)
    assert network.layers[0].log_clips is None
    network(rows(), one_hot([1])).sum().backward()


def test_eight_bits_are_close_to_the_teacher_and_wider_is_closer():
    teacher, network = build((32, 16), start="mse")
    x = rows()
    errors = []
    for width in CANDIDATES:
        network.set_bit_widths(width)
        errors.append((network(x) - teacher(x)).abs().mean().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 < errors[0]


def test_only_the_selected_width_gets_gradient():
    _, network = build()
    with torch.no_grad():
        for layer in network.layers[:-1]:
            layer.log_clips -= 0.5  # so that every clip is reached
    selection = one_hot([2, 0, 3])
    (network(rows(), selection) ** 2).sum().backward()
    for layer, index in zip(network.layers, [2, 0, 3], strict=True):
        for log in (layer.log_steps, layer.log_clips):
            if log is None:
                continue
            others = [r for r in range(4) if r != index]
            assert log.grad[others].tolist() == [0.0, 0.0, 0.0]
            assert log.grad[index] != 0
    assert (selection.grad != 0).all()


def test_the_gradient_of_a_sample_compares_all_widths():
    """On a linear model, the gradient on each width is that of plugging its weights in."""
    _, network = build((), input_bits=None)
    selection = one_hot([2])
    x = rows()
    network(x, selection).sum().backward()
    layer = network.layers[0]
    expected = [
        (x @ quantize_weight(layer.weight, layer.steps[r], bits).T).sum()
        for r, bits in enumerate(CANDIDATES)
    ]
    torch.testing.assert_close(selection.grad[0], torch.stack(expected))


def test_training_with_samples_moves_the_policy_and_keeps_steps_positive():
    _, network = build()
    policy = GumbelBits(network.n_weights, budget=4)
    before = policy.logits.detach().clone()
    optimizer = torch.optim.Adam(network.parameter_groups(1e-4, policy=policy), lr=0.05)
    x = rows()
    labels = (x[:, 0] > 0).long() + (x[:, 1] > 1).long()
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = cross_entropy(network(x, policy.sample(1.0, generator)), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) < 0.7 * sum(losses[:20])
    assert not torch.equal(before, policy.logits)
    assert all((layer.steps > 0).all() for layer in network.layers)


def test_refit_improves_the_unselected_widths_and_leaves_the_selected_ones():
    _, network = build()
    network.set_bit_widths([4, 2, 8])
    with torch.no_grad():
        for layer in network.layers:
            layer.weight.mul_(3.0)
            layer.bias.mul_(3.0)

    def errors():
        return torch.tensor(
            [
                [((layer.quantized_weight(r) - layer.weight) ** 2).sum().item() for r in range(4)]
                for layer in network.layers
            ]
        )

    before, steps = errors(), [layer.steps.detach().clone() for layer in network.layers]
    clips = [layer.clips.detach().clone() for layer in network.layers[:-1]]
    network.refit(unselected_only=True, x=rows())
    chosen = torch.zeros(3, 4, dtype=torch.bool)
    for row, index in enumerate([2, 0, 3]):
        chosen[row, index] = True
        assert network.layers[row].steps[index] == steps[row][index]
        if row < 2:
            moved = network.layers[row].clips != clips[row]
            assert moved.tolist() == [r != index for r in range(4)]
    after = errors()
    assert (after[~chosen] < before[~chosen]).all()
    network.refit(unselected_only=False)
    assert (errors() <= after * (1 + 1e-6)).all()


def test_a_shared_clip_is_left_when_only_unselected_widths_are_refitted():
    _, network = build(activation_bits=8)
    before = network.layers[0].clips.item()
    with torch.no_grad():
        network.layers[0].weight.mul_(3.0)
    network.refit(x=rows())
    assert network.layers[0].clips.item() == before
    network.refit(unselected_only=False, x=rows())
    assert network.layers[0].clips.item() > before


@pytest.mark.parametrize("start", ["lsq", "mse"])
def test_calibration_counts_weights_as_repetitions(start):
    _, network = build(start=start)
    x = rows(40)
    counts = torch.arange(40) % 3
    network.calibrate(x, counts.float())
    weighted = [p.detach().clone() for p in network.parameters()]
    network.calibrate(x.repeat_interleave(counts, 0))
    for one, other in zip(network.parameters(), weighted, strict=True):
        torch.testing.assert_close(one.detach(), other)


def test_set_bit_widths_and_average():
    network = QuantizedMLP(6, (5, 4), 3)
    assert network.n_weights == [30, 20, 12]
    assert network.bit_widths.tolist() == [8, 8, 8]
    network.set_bit_widths([4, 2, 8])
    assert network.average_bits == pytest.approx((120 + 40 + 96) / 62)
    for widths in ([4, 2], [4, 2, 5], 6):
        with pytest.raises(ValueError, match="bit_widths"):
            network.set_bit_widths(widths)


def test_parameter_groups_hold_every_parameter_once():
    _, network = build()
    policy = GumbelBits(network.n_weights)
    weights, quantizers = network.parameter_groups(0.1, learning_rate=0.01, policy=policy)
    assert weights["weight_decay"] == 0.1
    assert quantizers["weight_decay"] == 0.0
    assert quantizers["lr"] == 0.01
    ids = [id(p) for group in (weights, quantizers) for p in group["params"]]
    everything = [*network.parameters(), *policy.parameters()]
    assert sorted(ids) == sorted(map(id, everything))
    assert len(weights["params"]) == 6
    assert {p.ndim for p in weights["params"]} == {1, 2}
    assert "lr" not in network.parameter_groups(0.0)[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_copies_pickles_and_states(dtype):
    _, network = build()
    network.set_bit_widths([4, 2, 8])
    network.to(dtype)
    x = rows().to(dtype)
    expected = network(x)
    assert expected.dtype == dtype
    fresh = QuantizedMLP(6, (5, 4), 3).to(dtype)
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    buffer.seek(0)
    fresh.load_state_dict(torch.load(buffer))
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network)), fresh):
        assert torch.equal(other(x), expected)
        assert other.bit_widths.tolist() == [4, 2, 8]


def test_double_precision_agrees_with_single():
    """Up to entries that sit on a rounding threshold, of which these rows have none."""
    _, network = build(start="mse")
    network.set_bit_widths(4)
    single = network(rows()).detach()
    double = network.double()(rows().double()).detach()
    close = (single - double).abs().amax(1) < 1e-4
    assert close.float().mean() > 0.95


def test_the_weights_start_as_those_of_plain_layers():
    torch.manual_seed(4)
    plain = FullPrecisionMLP(6, (5, 4), 3)
    after_plain = torch.random.get_rng_state()
    torch.manual_seed(4)
    quantized = QuantizedMLP(6, (5, 4), 3)
    assert torch.equal(after_plain, torch.random.get_rng_state())
    for one, other in zip(plain.layers, quantized.layers, strict=True):
        assert torch.equal(one.weight, other.weight)


def test_a_layer_alone_works_as_in_the_network():
    layer = QuantizedLinear(6, 5, CANDIDATES)
    layer.reset_clips(rows() @ layer.weight.T)
    z = one_hot([1])[0]
    out = layer(rows(), 1, z)
    assert torch.equal(out, layer(rows(), 1))
    assert (out >= 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates": (4, 2)}, "candidates"),
        ({"activation_bits": 0}, "activation_bits"),
        ({"input_bits": 1}, "bits"),
        ({"start": "best"}, "start='best'"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes"),
    ],
)
def test_bad_options_are_refused_by_name(options, message):
    arguments = {"n_inputs": 6, "hidden_layer_sizes": (5,), "n_classes": 2, **options}
    with pytest.raises(ValueError, match=message):
        QuantizedMLP(**arguments)


def test_a_teacher_of_another_shape_and_a_wrong_sample_are_refused():
    _, network = build()
    with pytest.raises(ValueError, match="same n_inputs"):
        network.load_from(FullPrecisionMLP(6, (5, 5), 3))
    with pytest.raises(ValueError, match="selection"):
        network(rows(), torch.eye(4))
