"""scikit-learn's own checks over every estimator of the library, from one table of instances."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

import skcfq
import skcfq.encoding
import skcfq.estimators
from skcfq import CFQClassifier, QATClassifier, TableEncoder, TeacherClassifier

pytestmark = pytest.mark.filterwarnings("ignore::skcfq.exceptions.DefaultTargetWarning")

# Enough passes for the checks that ask for accuracy, few enough for the others.
SMALL = {"hidden_layer_sizes": (16,), "max_iter": 60, "learning_rate_init": 0.01}
ESTIMATORS: list[BaseEstimator] = [
    TableEncoder(),
    TeacherClassifier(**SMALL),
    QATClassifier(**SMALL),
    CFQClassifier(**SMALL),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
