"""What can be said of advice under quantization, and how far it is proved (§5, Appendix L).

Functions on models and raw rows, most of them recourse points. Each says in its name or in its
result whether it is certified, sampled or estimated.
"""

from __future__ import annotations

from skcfq.theory._margins import margin_degradation, target_margin

__all__ = [
    "margin_degradation",
    "target_margin",
]
