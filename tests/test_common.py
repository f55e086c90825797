"""scikit-learn's own checks over every estimator of the library, from one table of instances."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import subprocess
import sys

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

import skcfq
from skcfq import (
    CFQClassifier,
    PTQClassifier,
    QATClassifier,
    RecourseTransformer,
    TableEncoder,
    TeacherClassifier,
)
from skcfq.estimators import TeacherActions

pytestmark = [
    pytest.mark.usefixtures("short_teachers"),
    # scikit-learn's tables name no target.
    pytest.mark.filterwarnings("ignore::skcfq.exceptions.DefaultTargetWarning"),
    # Its extreme class weights make a teacher that no action can persuade.
    pytest.mark.filterwarnings("ignore::skcfq.exceptions.EmptyPopulationWarning"),
]

# Enough passes for the checks that ask for accuracy, few enough for the others.
SMALL = {"hidden_layer_sizes": (16,), "max_iter": 40, "learning_rate_init": 0.01}
ESTIMATORS = [
    TableEncoder(),
    RecourseTransformer(LogisticRegression()),
    TeacherClassifier(**SMALL),
    QATClassifier(**SMALL),
    PTQClassifier(8, teacher=TeacherClassifier(**SMALL)),
    # Large steps: some checks train a teacher for so few passes that small ones reach nobody.
    CFQClassifier(objective="paper", teacher_actions=TeacherActions(5, step_size=10.0), **SMALL),
    CFQClassifier(**SMALL),
]
by_name = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@by_name
def test_parameters_are_validated(estimator):
    check_param_validation(type(estimator).__name__, estimator)


@by_name
def test_column_names_are_kept_and_checked(estimator):
    check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


@by_name
def test_no_check_is_talked_out_of(estimator):
    tags = get_tags(estimator)
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert not tags._skip_test


def test_every_public_estimator_is_in_the_table():
    found = set()
    for module in pkgutil.iter_modules(skcfq.__path__, "skcfq."):
        if module.ispkg:
            package = importlib.import_module(module.name)
            members = [getattr(package, name) for name in package.__all__]
            found |= {one for one in members if isinstance(one, type)}
    fits = {
        one
        for one in found
        if issubclass(one, BaseEstimator) and issubclass(one, ClassifierMixin | TransformerMixin)
    }
    assert fits == {type(one) for one in ESTIMATORS}


# Only the checks of the array API ask for the variable; the others should be the same with it.
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param("test_scikit_learn_checks and check_array_api", marks=pytest.mark.slow),
        pytest.param("not array_api", marks=pytest.mark.slow),
    ],
)
@pytest.mark.skipif("SCIPY_ARRAY_API" in os.environ, reason="this is that run")
def test_scikit_learn_checks_with_array_api(chosen):
    """scipy reads the variable when it is imported, so a fresh interpreter is needed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", chosen],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "xfailed" not in done.stdout
    assert "SCIPY_ARRAY_API is not set" not in done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= len(ESTIMATORS)
