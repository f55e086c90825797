"""Figures in scikit-learn's manner: displays that hold their data, and draw it on an axis.

A display is made by one of its ``from_...`` methods and drawn by ``plot(ax=None)``. One axis shows
one metric. matplotlib is needed when something is drawn: ``pip install 'skcfq[report]'``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.plotting._bit_allocation import BitAllocationDisplay
    from skcfq.plotting._boundary import BoundaryDisplay
    from skcfq.plotting._budget_curve import BudgetCurveDisplay
    from skcfq.plotting._cascade import CascadeDisplay
    from skcfq.plotting._cost_robustness import CostRobustnessDisplay
    from skcfq.plotting._cost_shift import CostShiftDisplay
    from skcfq.plotting._group import GroupDisplay
    from skcfq.plotting._layer_sensitivity import LayerSensitivityDisplay
    from skcfq.plotting._margin import MarginDisplay
    from skcfq.plotting._method_bar import MethodBarDisplay
    from skcfq.plotting._svg import to_svg

__all__ = [
    "BitAllocationDisplay",
    "BoundaryDisplay",
    "BudgetCurveDisplay",
    "CascadeDisplay",
    "CostRobustnessDisplay",
    "CostShiftDisplay",
    "GroupDisplay",
    "LayerSensitivityDisplay",
    "MarginDisplay",
    "MethodBarDisplay",
    "to_svg",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "BitAllocationDisplay": "_bit_allocation",
        "BoundaryDisplay": "_boundary",
        "BudgetCurveDisplay": "_budget_curve",
        "CascadeDisplay": "_cascade",
        "CostRobustnessDisplay": "_cost_robustness",
        "CostShiftDisplay": "_cost_shift",
        "GroupDisplay": "_group",
        "LayerSensitivityDisplay": "_layer_sensitivity",
        "MarginDisplay": "_margin",
        "MethodBarDisplay": "_method_bar",
        "to_svg": "_svg",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
