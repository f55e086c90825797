"""Networks and losses on tensors: torch only, no scikit-learn and no solver."""

from skcfq.nn._batch import Batch, PlaceTable, TrainingRows
from skcfq.nn._deployed import DeployedNetwork, integers_of
from skcfq.nn._frozen_mlp import FrozenMLP
from skcfq.nn._losses import (
    cross_entropy,
    group_mean,
    logit_distance,
    margin_distance,
    margin_hinge,
    target_margin,
    weighted_mean,
)
from skcfq.nn._mlp import FullPrecisionMLP
from skcfq.nn._post_training import (
    CalibrationSet,
    calibrate_layers,
    margin_losses,
    sensitivities,
)
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.nn._quantized_module import QuantizedModule, check_logits, check_quantizable
from skcfq.nn._quantized_network import QuantizedNetwork, activation_widths_of
from skcfq.nn._sensitivity import (
    gradient_sensitivity,
    hessian_trace,
    quantization_errors,
)
from skcfq.nn._student_recourse import Matching, unrolled_steps
from skcfq.nn._training_modules import FaithfulModule, LossWeights, SupervisedModule

__all__ = [
    "Batch",
    "CalibrationSet",
    "DeployedNetwork",
    "FaithfulModule",
    "FrozenMLP",
    "FullPrecisionMLP",
    "LossWeights",
    "Matching",
    "PlaceTable",
    "QuantizedMLP",
    "QuantizedModule",
    "QuantizedNetwork",
    "SupervisedModule",
    "TrainingRows",
    "activation_widths_of",
    "calibrate_layers",
    "check_logits",
    "check_quantizable",
    "cross_entropy",
    "gradient_sensitivity",
    "group_mean",
    "hessian_trace",
    "integers_of",
    "logit_distance",
    "margin_distance",
    "margin_hinge",
    "margin_losses",
    "quantization_errors",
    "sensitivities",
    "target_margin",
    "unrolled_steps",
    "weighted_mean",
]
