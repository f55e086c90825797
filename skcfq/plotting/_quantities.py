"""What the metrics are called on an axis, in which unit, and which end of it is the better one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Quantity:
    """One metric: how an axis says it, and which values are good.

    Attributes
    ----------
    label, unit : str
    better : {"lower", "higher", "zero"}
        ``"zero"``: what is far from 0 on either side is bad.
    """

    label: str
    unit: str = ""
    better: str = "lower"

    @property
    def axis_label(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def worst(self, values: np.ndarray) -> int | None:
        """Return the position of the worst value; None without two different ones."""
        badness = {"lower": values, "higher": -values, "zero": np.abs(values)}[self.better]
        known = np.isfinite(badness)
        if known.sum() < 2 or np.ptp(badness[known]) == 0:
            return None
        return int(np.nanargmax(badness))


_OF_PEOPLE = "share of people with advice"
QUANTITIES = {
    "validity_drop": Quantity("Validity drop", _OF_PEOPLE),
    "counterfactual_recourse_gap": Quantity("Recourse gap", "mean |change of cost|, relative"),
    "signed_recourse_gap": Quantity(
        "Signed recourse gap", "mean change of cost, relative", better="zero"
    ),
    "direction_similarity": Quantity("Direction similarity", "mean cosine", better="higher"),
    "action_overlap": Quantity("Action overlap", "mean Jaccard index", better="higher"),
    "feasible_recourse_rate": Quantity(
        "Feasible recourse rate", "share of refused people", better="higher"
    ),
    "robust_success": Quantity("Robust success", "mean share of deployments", better="higher"),
    "accuracy": Quantity("Accuracy", "share of people", better="higher"),
    "agreement": Quantity("Agreement", "share of people", better="higher"),
    "mean_cost": Quantity("Mean cost of advice", "units of the cost"),
    "overhead": Quantity("Cost of training or calibration", "times the cheapest"),
}


def quantity_of(metric: Any, label: Any = None, name: str = "metric") -> Quantity:
    """Return what an axis says of a metric: the known words, or those that are given.

    Raises
    ------
    ValueError
        It is no single name: one axis shows one metric.
    """
    if not isinstance(metric, str) or not metric.strip():
        raise ValueError(
            f"{name}={metric!r}; give the name of one metric. Validity, cost and direction are "
            "never drawn on one axis: make one display each, and give each an axis of its own, "
            "for example of plt.subplots(1, 2)."
        )
    known = QUANTITIES.get(metric, Quantity(metric.replace("_", " ").strip().capitalize()))
    if label is None:
        return known
    return Quantity(label, better=known.better)
