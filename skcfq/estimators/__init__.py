"""Estimators in scikit-learn's form: the teacher, quantized networks, CFQ, and recourse steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.estimators._cfq import CFQClassifier
from skcfq.estimators._logit_bias import bias_for_validity_drop, with_logit_bias
from skcfq.estimators._ptq import PTQClassifier
from skcfq.estimators._qat import QATClassifier
from skcfq.estimators._recourse_transformer import RecourseTransformer
from skcfq.estimators._teacher import TeacherClassifier
from skcfq.training import (
    BitPolicy,
    BitSample,
    CFQObjective,
    Finish,
    FixedBits,
    GroupBound,
    LearnedBits,
    Quantizer,
    SearchedBits,
    SensitivityBits,
    TeacherActions,
    UniformBits,
    UnitBits,
)
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.estimators._coreset_sampler import CoresetSampler
    from skcfq.estimators._counterfactual_sampler import CounterfactualSampler
    from skcfq.estimators._group_sampler import GroupSampler

__all__ = [
    "BitPolicy",
    "BitSample",
    "CFQClassifier",
    "CFQObjective",
    "CoresetSampler",
    "CounterfactualSampler",
    "Finish",
    "FixedBits",
    "GroupBound",
    "GroupSampler",
    "LearnedBits",
    "PTQClassifier",
    "QATClassifier",
    "Quantizer",
    "RecourseTransformer",
    "SearchedBits",
    "SensitivityBits",
    "TeacherActions",
    "TeacherClassifier",
    "UniformBits",
    "UnitBits",
    "bias_for_validity_drop",
    "with_logit_bias",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "CoresetSampler": "_coreset_sampler",
        "CounterfactualSampler": "_counterfactual_sampler",
        "GroupSampler": "_group_sampler",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
