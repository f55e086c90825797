"""What can be said of advice under quantization, and how far it is proved (§5, Appendix L).

Functions on models and raw rows, most of them recourse points, and on counts of people who lost
their advice. Each says in its name or in its
result whether it is certified, sampled or estimated.
"""

from __future__ import annotations

from skcfq.theory._at_points import (
    exact_perturbation,
    first_order_perturbation,
    sampled_perturbation,
)
from skcfq.theory._binomial import binomial_limit
from skcfq.theory._certificates import certify
from skcfq.theory._certified_difference import CertifiedDifference, certified_difference
from skcfq.theory._conditions import MarginCondition, margin_condition, one_sided_condition
from skcfq.theory._failure_limits import FailureLimits, failure_limits
from skcfq.theory._fixed_sequence import FixedSequence, fixed_sequence
from skcfq.theory._layerwise import LayerwiseDegradation, layerwise_degradation
from skcfq.theory._lipschitz import lipschitz_perturbation
from skcfq.theory._margins import margin_degradation, target_margin
from skcfq.theory._perturbation import Perturbation
from skcfq.theory._robustness import Robustness, robustness
from skcfq.theory._rounding_perturbation import rounding_perturbation
from skcfq.theory._sensitivities import estimated_sensitivities, sensitivity_bits
from skcfq.theory._weight_changes import WeightChanges, rounding_bound, weight_changes

__all__ = [
    "CertifiedDifference",
    "FailureLimits",
    "FixedSequence",
    "LayerwiseDegradation",
    "MarginCondition",
    "Perturbation",
    "Robustness",
    "WeightChanges",
    "binomial_limit",
    "certified_difference",
    "certify",
    "estimated_sensitivities",
    "exact_perturbation",
    "failure_limits",
    "first_order_perturbation",
    "fixed_sequence",
    "layerwise_degradation",
    "lipschitz_perturbation",
    "margin_condition",
    "margin_degradation",
    "one_sided_condition",
    "robustness",
    "rounding_bound",
    "rounding_perturbation",
    "sampled_perturbation",
    "sensitivity_bits",
    "target_margin",
    "weight_changes",
]
