"""A quantized classifier as an ONNX graph that decides as the estimator does.

The usual form, QuantizeLinear and DequantizeLinear around floating-point products, cannot match:
its scales and biases are float32, and onnxruntime rounds them once more when it fuses the nodes.
So the weights are stored as INT2, INT4 or INT8 behind a DequantizeLinear whose scale is a power of
two, and the sums are those of :mod:`skcfq.deploy._arithmetic`: integers, held exactly by float64.
No fusion that keeps float64 can change them.
"""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.deploy._arithmetic import IntegerLayer, IntegerNetwork
from skcfq.deploy._classifier import deployed_form
from skcfq.deploy._packing import pack_codes
from skcfq.encoding import TableBlock
from skcfq.exceptions import FeatureSpaceError, OptionalDependencyError, UnsupportedModelError
from skcfq.utils import (
    as_numbers,
    as_objects,
    atomic_write,
    check_flag,
    missing_mask,
)

if TYPE_CHECKING:
    from skcfq.deploy._classifier import DeployedClassifier
    from skcfq.encoding import Block

INT4_OPSET, INT2_OPSET = 21, 25
_IR_VERSIONS = {INT4_OPSET: 10, INT2_OPSET: 13}
# Stands for a gap in a text column: ONNX has no missing text.
GAP = ""


def write_onnx(
    model: Any,
    path: str | os.PathLike,
    *,
    preprocessing: bool = True,
    opset: int | None = None,
) -> dict[str, int]:
    """Write a deployed classifier as an ONNX file.

    Parameters
    ----------
    model : DeployedClassifier or quantized estimator of this library
    path : str or path
        A file that is there is replaced when the new one is complete.
    preprocessing : bool, default=True
        Whether the graph reads raw columns, one input each; False makes it read the encoded
        matrix, as the input ``encoded``.
    opset : int, default=None
        21 or 25; None takes 25 where a layer has 2 bits, and 21 elsewhere. Under 21, weights of
        2 bits are stored as INT4.

    Returns
    -------
    sizes : dict of str to int
        Bytes of the ``weights`` as they are stored (3 bits take 4, 5 to 7 take 8, all units of a
        layer what its widest takes), and ``total``.

    Raises
    ------
    OptionalDependencyError
        The package onnx is not installed.
    UnsupportedModelError
        A column cannot be read in ONNX without another rounding; the message names it.
    """
    check_flag("preprocessing", preprocessing)
    onnx = _import_onnx()
    model = deployed_form(model)
    graph = _Graph(onnx, _opset_for(model.integer_network_, opset))
    if preprocessing:
        encoded = _encoder(graph, model)
    else:
        graph.input("encoded", onnx.TensorProto.DOUBLE, model.integer_network_.n_inputs)
        encoded = "encoded"
    totals = _network(graph, model.integer_network_, encoded)
    _outputs(graph, model, totals)
    proto = graph.model(model)
    onnx.checker.check_model(proto)
    data = proto.SerializeToString()
    atomic_write(path, data)
    return {"weights": graph.weight_bytes, "total": len(data)}


def onnx_inputs(model: Any, X: Any) -> dict[str, np.ndarray]:
    """Return raw rows as the inputs of the graph that :func:`write_onnx` wrote.

    Parameters
    ----------
    model : DeployedClassifier or quantized estimator of this library
    X : DataFrame or array-like of shape (n, n_raw_columns)

    Returns
    -------
    inputs : dict of str to ndarray of shape (n, 1)
        float64 for numbers (a gap is NaN), text for categories (a gap is the empty text).

    Raises
    ------
    FeatureSpaceError
        Columns are missing, or hold what the estimator would refuse.
    """
    inputs = {}
    model = deployed_form(model)
    columns, _ = model.feature_space_.columns_of(X)
    for block, (_, column) in zip(model.feature_space_.blocks, columns, strict=True):
        if not block.width:
            continue
        if _is_text(block):
            text = np.array([str(value) for value in as_objects(column)], dtype=object)
            text[missing_mask(column)] = GAP
            inputs[str(block.name)] = text[:, None]
        else:
            inputs[str(block.name)] = _numbers(block.name, column)[:, None]
    return inputs


def _numbers(name: Any, column: Any) -> np.ndarray:
    """Return a column as numbers; the graph itself cannot refuse what the estimator refuses."""
    try:
        values = as_numbers(column)
    except ValueError as error:
        raise FeatureSpaceError(
            f"Column {name!r} must hold numbers, but {error}. Pass the column as it was when the "
            "model was fitted."
        ) from error
    if np.isinf(values).any():
        raise FeatureSpaceError(
            f"Column {name!r} holds infinite numbers. Replace them by a gap (NaN) or by a finite "
            "number."
        )
    return values


