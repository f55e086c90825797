"""Classifiers in scikit-learn's form: the teacher, quantized networks, and CFQ."""

from skcfq.estimators._bit_policies import (
    BitPolicy,
    BitSample,
    FixedBits,
    LearnedBits,
    SensitivityBits,
    UniformBits,
)
from skcfq.estimators._cfq import CFQClassifier
from skcfq.estimators._controls import bias_for_validity_drop, with_target_bias
from skcfq.estimators._objective import CFQObjective
from skcfq.estimators._qat import QATClassifier
from skcfq.estimators._teacher import TeacherClassifier
from skcfq.estimators._teacher_actions import TeacherActions

__all__ = [
    "BitPolicy",
    "BitSample",
    "FixedBits",
    "SensitivityBits",
    "CFQClassifier",
    "CFQObjective",
    "LearnedBits",
    "QATClassifier",
    "TeacherActions",
    "TeacherClassifier",
    "UniformBits",
    "bias_for_validity_drop",
    "with_target_bias",
]
