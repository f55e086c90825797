"""What can be said of advice under quantization, and how far it is proved (§5, Appendix L).

Functions on models and raw rows, most of them recourse points. Each says in its name or in its
result whether it is certified, sampled or estimated.
"""

from __future__ import annotations

from skcfq.theory._at_points import (
    exact_perturbation,
    first_order_perturbation,
    sampled_perturbation,
)
from skcfq.theory._certified_difference import CertifiedDifference, certified_difference
from skcfq.theory._conditions import MarginCondition, margin_condition, one_sided_condition
from skcfq.theory._margins import margin_degradation, target_margin
from skcfq.theory._perturbation import Perturbation
from skcfq.theory._robustness import Robustness, robustness

__all__ = [
    "CertifiedDifference",
    "MarginCondition",
    "Perturbation",
    "Robustness",
    "certified_difference",
    "exact_perturbation",
    "first_order_perturbation",
    "margin_condition",
    "margin_degradation",
    "one_sided_condition",
    "robustness",
    "sampled_perturbation",
    "target_margin",
]
