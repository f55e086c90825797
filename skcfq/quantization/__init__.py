"""Quantization: pure quantizers, fake-quantized layers, bit policies, calibration (§4.3, 4.4).

For developers: what other rooms take from this one.
"""

from skcfq.quantization._allocation import allocate_bits
from skcfq.quantization._bits import (
    FULL_PRECISION_BITS,
    MAXIMUM_CANDIDATE_BITS,
    average_bits,
    check_budget,
    check_candidates,
    is_full_precision,
    signed_range,
    unsigned_levels,
)
from skcfq.quantization._calibration import (
    column_steps,
    covering_steps,
    mse_clip,
    mse_step,
    mse_steps,
)
from skcfq.quantization._columns import ColumnQuantizer
from skcfq.quantization._compensation import compensated_rounding
from skcfq.quantization._layer import QUANTIZABLE, LayerUse, QuantizedLayer, using
from skcfq.quantization._linear import QuantizedLinear
from skcfq.quantization._lsq import quantize_input, quantize_weight
from skcfq.quantization._pact import quantize_activation
from skcfq.quantization._policy import GumbelBits
from skcfq.quantization._post_training import (
    bias_shift,
    layer_sensitivities,
    range_clip,
    range_step,
    reconstruction_clip,
    reconstruction_step,
    round_adaptively,
)
from skcfq.quantization._selectable import SelectableLayer, quantize_layers
from skcfq.quantization._surrogates import (
    closed_form_bits,
    closed_form_widths,
    exact_bits,
    greedy_bits,
)
from skcfq.quantization._width_choice import UnitChoice, WidthChoice, step_position
from skcfq.quantization._width_search import MeasuredLosses, search_widths

__all__ = [
    "ColumnQuantizer",
    "FULL_PRECISION_BITS",
    "GumbelBits",
    "LayerUse",
    "MAXIMUM_CANDIDATE_BITS",
    "MeasuredLosses",
    "QUANTIZABLE",
    "QuantizedLayer",
    "QuantizedLinear",
    "SelectableLayer",
    "UnitChoice",
    "WidthChoice",
    "allocate_bits",
    "average_bits",
    "bias_shift",
    "check_budget",
    "check_candidates",
    "closed_form_bits",
    "closed_form_widths",
    "column_steps",
    "compensated_rounding",
    "covering_steps",
    "exact_bits",
    "greedy_bits",
    "is_full_precision",
    "layer_sensitivities",
    "mse_clip",
    "mse_step",
    "mse_steps",
    "quantize_activation",
    "quantize_input",
    "quantize_layers",
    "quantize_weight",
    "range_clip",
    "range_step",
    "reconstruction_clip",
    "reconstruction_step",
    "round_adaptively",
    "search_widths",
    "signed_range",
    "step_position",
    "unsigned_levels",
    "using",
]
