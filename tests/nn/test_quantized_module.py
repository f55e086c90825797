"""A user's own module: its layers are quantized, all else is left, and every policy can read it."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from skcfq.actions import ActionSet, region_of
from skcfq.encoding import TableEncoder
from skcfq.exceptions import UnsupportedModelError
from skcfq.nn import (
    FullPrecisionMLP,
    QuantizedMLP,
    QuantizedModule,
    gradient_sensitivity,
    hessian_trace,
    quantization_errors,
)
from skcfq.nn._student_recourse import unrolled_steps
from skcfq.quantization import (
    GumbelBits,
    quantize_activation,
    quantize_input,
    quantize_weight,
)

N_INPUTS = 8


class Residual(nn.Module):
    """Two ways to the logits, a normalization, and a layer that values of both signs enter."""

    def __init__(self, n_inputs=N_INPUTS, n_classes=2):
        super().__init__()
        self.first = nn.Linear(n_inputs, 10)
        self.norm = nn.BatchNorm1d(10)
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10))
        self.last = nn.Linear(10, n_classes)
        self.direct = nn.Linear(n_inputs, n_classes, bias=False)

    def forward(self, x):
        h = self.norm(self.first(x))
        h = h + self.block(h)
        return self.last(h) + self.direct(x)


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, N_INPUTS)),
        nn.Conv1d(1, 4, 3),
        nn.ReLU(inplace=True),
        nn.Conv1d(4, 6, 3, groups=2, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(36, 2),
    )


def pictures():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 4)), nn.Conv2d(1, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(9, 2)
    )


def perceptron():
    return nn.Sequential(nn.Linear(N_INPUTS, 7), nn.ReLU(), nn.Linear(7, 2))


MODULES = [Residual, convolutions, pictures, perceptron]
every_module = pytest.mark.parametrize("make", MODULES, ids=lambda one: one.__name__)


@pytest.fixture
def rows():
    return torch.randn(60, N_INPUTS, generator=torch.Generator().manual_seed(0)).double()


def build(make, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make().double()
    return module, QuantizedModule(module, N_INPUTS, 2, **{"start": "mse", **options})


@every_module
@pytest.mark.parametrize("per_channel", [False, True])
def test_wide_quantizers_are_nearly_the_module(make, per_channel, rows):
    module, network = build(make, candidates=(2, 8, 10), activation_bits=10, input_bits=10,
                            per_channel=per_channel)  # fmt: skip
    network.calibrate(rows)
    exact = module.eval()(rows)
    network.eval()
    torch.testing.assert_close(network.unquantized(rows), exact)
    torch.testing.assert_close(network(rows), exact, atol=2e-2, rtol=0)
    network.set_bit_widths(2)
    assert (network(rows) - exact).abs().max() > 0.05


def test_the_same_as_the_network_of_the_library(rows):
    """On Linear and ReLU the two classes compute the same, whatever the widths."""
    module, network = build(perceptron, activation_bits=3)
    reference = QuantizedMLP(N_INPUTS, (7,), 2, activation_bits=3, start="mse").double()
    plain = FullPrecisionMLP(N_INPUTS, (7,), 2).double()
    with torch.no_grad():
        for target, source in zip(plain.layers, [module[0], module[2]], strict=True):
            target.load_state_dict(source.state_dict())
    reference.load_from(plain)
    for one in (network, reference):
        one.calibrate(rows)
        one.set_bit_widths([3, 4])
    torch.testing.assert_close(network(rows), reference(rows))
    assert network.bops == reference.bops
    assert network.bit_cost == reference.bit_cost


def test_quantizers_are_those_of_what_enters(rows):
    _, network = build(pictures, activation_bits=4)
    network.calibrate(rows)
    network.set_bit_widths([4, 2])
    first, last = network.quantized_layers
    assert first.reads_inputs
    assert last.signed
    assert not last.reads_inputs
    x = network.quantized_inputs(rows)
    weight = quantize_weight(first.layer.weight, first.log_steps[2].exp(), 4)
    hidden = nn.functional.conv2d(x.reshape(-1, 1, 2, 4), weight, first.layer.bias)
    hidden = quantize_input(torch.tanh(hidden).flatten(1), last.log_scales[0].exp(), 4)
    weight = quantize_weight(last.layer.weight, last.log_steps[0].exp(), 2)
    torch.testing.assert_close(network(rows), hidden @ weight.T + last.layer.bias)


def test_a_rectified_input_has_the_quantizer_of_rectified_values(rows):
    _, network = build(perceptron)
    network.calibrate(rows)
    network.set_bit_widths([4, 3])
    first, last = network.quantized_layers
    hidden = nn.functional.linear(
        network.quantized_inputs(rows), first.layer.weight, first.layer.bias
    )
    assert not last.signed
    clip = last.log_scales[1].exp()
    values = torch.relu(hidden)
    torch.testing.assert_close(
        last.quantized_input(values, 1), quantize_activation(values, clip, 3)
    )


@every_module
def test_gradients_reach_everything(make, rows):
    _, network = build(make)
    network.calibrate(rows)
    policy = GumbelBits(network.n_weights, network.candidates, 4.0).double()
    sample = policy.sample(1.0, torch.Generator().manual_seed(0))
    labels = (rows[:, 0] > 0).long()
    cross_entropy(network(rows, sample), labels).backward()
    unread = {
        f"module.{name}.log_scales"
        for name, layer in zip(network.layer_names, network.quantized_layers, strict=True)
        if layer.reads_inputs
    }
    for name, parameter in network.named_parameters():
        assert (parameter.grad is None) == (name in unread), name
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
            assert (parameter.grad != 0).any(), name
    assert (policy.logits.grad != 0).any()


@every_module
def test_layers_and_costs_by_hand(make):
    _, network = build(make, activation_bits=6)
    expected = {
        Residual: ([80, 100, 100, 20, 16], [80, 100, 100, 20, 16]),
        convolutions: ([12, 36, 72], [72, 216, 72]),
        pictures: ([12, 18], [36, 18]),
        perceptron: ([56, 14], [56, 14]),
    }[make]
    assert (network.n_weights, network.n_macs) == expected
    network.calibrate(torch.randn(20, N_INPUTS, generator=torch.Generator().manual_seed(0)))
    network.set_bit_widths([2] + [4] * (len(expected[0]) - 1))
    assert network.bit_cost == 2 * expected[0][0] + 4 * sum(expected[0][1:])
    reads = [8] + [6] * (len(expected[0]) - 1)
    if make is Residual:
        reads[-1] = 8
    assert network.activation_widths == reads
    widths = network.bit_widths.tolist()
    terms = zip(expected[1], widths, reads, strict=True)
    assert network.bops == sum(macs * w * a for macs, w, a in terms)


@every_module
def test_policies_can_read_it(make, rows):
    _, network = build(make)
    network.calibrate(rows)
    network.eval()
    labels = (rows[:, 0] > 0).long()
    weights = torch.rand(60, generator=torch.Generator().manual_seed(1)).double()
    found = gradient_sensitivity(network, rows, labels, weights)
    norms = torch.zeros(60, len(network.quantized_layers), dtype=torch.float64)
    for row in range(60):
        loss = cross_entropy(network.unquantized(rows[row : row + 1]), labels[row : row + 1])
        slopes = torch.autograd.grad(loss, network.weight_tensors)
        norms[row] = torch.stack([slope.abs().sum() for slope in slopes])
    torch.testing.assert_close(found, weights @ norms / weights.sum())
    traces = hessian_trace(network, rows, labels, generator=torch.Generator().manual_seed(0))
    assert traces.shape == found.shape
    errors = quantization_errors(network, rows)
    assert (errors[:, 0] > errors[:, -1]).all()


def test_unrolled_recourse_has_a_gradient(rows):
    """Matching needs second derivatives through the quantizers of any module."""
    _, network = build(Residual)
    network.calibrate(rows)
    network.eval()
    space = TableEncoder().fit(rows.numpy()).feature_space_
    region = region_of(ActionSet().compile(space), rows.numpy())
    points = unrolled_steps(
        network, region, torch.ones(60, dtype=torch.int64), n_steps=2, step_size=1.0
    )
    slope = torch.autograd.grad((points - rows).abs().sum(), network.weight_tensors[0])[0]
    assert (slope != 0).any()


@every_module
def test_copies_and_pickles(make, rows):
    _, network = build(make)
    network.calibrate(rows)
    network.set_bit_widths(4)
    network.eval()
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert torch.equal(other(rows), network(rows))
        other.add_logit_bias(1, 0.5)
        torch.testing.assert_close(other(rows)[:, 1], network(rows)[:, 1] + 0.5)


def test_the_given_module_is_not_touched(rows):
    module, network = build(Residual)
    before = copy.deepcopy(module.state_dict())
    network.calibrate(rows)
    assert network.training
    cross_entropy(network(rows), torch.zeros(60, dtype=torch.int64)).backward()
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert isinstance(module.first, nn.Linear)


def test_refit_keeps_what_was_learned(rows):
    _, network = build(Residual)
    network.calibrate(rows)
    network.set_bit_widths(4)
    selected = network.candidates.index(4)
    with torch.no_grad():
        for layer in network.quantized_layers:
            layer.log_steps += 0.3
            layer.log_scales += 0.3
    before = copy.deepcopy(network.state_dict())
    network.refit(x=rows)
    for name, value in network.state_dict().items():
        if name.endswith(("log_steps", "log_scales")) and "first" not in name:
            assert value[selected] == before[name][selected]
            changed = value[[0, 1, 3]] != before[name][[0, 1, 3]]
            assert changed.all() or "direct" in name


def test_shared_layers_count_once(rows):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Linear(N_INPUTS, N_INPUTS)
            self.last = nn.Linear(N_INPUTS, 2)

        def forward(self, x):
            return self.last(self.shared(torch.relu(self.shared(x))))

    _, network = build(Twice)
    assert network.n_weights == [64, 16]
    assert network.n_macs == [128, 16]
    network.calibrate(rows)
    assert torch.isfinite(network(rows)).all()


@pytest.mark.parametrize("start", ["lsq", "mse"])
def test_rows_that_are_taken_apart_keep_their_weights(start, rows):
    class Columns(nn.Module):
        """The same small network for every column, before they meet."""

        def __init__(self):
            super().__init__()
            self.each = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 3))
            self.last = nn.Linear(3 * N_INPUTS, 2)

        def forward(self, x):
            return self.last(self.each(x.reshape(-1, 1)).reshape(len(x), -1))

    torch.manual_seed(0)
    network = QuantizedModule(Columns(), N_INPUTS, 2, start=start)
    weights = torch.arange(len(rows)) % 2 * 1.0
    network.calibrate(rows, weights)
    steps = [layer.log_scales.detach().clone() for layer in network.quantized_layers]
    assert network.n_macs == [3 * N_INPUTS, 9 * N_INPUTS, 6 * N_INPUTS]
    network.refit(False, rows, weights)
    if start == "mse":
        # Rows of weight 0 do not count, however many values they have.
        kept = weights > 0
        network.calibrate(rows[kept], weights[kept])
        for layer, step in zip(network.quantized_layers, steps, strict=True):
            torch.testing.assert_close(layer.log_scales, step)


def test_one_activation_width_a_layer(rows):
    _, network = build(perceptron, activation_bits=(None, 3))
    network.calibrate(rows)
    assert network.activation_widths == [8, 3]
    with pytest.raises(ValueError, match=r"has 1 widths for 2"):
        build(perceptron, activation_bits=(4,))
    hidden = QuantizedMLP(N_INPUTS, (6, 5), 2, activation_bits=(8, None))
    hidden.set_bit_widths([2, 3, 4])
    assert hidden.activation_widths == [8, 8, 3]
    assert hidden.bops == 48 * 2 * 8 + 30 * 3 * 8 + 10 * 4 * 3
    assert hidden.bit_cost == 48 * 2 + 30 * 3 + 10 * 4


def test_one_bit_cannot_hold_both_signs(rows):
    _, network = build(Residual, activation_bits=1)
    with pytest.raises(ValueError, match=r"activation_bits=1, but values of both signs"):
        network.calibrate(rows)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(N_INPUTS, 2, batch_first=True)
        self.last = nn.Linear(N_INPUTS, 2)

    def forward(self, x):
        x = x.unsqueeze(1)
        return self.last(self.attention(x, x, x)[0].squeeze(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nn.Tanh, "no layer that is quantized"),
        (Attention, r"outside of Linear.*'attention.in_proj_weight' of shape \(24, 8\)"),
        (lambda: nn.Linear(N_INPUTS, 1), r"to \(2, 1\); it must give one logit"),
        (lambda: nn.Linear(3, 2), "does not map 8 encoded columns to 2 logits"),
    ],
)
def test_modules_that_cannot_be_quantized(make, message):
    with pytest.raises(UnsupportedModelError, match=message):
        build(make)


def test_a_layer_alone_does_not_run():
    _, network = build(perceptron)
    with pytest.raises(RuntimeError, match="Call the QuantizedModule"):
        network.quantized_layers[0](torch.zeros(1, N_INPUTS))
