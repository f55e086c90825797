"""All that is attacked, and what is public but is not."""

from __future__ import annotations

import subjects_estimators
import subjects_files
import subjects_metrics
import subjects_recourse
import subjects_rules
from verdicts import Subject

_MADE = "made by the library, never by a user"
NOT_ATTACKED = {
    "BitPolicy": "a base without parameters; as bit_policy= of the classifiers",
    "BitSample": _MADE,
    "DeploymentSuccess": _MADE,
    "differentiable": "takes a task, which the solver makes; in requires= of Method",
    "Effort": _MADE,
    "ExactAnswer": _MADE,
    "RecourseProblem": _MADE,
    "Starts": _MADE,
    "States": _MADE,
}


def all_subjects() -> list[Subject]:
    """Return the subjects, in the order of the table."""
    return [
        *subjects_rules.subjects(),
        *subjects_recourse.subjects(),
        *subjects_metrics.subjects(),
        *subjects_files.subjects(),
        *subjects_estimators.subjects(),
    ]
