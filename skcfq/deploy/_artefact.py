"""A quantized classifier as one file, and back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from skcfq._version import __version__
from skcfq.deploy._allowance import Allowance
from skcfq.deploy._arrays import ArrayReader, ArrayWriter, is_reference
from skcfq.deploy._classifier import DeployedClassifier, deployed_form
from skcfq.deploy._container import Container, pack_container, read_container, unpack_container
from skcfq.deploy._header import (
    INPUT,
    LAYERS,
    describe_network,
    pack_biases,
    pack_weights,
    read_network,
)
from skcfq.deploy._space_reading import TABLES, space_from_tables
from skcfq.deploy._space_writing import space_to_tables
from skcfq.deploy._text_spaces import SPACE, space_from_text
from skcfq.exceptions import ArtefactDamagedError, UnsupportedModelError
from skcfq.utils import atomic_write, from_json, to_json
from skcfq.utils.schema import (
    Check,
    fields,
    free,
    listed,
    mapping,
    number,
    one_of,
    optional,
    scalar,
    text,
)

FORMAT = "skcfq/quantized-classifier"
_DEEPEST = 40


def _dict(value: Any, place: str) -> dict[str, Any]:
    return mapping(free, 10**6)(value, place)


_ABOUT: dict[str, Check] = {
    "format": one_of(FORMAT),
    "versions": mapping(text(100), 20),
    "model": text(1000),
    "classes": listed(scalar, at_least=1),
    "classes_dtype": text(20),
    "columns": optional(listed(text(10**6))),
    "target": scalar,
    "action_set": optional(_dict),
    "input": INPUT,
    "logit_scale": number(0.0),
    "layers": LAYERS,
}
HEADER = fields(_ABOUT | {"feature_space": TABLES})
TEXT_HEADER = fields(_ABOUT | {"feature_space": SPACE})


def save(path: str | os.PathLike, model: Any, statistics: str = "bounds") -> dict[str, int]:
    """Write a deployed classifier to a file.

    Parameters
    ----------
    path : str or path
        A file that is there is replaced when the new one is complete.
    model : DeployedClassifier or quantized estimator of this library
    statistics : {"bounds", "none", "full"}, default="bounds"
        What the file tells of the training rows, beside what predictions need:

        - ``"bounds"``: the range and the encoded spread of every number, the share of every
          category. Enough for solvers with default costs and observed bounds.
        - ``"none"``: nothing. Solvers need ``background=``.
        - ``"full"``: mean, deviations and 101 quantiles too, which quantile bounds, the cost
          weights ``"mad"`` and percentiles need; of a small table, these are many of its values.

    Returns
    -------
    sizes : dict of str to int
        Bytes of the ``weights``, the ``biases``, the ``header`` (prelude included), and ``total``.

    Raises
    ------
    FeatureSpaceError
        A column goes through functions of the user, which cannot be written.
    UnsupportedModelError
        The file could not be read back, for example because of thousands of categories.
    """
    model = deployed_form(model)
    network, space = model.integer_network_, model.feature_space_.with_statistics(statistics)
    weights, biases = pack_weights(network), pack_biases(network)
    arrays = ArrayWriter()
    header = to_json(
        {
            "format": FORMAT,
            "versions": {"skcfq": __version__, "numpy": np.__version__},
            "model": model.model,
            "classes": model.classes_.tolist(),
            "classes_dtype": _dtype_name(model.classes_),
            "columns": model.columns,
            "target": model.target_,
            "action_set": model.action_set,
            **describe_network(network, arrays),
            "feature_space": space_to_tables(space, arrays),
        }
    )
    data = pack_container(header, weights + biases, arrays.tobytes())
    try:
        _model_of(unpack_container(data, os.fspath(path)))
    except ArtefactDamagedError as error:
        raise UnsupportedModelError(
            f"This {model.model} cannot be written so that it can be read back ({error}). Merge "
            "rare categories, or rescale columns of extreme size."
        ) from error
    atomic_write(path, data)
    return {
        "weights": len(weights),
        "biases": len(biases),
        "header": len(data) - len(weights) - len(biases),
        "total": len(data),
    }


def load(path: str | os.PathLike) -> DeployedClassifier:
    """Read a model file that ``export`` of a quantized classifier wrote.

    Needs numpy and pandas alone (and SciPy, where a column goes through a power or quantile
    transform). Nothing in the file is executed, every value is checked, and no file makes it
    allocate more than 20 times its size and 50 MB.

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
    return _model_of(read_container(path))


