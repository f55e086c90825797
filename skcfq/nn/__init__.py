"""Networks and losses on tensors: torch only, no scikit-learn and no solver."""

from skcfq.nn._deployed import DeployedNetwork, integers_of
from skcfq.nn._losses import cross_entropy, margin_hinge, target_margin, weighted_mean
from skcfq.nn._mlp import FullPrecisionMLP
from skcfq.nn._post_training import (
    CalibrationSet,
    calibrate_layers,
    margin_losses,
    sensitivities,
)
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.nn._training_modules import FaithfulModule, SupervisedModule

__all__ = [
    "CalibrationSet",
    "DeployedNetwork",
    "FaithfulModule",
    "FullPrecisionMLP",
    "QuantizedMLP",
    "SupervisedModule",
    "calibrate_layers",
    "cross_entropy",
    "integers_of",
    "margin_hinge",
    "margin_losses",
    "sensitivities",
    "target_margin",
    "weighted_mean",
]
