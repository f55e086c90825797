"""What can be said of advice under quantization, and how far it is proved (§5, Appendix L).

Functions on models and raw rows, most of them recourse points. Each says in its name or in its
result whether it is certified, sampled or estimated.
"""

from __future__ import annotations

from skcfq.theory._certified_difference import CertifiedDifference, certified_difference
from skcfq.theory._margins import margin_degradation, target_margin
from skcfq.theory._robustness import Robustness, robustness

__all__ = [
    "CertifiedDifference",
    "Robustness",
    "certified_difference",
    "margin_degradation",
    "robustness",
    "target_margin",
]
