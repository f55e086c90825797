"""Networks and losses on tensors: torch only, no scikit-learn and no solver.

For developers: what other rooms take from this one.
"""

from skcfq.nn._activation_widths import activation_widths_of, width_of
from skcfq.nn._batch import Batch, SampleTable, TrainingRows
from skcfq.nn._column_units import column_units, network_in_units, weight_units
from skcfq.nn._deployed import DeployedNetwork, integers_of
from skcfq.nn._feature_mixup import feature_mixup
from skcfq.nn._frozen_mlp import FrozenMLP
from skcfq.nn._group_weights import GroupWeights
from skcfq.nn._lanes import in_lanes, of_lanes, product, to_lanes
from skcfq.nn._losses import (
    cross_entropy,
    logit_distance,
    near_boundary,
    target_margin,
    weighted_mean,
)
from skcfq.nn._mlp import MOST_UNITS, FullPrecisionMLP
from skcfq.nn._post_training import CalibrationSet, calibrate_layers, margin_losses, sensitivities
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.nn._quantized_module import QuantizedModule, check_logits, check_quantizable
from skcfq.nn._quantized_network import QuantizedNetwork
from skcfq.nn._reconstruction import reconstruct_logits
from skcfq.nn._samples import Samples
from skcfq.nn._sensitivity import (
    gradient_sensitivity,
    hessian_trace,
    quantization_errors,
    unit_errors,
)
from skcfq.nn._straight_through import Tuning
from skcfq.nn._student_recourse import Matching
from skcfq.nn._subnormals import subnormals_as_zero
from skcfq.nn._training_modules import FaithfulModule, LossWeights, SupervisedModule
from skcfq.nn._widening import can_be_widened, widened

__all__ = [
    "Batch",
    "CalibrationSet",
    "DeployedNetwork",
    "FaithfulModule",
    "FrozenMLP",
    "FullPrecisionMLP",
    "GroupWeights",
    "LossWeights",
    "MOST_UNITS",
    "Matching",
    "SampleTable",
    "Samples",
    "QuantizedMLP",
    "QuantizedModule",
    "QuantizedNetwork",
    "SupervisedModule",
    "TrainingRows",
    "Tuning",
    "activation_widths_of",
    "calibrate_layers",
    "can_be_widened",
    "check_logits",
    "check_quantizable",
    "column_units",
    "cross_entropy",
    "gradient_sensitivity",
    "hessian_trace",
    "in_lanes",
    "integers_of",
    "logit_distance",
    "margin_losses",
    "feature_mixup",
    "near_boundary",
    "of_lanes",
    "network_in_units",
    "quantization_errors",
    "reconstruct_logits",
    "product",
    "sensitivities",
    "subnormals_as_zero",
    "target_margin",
    "to_lanes",
    "unit_errors",
    "weight_units",
    "weighted_mean",
    "widened",
    "width_of",
]
