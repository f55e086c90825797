"""A quantized classifier as one file, and back."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import numpy as np

from skcfq._version import __version__
from skcfq.deploy._arithmetic import IntegerLayer, IntegerNetwork
from skcfq.deploy._classifier import DeployedClassifier, deployed_form
from skcfq.deploy._container import SCHEMA, read_container, write_container
from skcfq.deploy._packing import pack_codes, packed_size, unpack_codes
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import ArtefactDamagedError
from skcfq.utils import from_json, to_json

FORMAT = "skcfq/quantized-classifier"


def save(path: str | os.PathLike, model: Any) -> dict[str, int]:
    """Write a deployed classifier to a file.

    Parameters
    ----------
    path : str or path
        A file that is there is replaced.
    model : DeployedClassifier or quantized estimator of this library

    Returns
    -------
    sizes : dict of str to int
        Bytes of the ``weights``, the ``biases``, the ``header`` (prelude included), and ``total``.

    Raises
    ------
    FeatureSpaceError
        A column goes through functions of the user, which cannot be written.
    """
    model = deployed_form(model)
    network = model.integer_network_
    weights = [pack_codes(layer.weight, layer.bits) for layer in network.layers]
    biases = [_bias_bytes(layer.bias) for layer in network.layers]
    header = {
        "format": FORMAT,
        "versions": {"skcfq": __version__, "numpy": np.__version__},
        "model": model.model,
        "classes": to_json(model.classes_.tolist()),
        "classes_dtype": _dtype_name(model.classes_),
        "columns": to_json(model.columns),
        "target": to_json(model.target_),
        "action_set": to_json(model.action_set),
        "input": {
            "step": network.input_step,
            "bits": network.input_bits,
            "shifts": network.input_shifts.tolist(),
            **({} if network.input_units is None else {"units": network.input_units.tolist()}),
            **(
                {} if network.input_centers is None else {"centers": network.input_centers.tolist()}
            ),
        },
        "logit_scale": network.logit_scale,
        "layers": [
            {
                "n_out": layer.weight.shape[0],
                "n_in": layer.weight.shape[1],
                "bits": layer.bits,
                "step": _plain(layer.step),
                "bias_bytes": len(bias),
                "fraction_bits": _plain(layer.fraction_bits),
                "multiplier": _plain(layer.multiplier),
                "shift": _plain(layer.shift),
                "levels": layer.levels,
            }
            for layer, bias in zip(network.layers, biases, strict=True)
        ],
        "feature_space": model.feature_space_.to_dict(),
    }
    # What older versions can read is written as they know it.
    write_container(path, header, b"".join(weights + biases), schema=_schema_for(network))
    n_weights, n_biases = (sum(map(len, parts)) for parts in (weights, biases))
    total = os.path.getsize(path)
    return {
        "weights": n_weights,
        "biases": n_biases,
        "header": total - n_weights - n_biases,
        "total": total,
    }


def load(path: str | os.PathLike) -> DeployedClassifier:
    """Read a model file that ``export`` of a quantized classifier wrote.

    Needs numpy and pandas alone (and SciPy, where a column goes through a power or quantile
    transform). Nothing in the file is executed.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    model : DeployedClassifier
        Its decisions are those of the estimator that was exported, on every row.

    Raises
    ------
    ArtefactDamagedError
        The file is damaged, truncated, or of another kind.
    ArtefactVersionError
        A newer version of the library wrote it.
    """
    header, payload = read_container(path)
    name = os.fspath(path)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ArtefactDamagedError(f"{name} does not hold a quantized classifier.")
    try:
        return _read(header, payload)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ArtefactDamagedError(
            f"{name} has a header that contradicts itself ({type(error).__name__}: {error})."
        ) from error


def read_header(path: str | os.PathLike) -> dict[str, Any]:
    """Return the header of a model file: everything but weights and biases, as JSON values.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    header : dict
    """
    return read_container(path)[0]


def _read(header: dict[str, Any], payload: bytes) -> DeployedClassifier:
    layers = _read_layers(header["layers"], payload)
    step, bits = float(header["input"]["step"]), int(header["input"]["bits"])
    shifts = np.asarray(header["input"]["shifts"], dtype=np.int64)
    if shifts.shape != (layers[0].weight.shape[1],) or (shifts < 0).any() or (shifts > 30).any():
        raise ValueError("the shifts do not fit the inputs")
    units = header["input"].get("units")
    if units is not None:
        units = np.asarray(units, dtype=np.int64)
        if units.shape != shifts.shape or (np.abs(units) > 1000).any():
            raise ValueError("the units do not fit the inputs")
    centers = header["input"].get("centers")
    if centers is not None:
        centers = np.asarray(centers, dtype=np.int64)
        if centers.shape != shifts.shape or (np.abs(centers) > 2 ** (bits - 1)).any():
            raise ValueError("the centers do not fit the inputs")
    network = IntegerNetwork(
        step, bits, layers, float(header["logit_scale"]), shifts, units, centers
    )
    space = FeatureSpace.from_dict(header["feature_space"])
    classes = np.asarray(from_json(header["classes"]), dtype=header["classes_dtype"])
    if not 2 <= bits <= 16 or not step > 0:
        raise ValueError("inputs have no such codes")
    if network.n_inputs != space.n_encoded or network.n_classes != len(classes):
        raise ValueError("the layers do not fit the columns or the classes")
    return DeployedClassifier(
        network,
        space,
        classes,
        columns=from_json(header["columns"]),
        target=from_json(header["target"]),
        action_set=from_json(header["action_set"]),
        model=header["model"],
    )


def _read_layers(described: list[dict[str, Any]], payload: bytes) -> tuple[IntegerLayer, ...]:
    shapes = [(int(one["n_out"]), int(one["n_in"])) for one in described]
    sizes = [packed_size(a * b, one["bits"]) for (a, b), one in zip(shapes, described, strict=True)]
    sizes += [int(one["bias_bytes"]) for one in described]
    if sum(sizes) != len(payload) or min(sizes) < 0:
        raise ValueError("the payload has another size than the layers say")
    if any(after[1] != before[0] for before, after in pairwise(shapes)):
        raise ValueError("the layers do not follow each other")
    ends = np.cumsum([0, *sizes]).tolist()
    pieces = [payload[a:b] for a, b in pairwise(ends)]
    layers = []
    for position, (one, shape) in enumerate(zip(described, shapes, strict=True)):
        bits, bias = int(one["bits"]), pieces[len(described) + position]
        codes = unpack_codes(pieces[position], shape[0] * shape[1], bits).reshape(shape)
        kind = "<i4" if len(bias) == 4 * shape[0] else "<i8"
        layers.append(
            IntegerLayer(
                weight=codes.astype(np.int8 if bits <= 8 else np.int16),
                bits=bits,
                step=_numbers(one["step"], shape[0], float),
                bias=np.frombuffer(bias, kind).astype(np.int64).reshape(shape[0]),
                fraction_bits=_numbers(one["fraction_bits"], shape[0], int),
                multiplier=_numbers(one["multiplier"], shape[0], int),
                shift=_numbers(one["shift"], shape[0], int),
                levels=int(one["levels"]),
            )
        )
    return tuple(layers)


def _schema_for(network: IntegerNetwork) -> int:
    """Return the lowest schema that says all: what older versions can read is for them too."""
    if network.input_centers is not None:
        return SCHEMA
    has_units = network.input_units is not None
    return 2 if has_units or any(one.is_per_channel for one in network.layers) else 1


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _numbers(value: Any, n_out: int, kind: type) -> Any:
    """Return a number, or one for each unit."""
    if not isinstance(value, list):
        return kind(value)
    if len(value) != n_out:
        raise ValueError("a layer has scales for another number of units")
    return np.array([kind(one) for one in value], dtype=np.float64 if kind is float else np.int64)


def _bias_bytes(bias: np.ndarray) -> bytes:
    narrow = bool((np.abs(bias) < 2**31).all())
    return bias.astype("<i4" if narrow else "<i8").tobytes()


def _dtype_name(classes: np.ndarray) -> str:
    return "object" if classes.dtype.kind not in "biufU" else classes.dtype.str
