"""The network of a header: inputs and layers, written, checked and read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from skcfq.deploy._allowance import Allowance
from skcfq.deploy._arithmetic import IntegerLayer, IntegerNetwork
from skcfq.deploy._arrays import ArrayWriter
from skcfq.deploy._packing import pack_rows, packed_rows_size, unpack_rows
from skcfq.utils.schema import Check, fields, integer, listed, number, numbers, refuse

_MOST_LAYERS = 1000
_LARGEST_BIAS = 2**52
# What is one number, or one a unit.
_OF_UNITS = ("bits", "step", "fraction_bits", "multiplier", "shift")
# Far beyond what training makes, and far from where powers of two leave float64.
_LARGEST_SHIFT = 800


def _per_unit(low: int, high: int) -> Check:
    """Accept a whole number, or one a unit."""
    one, many = integer(low, high), numbers(low, high, whole=True)
    return lambda value, place: (one if type(value) is int else many)(value, place)


def _step(value: Any, place: str) -> float | np.ndarray:
    if type(value) in (int, float):
        return number(0.0)(value, place)
    if not (steps := numbers(0.0)(value, place)).all():
        refuse(place, value, "positive numbers")
    return steps


INPUT: Check = fields(
    {
        "step": number(0.0),
        "bits": integer(2, 16),
        "shifts": numbers(0, 30, whole=True),
    },
    {"units": numbers(-1000, 1000, whole=True), "centers": numbers(-(2**15), 2**15, whole=True)},
)
LAYERS: Check = listed(
    fields(
        {
            "n_out": integer(1, 2**31),
            "n_in": integer(1, 2**31),
            "bits": _per_unit(1, 16),
            "step": _step,
            "bias_bytes": integer(1, 2**35),
            "fraction_bits": _per_unit(0, 52),
            "multiplier": _per_unit(0, 2**52),
            "shift": _per_unit(-_LARGEST_SHIFT, _LARGEST_SHIFT),
            "levels": integer(0, 2**24 - 1),
        }
    ),
    at_least=1,
    at_most=_MOST_LAYERS,
)


def describe_network(network: IntegerNetwork, arrays: ArrayWriter) -> dict[str, Any]:
    """Return what a header says of a network, without its weights and biases."""
    more = {"units": network.input_units, "centers": network.input_centers}
    return {
        "input": {
            "step": network.input_step,
            "bits": network.input_bits,
            "shifts": arrays.add(network.input_shifts),
            **{name: arrays.add(one) for name, one in more.items() if one is not None},
        },
        "logit_scale": network.logit_scale,
        "layers": [_describe_layer(layer, arrays) for layer in network.layers],
    }


def _describe_layer(layer: IntegerLayer, arrays: ArrayWriter) -> dict[str, Any]:
    out: dict[str, Any] = {
        "n_out": layer.weight.shape[0],
        "n_in": layer.weight.shape[1],
        "bias_bytes": _bias_width(layer) * len(layer.bias),
        "levels": layer.levels,
    }
    for name in _OF_UNITS:
        value = getattr(layer, name)
        out[name] = arrays.add(value) if isinstance(value, np.ndarray) else value
    return out


def pack_weights(network: IntegerNetwork) -> bytes:
    """Return the weight codes of all layers."""
    return b"".join(pack_rows(layer.weight, layer.bits) for layer in network.layers)


def pack_biases(network: IntegerNetwork) -> bytes:
    """Return the biases of all layers, of 4 or 8 bytes each."""
    return b"".join(
        layer.bias.astype(f"<i{_bias_width(layer)}").tobytes() for layer in network.layers
    )


def read_network(
    header: dict[str, Any], payload: memoryview, allowance: Allowance
) -> IntegerNetwork:
    """Return the network of a checked header; sizes are compared before anything is unpacked."""
    described, inputs = header["layers"], header["input"]
    shapes = [(one["n_out"], one["n_in"]) for one in described]
    if any(after[1] != before[0] for before, after in pairwise(shapes)):
        raise ValueError("the layers do not follow each other")
    for name in ("shifts", "units", "centers"):
        if name in inputs and len(inputs[name]) != shapes[0][1]:
            raise ValueError(f"the {name} do not fit the inputs")
    if np.any(np.abs(inputs.get("centers", 0)) > 2 ** (inputs["bits"] - 1)):
        raise ValueError("the centers do not fit the inputs")
    for one in described:
        for name in _OF_UNITS:
            if isinstance(one[name], np.ndarray) and len(one[name]) != one["n_out"]:
                raise ValueError("a layer has widths or scales for another number of units")
    sizes = [packed_rows_size(one["n_in"], one["bits"], one["n_out"]) for one in described]
    sizes += [one["bias_bytes"] for one in described]
    if sum(sizes) != len(payload):
        raise ValueError("the payload has another size than the layers say")
    ends = np.cumsum([0, *sizes]).tolist()
    pieces = [payload[a:b] for a, b in pairwise(ends)]
    layers = []
    for position, one in enumerate(described):
        if (one["levels"] == 0) != (position == len(described) - 1):
            raise ValueError("levels are 0 in the last layer, and there alone")
        layers.append(_layer(one, pieces[position], pieces[len(described) + position], allowance))
    network = IntegerNetwork(
        inputs["step"],
        inputs["bits"],
        tuple(layers),
        header["logit_scale"],
        inputs["shifts"],
        inputs.get("units"),
        inputs.get("centers"),
    )
    with np.errstate(over="ignore", under="ignore"):
        steps = network.input_steps
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise ValueError("the steps of the inputs leave the range of numbers")
    return network


def _layer(
    one: dict[str, Any], weight: memoryview, bias: memoryview, allowance: Allowance
) -> IntegerLayer:
    n_out, n_in, bits = one["n_out"], one["n_in"], one["bits"]
    if one["bias_bytes"] not in (4 * n_out, 8 * n_out):
        raise ValueError("a layer has biases for another number of units")
    allowance.take(
        # Rows of one width are unpacked together and then put in their places.
        (1 + np.ndim(bits)) * n_out * n_in * (1 if np.max(bits) <= 8 else 2) + 8 * n_out,
        "the weights of a layer",
    )
    biases = np.frombuffer(bias, f"<i{one['bias_bytes'] // n_out}").astype(np.int64)
    if (np.abs(biases) > _LARGEST_BIAS).any() or (biases == np.iinfo(np.int64).min).any():
        raise ValueError("a bias is too large")
    return IntegerLayer(
        weight=unpack_rows(weight, (n_out, n_in), bits),
        bits=bits,
        step=one["step"],
        bias=biases,
        fraction_bits=one["fraction_bits"],
        multiplier=one["multiplier"],
        shift=one["shift"],
        levels=one["levels"],
    )


def _bias_width(layer: IntegerLayer) -> int:
    return 4 if bool((np.abs(layer.bias) < 2**31).all()) else 8