def read_header(path: str | os.PathLike) -> dict[str, Any]:
    """Return the header of a model file: everything but weights and biases, as JSON values.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    header : dict
    """
    container = read_container(path)
    with _refusing_contradictions(container):
        return _as_lists(_resolved(container))


def _model_of(container: Container) -> DeployedClassifier:
    header = container.header
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ArtefactDamagedError(f"{container.allowance.name} does not hold a classifier.")
    with _refusing_contradictions(container):
        return _checked_model(container)


@contextmanager
def _refusing_contradictions(container: Container) -> Iterator[None]:
    """Tell what a header that does not fit itself raises as what it is."""
    try:
        yield
    except ArtefactDamagedError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ArtefactDamagedError(
            f"{container.allowance.name} has a header that contradicts itself "
            f"({type(error).__name__}: {error})."
        ) from error


def _checked_model(container: Container) -> DeployedClassifier:
    allowance = container.allowance
    header = (HEADER if container.schema >= 4 else TEXT_HEADER)(_resolved(container), "")
    network = read_network(header, container.payload, allowance)
    read_space = space_from_tables if container.schema >= 4 else space_from_text
    space = read_space(header["feature_space"], network.n_inputs, allowance)
    classes = _classes(header["classes"], header["classes_dtype"], allowance)
    if network.n_classes != len(classes):
        raise ValueError("the layers do not fit the classes")
    if header["columns"] is not None and len(header["columns"]) != space.n_raw:
        raise ValueError("columns are not as many as the feature space has")
    return DeployedClassifier(
        network,
        space,
        classes,
        columns=header["columns"],
        target=header["target"],
        action_set=header["action_set"],
        model=header["model"],
    )


def _resolved(container: Container) -> Any:
    """Return the header with arrays and marked values in their places."""
    return _resolve(container.header, ArrayReader(container.arrays, container.allowance), 0)


def _resolve(value: Any, arrays: ArrayReader, depth: int) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} times")
    # In place: a copy of a large header would take as much again.
    if isinstance(value, list):
        # Names are many, and hold nothing.
        if not {*map(type, value)}.isdisjoint((dict, list)):
            for i, one in enumerate(value):
                value[i] = _resolve(one, arrays, depth + 1)
    elif is_reference(value):
        return arrays.read(value)
    elif isinstance(value, dict):
        for key, one in value.items():
            value[key] = _resolve(one, arrays, depth + 1)
        if any(mark in value for mark in ("$", "$tuple", "$interval")):
            return from_json(value)
    return value


def _as_lists(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, dict):
        return {key: _as_lists(one) for key, one in value.items()}
    return [_as_lists(one) for one in value] if isinstance(value, list) else to_json(value)


def _classes(labels: list[Any], dtype: str, allowance: Allowance) -> np.ndarray:
    """Return the labels as they were: all of one type, or objects."""
    kinds: dict[str, tuple[type, ...]] = {"b": (bool,), "f": (int, float), "U": (str,)}
    if dtype == "object":
        classes = np.empty(len(labels), dtype=object)
        for i, label in enumerate(labels):
            classes[i] = label
        return classes
    if not re.fullmatch(r"[|<>=]?([biuf][1248]|U[1-9][0-9]{0,8})", dtype):
        raise ValueError(f"classes_dtype is {dtype!r}, expected a type of labels")
    kind = np.dtype(dtype)
    if not {type(label) for label in labels} <= {*kinds.get(kind.kind, (int,))}:
        raise ValueError(f"classes are no labels of the type {dtype!r}")
    allowance.take(kind.itemsize * len(labels), "its labels")
    if kind.kind == "U" and max(map(len, labels)) > kind.itemsize // 4:
        raise ValueError(f"classes are longer than the type {dtype!r}")
    return np.array(labels, dtype=kind)


def _dtype_name(classes: np.ndarray) -> str:
    return "object" if classes.dtype.kind not in "biufU" else classes.dtype.str
