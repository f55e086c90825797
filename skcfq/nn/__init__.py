"""Networks and losses on tensors: torch only, no scikit-learn and no solver."""

from ._losses import cross_entropy, margin_hinge, target_margin, weighted_mean
from ._mlp import FullPrecisionMLP
from ._quantized_mlp import QuantizedMLP
from ._training_modules import FaithfulModule, SupervisedModule

__all__ = [
    "FaithfulModule",
    "FullPrecisionMLP",
    "QuantizedMLP",
    "SupervisedModule",
    "cross_entropy",
    "margin_hinge",
    "target_margin",
    "weighted_mean",
]