class _Graph:
    """Nodes and constants of a graph in the making."""

    def __init__(self, onnx: Any, opset: int):
        self.onnx, self.opset = onnx, opset
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.weight_bytes = 0

    def input(self, name: str, kind: int, width: int) -> None:
        self.inputs.append(self.onnx.helper.make_tensor_value_info(name, kind, ["n", width]))

    def output(self, name: str, kind: int, *shape: Any) -> None:
        self.outputs.append(self.onnx.helper.make_tensor_value_info(name, kind, ["n", *shape]))

    def constant(self, value: Any, dtype: Any = np.float64) -> str:
        name = f"constant_{len(self.constants)}"
        array = np.asarray(value, dtype=dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, kind: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        output = f"{kind}_{len(self.nodes)}" if name is None else name
        made = self.onnx.helper.make_node(kind, list(inputs), [output], **attributes)
        self.nodes.append(made)
        return output

    def weight(self, layer: IntegerLayer, position: int) -> str:
        """Store weight codes, and return them times 2^f as float64, shape (n_in, n_out)."""
        kinds = self.onnx.TensorProto
        stored = {2: kinds.INT2 if self.opset >= INT2_OPSET else kinds.INT4}.get(layer.widest)
        stored = stored or (kinds.INT4 if layer.widest <= 4 else kinds.INT8)
        stored = kinds.INT16 if layer.widest > 8 else stored
        width = {kinds.INT4: 4, kinds.INT8: 8, kinds.INT16: 16}.get(stored, 2)
        codes = np.ascontiguousarray(layer.weight.T)
        data = pack_codes(codes, width)
        self.weight_bytes += len(data)
        name = f"weight_{position}"
        self.constants.append(
            self.onnx.helper.make_tensor(name, stored, codes.shape, data, raw=True)
        )
        scale = self.constant(layer.unit_factors, np.float32)
        along: dict[str, Any] = {"axis": 1} if layer.is_per_channel else {}
        real = self.node("DequantizeLinear", name, scale, **along)
        return self.node("Cast", real, to=kinds.DOUBLE)

    def model(self, source: DeployedClassifier) -> Any:
        helper = self.onnx.helper
        graph = helper.make_graph(
            self.nodes, source.model, self.inputs, self.outputs, self.constants
        )
        proto = helper.make_model(
            graph,
            producer_name="skcfq",
            ir_version=_IR_VERSIONS[self.opset],
            opset_imports=[
                helper.make_opsetid("", self.opset),
                helper.make_opsetid("ai.onnx.ml", 4),
            ],
        )
        about = {
            "bit_widths": str(source.bit_widths_.tolist()),
            "feature_space": source.feature_space_.fingerprint,
        }
        helper.set_model_props(proto, about)
        return proto


def _encoder(graph: _Graph, model: DeployedClassifier) -> str:
    """Add one input per raw column, and return the encoded matrix."""
    kinds = graph.onnx.TensorProto
    parts, order = [], []
    for block in model.feature_space_.blocks:
        if not block.width:
            continue
        name = str(block.name)
        if isinstance(block, TableBlock):
            text = _is_text(block)
            graph.input(name, kinds.STRING if text else kinds.DOUBLE, 1)
            parts.append(_category(graph, block, name, text))
        elif block.kind == "affine":
            graph.input(name, kinds.DOUBLE, 1)
            parts.append(_number(graph, block, name))
        else:
            raise UnsupportedModelError(
                f"Column {block.name!r} goes through a function that every engine rounds in its "
                "own way, so its codes would differ. Give preprocessing=False and feed the graph "
                "with feature_space_.encode(X)."
            )
        order.extend(block.columns.tolist())
    joined = graph.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    if order == list(range(len(order))):
        return joined
    return graph.node("Gather", joined, graph.constant(np.argsort(order), np.int64), axis=1)


def _number(graph: _Graph, block: Any, name: str) -> str:
    if block.fill is not None:
        gap = graph.node("IsNaN", name)
        name = graph.node("Where", gap, graph.constant(block.fill), name)
    scaled = graph.node("Mul", name, graph.constant(block.scale))
    return graph.node("Add", scaled, graph.constant(block.offset))


def _category(graph: _Graph, block: TableBlock, name: str, text: bool) -> str:
    """Look a category up: its level, then the level's row of codes."""
    helper, kinds = graph.onnx.helper, graph.onnx.TensorProto
    gap = _gap_level(block)
    present = [
        (label, level)
        for level, label in enumerate(block.categories)
        if isinstance(label, (str, bool, int, float)) and label == label
    ]
    unknown = np.full(block.width, np.nan) if block.unknown_code is None else block.unknown_code
    codes = np.vstack([block.codes, unknown])
    labels, levels = [label for label, _ in present], [level for _, level in present]
    if text:
        level = graph.node(
            "LabelEncoder",
            name,
            domain="ai.onnx.ml",
            keys_strings=[*labels, GAP],
            values_int64s=[*levels, gap],
            default_int64=block.n_levels,
        )
    else:
        level = graph.node(
            "LabelEncoder",
            name,
            domain="ai.onnx.ml",
            keys_tensor=helper.make_tensor(
                "keys", kinds.DOUBLE, [len(labels)], np.array(labels, np.float64)
            ),
            values_tensor=helper.make_tensor("values", kinds.INT64, [len(labels)], levels),
            default_tensor=helper.make_tensor("default", kinds.INT64, [1], [block.n_levels]),
        )
        missing = graph.node("IsNaN", name)
        level = graph.node("Where", missing, graph.constant(gap, np.int64), level)
    rows = graph.node("Gather", graph.constant(codes), level, axis=0)
    return graph.node("Squeeze", rows, graph.constant([1], np.int64))


def _gap_level(block: TableBlock) -> int:
    """Return the level of a gap, whatever marks it; n_levels where a gap is unknown."""
    levels = {int(level) for level in block.level_of(np.array([None, np.nan], dtype=object))}
    if len(levels) > 1:
        raise UnsupportedModelError(
            f"Column {block.name!r} tells several kinds of gaps apart, and ONNX knows one. Give "
            "preprocessing=False, or fill the gaps before the model is fitted."
        )
    level = levels.pop()
    return block.n_levels if level < 0 else level


def _is_text(block: Block) -> bool:
    """Tell whether a block reads text; categories of several types cannot be read at all."""
    if not isinstance(block, TableBlock):
        return False
    categories = block.categories
    labels = [label for label in categories if isinstance(label, str)]
    numbers = [
        label for label in categories if isinstance(label, (bool, int, float)) and label == label
    ]
    if labels and (numbers or GAP in labels):
        raise UnsupportedModelError(
            f"Column {block.name!r} has text and numbers, or the empty text, among its categories: "
            "an ONNX input has one type, and the empty text stands for a gap. Give "
            "preprocessing=False, or rename the categories."
        )
    return not numbers


def _network(graph: _Graph, network: IntegerNetwork, encoded: str) -> str:
    """Add the integer network, and return its totals."""
    low, high = network.input_range
    codes = graph.node("Div", encoded, graph.constant(network.input_steps))
    if network.input_centers is None:
        codes = _rounded(graph, codes, float(low[0]), float(high[0]))
    else:
        codes = graph.node("Max", graph.node("Round", codes), graph.constant(low))
        codes = graph.node("Min", codes, graph.constant(high))
    if network.input_shifts.any():
        codes = graph.node("Mul", codes, graph.constant(network.input_factors))
    for position, layer in enumerate(network.layers):
        codes = graph.node("MatMul", codes, graph.weight(layer, position))
        codes = graph.node("Add", codes, graph.constant(layer.offset))
        if layer.rescale is not None:
            codes = graph.node("Mul", codes, graph.constant(layer.rescale))
        if layer.levels:
            codes = _rounded(graph, codes, 0.0, float(layer.levels))
    return codes


def _rounded(graph: _Graph, values: str, low: float, high: float) -> str:
    codes = graph.node("Round", values)
    return graph.node("Clip", codes, graph.constant(low), graph.constant(high))


def _outputs(graph: _Graph, model: DeployedClassifier, totals: str) -> None:
    kinds = graph.onnx.TensorProto
    n_classes = len(model.classes_)
    scale = graph.constant(model.integer_network_.logit_scale)
    logits = graph.node("Mul", totals, scale, name="logits")
    graph.node("Softmax", logits, name="probabilities", axis=1)
    best = graph.node("ArgMax", totals, axis=1, keepdims=0)
    labels = model.classes_
    text = labels.dtype.kind not in "biuf"
    dtype = {"b": np.bool_, "f": np.float64}.get(labels.dtype.kind, np.int64)
    table = graph.constant(labels.astype(str) if text else labels, object if text else dtype)
    graph.node("Gather", table, best, name="label")
    kind = kinds.STRING if text else graph.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph.output("label", kind)
    graph.output("probabilities", kinds.DOUBLE, n_classes)
    graph.output("logits", kinds.DOUBLE, n_classes)


def _opset_for(network: IntegerNetwork, opset: int | None) -> int:
    if opset is None:
        return INT2_OPSET if any(layer.widest == 2 for layer in network.layers) else INT4_OPSET
    if not isinstance(opset, Integral) or opset not in _IR_VERSIONS:
        raise ValueError(f"opset={opset!r} is not offered; give {INT4_OPSET} or {INT2_OPSET}.")
    return int(opset)


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise OptionalDependencyError(
            "to_onnx needs the package onnx: pip install 'skcfq[onnx]'."
        ) from error
    return onnx
