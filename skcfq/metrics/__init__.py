"""Metrics on results of a solver; scorers, which solve, are loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.metrics._faithfulness import (
    action_overlap,
    counterfactual_recourse_gap,
    direction_similarity,
    feasible_recourse_rate,
    validity_drop,
)
from skcfq.metrics._robustness import DeploymentSuccess, deployment_success
from skcfq.metrics._selection import select_faithful
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.metrics._advice_margin import AdviceMargin, advice_margin
    from skcfq.metrics._drop_limits import validity_drop_limits
    from skcfq.metrics._precision import single_precision_drop
    from skcfq.metrics._scorers import RecourseScorer, crg_scorer, faithfulness_scorer, vd_scorer
    from skcfq.metrics.skew import (
        PairedChanges,
        fairness_violation,
        forgotten_people,
        group_curvature,
        group_figures,
        group_gradients,
        layer_changes,
        logit_figures,
        paired_changes,
    )

__all__ = [
    "AdviceMargin",
    "DeploymentSuccess",
    "PairedChanges",
    "RecourseScorer",
    "action_overlap",
    "advice_margin",
    "counterfactual_recourse_gap",
    "crg_scorer",
    "deployment_success",
    "direction_similarity",
    "fairness_violation",
    "faithfulness_scorer",
    "feasible_recourse_rate",
    "forgotten_people",
    "group_curvature",
    "group_figures",
    "group_gradients",
    "layer_changes",
    "logit_figures",
    "paired_changes",
    "select_faithful",
    "single_precision_drop",
    "validity_drop",
    "validity_drop_limits",
    "vd_scorer",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "AdviceMargin": "_advice_margin",
        "PairedChanges": "skew",
        "RecourseScorer": "_scorers",
        "advice_margin": "_advice_margin",
        "crg_scorer": "_scorers",
        "fairness_violation": "skew",
        "faithfulness_scorer": "_scorers",
        "forgotten_people": "skew",
        "group_curvature": "skew",
        "group_figures": "skew",
        "group_gradients": "skew",
        "layer_changes": "skew",
        "logit_figures": "skew",
        "paired_changes": "skew",
        "single_precision_drop": "_precision",
        "validity_drop_limits": "_drop_limits",
        "vd_scorer": "_scorers",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
