"""All that is attacked, and what is public but is not."""

from __future__ import annotations

import subjects_advice
import subjects_audit
import subjects_certificates
import subjects_estimators
import subjects_files
import subjects_issued
import subjects_metrics
import subjects_plotting
import subjects_recourse
import subjects_rules
import subjects_skew
import subjects_theory
from verdicts import Subject

_SAMPLER = "imbalanced-learn's own, before fit_resample, which is attacked"
_MADE = "made by the library, never by a user"
_INNER = "called by the training, with what it has made"
_TENSORS = "takes tensors of the library's own"
NOT_ATTACKED = {
    "BitPolicy": "a base without parameters; as bit_policy= of the classifiers",
    "BitSample": _MADE,
    "DeploymentSuccess": _MADE,
    "differentiable": "takes a task, which the solver makes; in requires= of Method",
    "Effort": _MADE,
    "ExactAnswer": _MADE,
    "PairedChanges": _MADE,
    "SkewReport": _MADE,
    "RecourseProblem": _MADE,
    "Starts": _MADE,
    "States": _MADE,
    "DeployedClassifier.__init__": _MADE,
    "FeatureSpace.__init__": _MADE,
    "AuditComparison": _MADE,
    "AuditReport.__init__": _MADE,
    "IssuedReport.__init__": _MADE,
    "VerificationReport": _MADE,
    "AuditVerdict.__init__": _MADE,
    "IssuedAdvice.__init__": _MADE,
    "RecourseMenu.__init__": _MADE,
    "RecourseResult.__init__": _MADE,
    "AdviceMargin": _MADE,
    "CertificateReport": _MADE,
    "CertifiedDifference": _MADE,
    "FailureLimits": _MADE,
    "FixedSequence": _MADE,
    "LayerwiseDegradation": _MADE,
    "MarginCondition": _MADE,
    "Perturbation": _MADE,
    "Robustness": _MADE,
    "WeightChanges": _MADE,
    "CounterfactualSampler.fit": _SAMPLER,
    "CoresetSampler.fit": _SAMPLER,
    "GroupSampler.fit": _SAMPLER,
    "RecourseScorer.score": "what vd_scorer, crg_scorer and faithfulness_scorer call",
    ".check": _INNER,
    ".choose": _INNER,
    ".start": _INNER,
    ".draw": _INNER,
    ".points": _INNER,
    ".steps": _INNER,
    ".logits_": _TENSORS,
    ".batch_size_for": _INNER,
    ".shortcut_for": _INNER,
    ".suited_to": _INNER,
    ".why_not": _INNER,
}


def all_subjects() -> list[Subject]:
    """Return the subjects, in the order of the table."""
    return [
        *subjects_rules.subjects(),
        *subjects_recourse.subjects(),
        *subjects_advice.subjects(),
        *subjects_audit.subjects(),
        *subjects_issued.subjects(),
        *subjects_metrics.subjects(),
        *subjects_skew.subjects(),
        *subjects_plotting.subjects(),
        *subjects_certificates.subjects(),
        *subjects_theory.subjects(),
        *subjects_files.subjects(),
        *subjects_estimators.subjects(),
    ]
