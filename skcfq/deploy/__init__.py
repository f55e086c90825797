"""Quantized networks as they are shipped: one arithmetic, one file, and ONNX; no torch.

Public: :class:`DeployedClassifier`, :func:`load`, :func:`onnx_inputs` and :func:`read_header`.
For developers: the rest.
"""

from skcfq.deploy._arithmetic import IntegerLayer, IntegerNetwork, softmax
from skcfq.deploy._artefact import load, read_header, save
from skcfq.deploy._classifier import DeployedClassifier
from skcfq.deploy._conversion import LayerParts, integer_network
from skcfq.deploy._first_layer import UnusualRowsError
from skcfq.deploy._onnx import onnx_inputs, write_onnx
from skcfq.deploy._rows import encode_rows
from skcfq.deploy._serving import Serving

__all__ = [
    "DeployedClassifier",
    "IntegerLayer",
    "IntegerNetwork",
    "LayerParts",
    "Serving",
    "UnusualRowsError",
    "encode_rows",
    "integer_network",
    "load",
    "onnx_inputs",
    "read_header",
    "save",
    "softmax",
    "write_onnx",
]
