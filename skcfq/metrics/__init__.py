"""Metrics on results of a solver, and scorers on fitted estimators."""

from skcfq.metrics._faithfulness import (
    action_overlap,
    counterfactual_recourse_gap,
    direction_similarity,
    feasible_recourse_rate,
    validity_drop,
)
from skcfq.metrics._robustness import DeploymentSuccess, deployment_success
from skcfq.metrics._scorers import RecourseScorer, crg_scorer, faithfulness_scorer, vd_scorer
from skcfq.metrics._selection import select_faithful

__all__ = [
    "DeploymentSuccess",
    "RecourseScorer",
    "action_overlap",
    "counterfactual_recourse_gap",
    "crg_scorer",
    "deployment_success",
    "direction_similarity",
    "faithfulness_scorer",
    "feasible_recourse_rate",
    "select_faithful",
    "validity_drop",
    "vd_scorer",
]
