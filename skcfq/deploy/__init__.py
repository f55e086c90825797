"""Quantized networks as they are shipped: one arithmetic, one file, and ONNX; no torch."""

from skcfq.deploy._arithmetic import (
    IntegerLayer,
    IntegerNetwork,
    LayerParts,
    integer_network,
    softmax,
)
from skcfq.deploy._rows import encode_rows

__all__ = [
    "IntegerLayer",
    "IntegerNetwork",
    "LayerParts",
    "encode_rows",
    "integer_network",
    "softmax",
]
