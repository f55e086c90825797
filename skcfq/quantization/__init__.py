"""Quantization: pure quantizers, fake-quantized layers, bit policies, calibration (§4.3, 4.4)."""

from ._allocation import allocate_bits
from ._bits import average_bits, check_candidates, is_full_precision, signed_range, unsigned_levels
from ._calibration import lsq_step, max_clip, mse_clip, mse_step
from ._linear import QuantizedLinear
from ._lsq import quantize_input, quantize_weight
from ._pact import quantize_activation
from ._policy import GumbelBits

__all__ = [
    "GumbelBits",
    "QuantizedLinear",
    "allocate_bits",
    "average_bits",
    "check_candidates",
    "is_full_precision",
    "lsq_step",
    "max_clip",
    "mse_clip",
    "mse_step",
    "quantize_activation",
    "quantize_input",
    "quantize_weight",
    "signed_range",
    "unsigned_levels",
]
