"""Quantization: pure quantizers, fake-quantized layers, bit policies, calibration (§4.3, 4.4)."""

from skcfq.quantization._allocation import allocate_bits
from skcfq.quantization._bits import (
    average_bits,
    check_candidates,
    is_full_precision,
    signed_range,
    unsigned_levels,
)
from skcfq.quantization._calibration import lsq_step, max_clip, mse_clip, mse_step
from skcfq.quantization._layer import QuantizedLayer
from skcfq.quantization._linear import QuantizedLinear
from skcfq.quantization._lsq import quantize_input, quantize_weight
from skcfq.quantization._pact import quantize_activation
from skcfq.quantization._policy import GumbelBits
from skcfq.quantization._surrogates import (
    closed_form_bits,
    closed_form_widths,
    exact_bits,
    greedy_bits,
)

__all__ = [
    "GumbelBits",
    "QuantizedLayer",
    "QuantizedLinear",
    "allocate_bits",
    "average_bits",
    "check_candidates",
    "closed_form_bits",
    "closed_form_widths",
    "exact_bits",
    "greedy_bits",
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
