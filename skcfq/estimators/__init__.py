"""Estimators in scikit-learn's form: the teacher, quantized networks, CFQ, and recourse steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skcfq.estimators._bit_policies import FixedBits, LearnedBits, UniformBits
from skcfq.estimators._bit_policy import BitPolicy, BitSample
from skcfq.estimators._cfq import CFQClassifier
from skcfq.estimators._controls import bias_for_validity_drop, with_target_bias
from skcfq.estimators._objective import CFQObjective
from skcfq.estimators._ptq import PTQClassifier
from skcfq.estimators._qat import QATClassifier
from skcfq.estimators._recourse_transformer import RecourseTransformer
from skcfq.estimators._sensitivity_bits import SensitivityBits
from skcfq.estimators._teacher import TeacherClassifier
from skcfq.estimators._teacher_actions import TeacherActions

if TYPE_CHECKING:
    from skcfq.estimators._counterfactual_sampler import CounterfactualSampler

__all__ = [
    "BitPolicy",
    "BitSample",
    "FixedBits",
    "SensitivityBits",
    "CFQClassifier",
    "CFQObjective",
    "CounterfactualSampler",
    "LearnedBits",
    "PTQClassifier",
    "QATClassifier",
    "RecourseTransformer",
    "TeacherActions",
    "TeacherClassifier",
    "UniformBits",
    "bias_for_validity_drop",
    "with_target_bias",
]


def __getattr__(name: str) -> Any:
    """Import the sampler on first use: imbalanced-learn is slow to load, and few need it."""
    if name != "CounterfactualSampler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from skcfq.estimators._counterfactual_sampler import CounterfactualSampler

    globals()[name] = CounterfactualSampler
    return CounterfactualSampler
