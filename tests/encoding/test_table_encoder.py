"""TableEncoder as a scikit-learn estimator, and what it does with weights."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from skcfq.encoding import FeatureSpace, TableEncoder


@parametrize_with_checks([TableEncoder()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_checks_that_check_estimator_leaves_out():
    check_param_validation("TableEncoder", TableEncoder())
    check_dataframe_column_names_consistency("TableEncoder", TableEncoder())


def test_scikit_learn_checks_with_array_api():
    """scipy reads the variable when it is imported, so a fresh interpreter is needed."""
    code = (
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "from skcfq.encoding import TableEncoder\n"
        "check_estimator(TableEncoder())\n"
    )
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def people(n=60, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n).astype(float),
            "job": rng.choice(["cook", "clerk", "pilot"], n),
            "member": rng.random(n) > 0.3,
        }
    )
    X.loc[X.index[:5], "age"] = np.nan
    X.loc[X.index[3:7], "job"] = None
    return X


def test_agrees_with_scikit_learn_without_weights():
    X = people()
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    other = make_column_transformer(
        (numbers, ["age"]), (OneHotEncoder(sparse_output=False), ["job", "member"])
    )
    np.testing.assert_allclose(TableEncoder().fit_transform(X), other.fit_transform(X), atol=1e-12)


def test_whole_weights_are_repeated_rows_and_zero_is_no_row():
    X = people()
    weights = np.random.default_rng(1).integers(0, 4, len(X))
    X.loc[X.index[weights == 0], "job"] = "only in rows of weight zero"
    X.loc[X.index[weights == 0], "age"] = 1e6
    weighted = TableEncoder().fit(X, sample_weight=weights).feature_space_
    repeated = TableEncoder().fit(X.loc[X.index.repeat(weights)]).feature_space_
    np.testing.assert_allclose(weighted.encode(X), repeated.encode(X), rtol=1e-12)
    for name in X:
        a, b = weighted.block(name).statistics, repeated.block(name).statistics
        assert a.to_dict().keys() == b.to_dict().keys()
        for key, value in a.to_dict().items():
            np.testing.assert_allclose(value, b.to_dict()[key], rtol=1e-10, atol=1e-12)
    assert weighted.block("job").categories[:3] == ("clerk", "cook", "pilot")
    assert weighted.block("age").statistics.maximum < 100


def test_scaling_weights_changes_nothing():
    X = people()
    weights = np.random.default_rng(1).random(len(X))
    a = TableEncoder().fit(X, sample_weight=weights)
    b = TableEncoder().fit(X, sample_weight=weights * 1e-3)
    np.testing.assert_allclose(a.transform(X), b.transform(X), atol=1e-10)


@pytest.mark.parametrize("weights", [[-1.0] + [1.0] * 59, [0.0] * 60, [1.0] * 3])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weight"):
        TableEncoder().fit(people(), sample_weight=weights)


def test_constant_and_empty_columns():
    X = pd.DataFrame(
        {
            "same": [0.1] * 3,
            "none": [np.nan] * 3,
            "nothing": pd.Series([None] * 3, dtype=object),
            "huge": [1e300, -1e300, 1e307],
            "tiny": [1e-200, 2e-200, 3e-200],
        }
    )
    encoder = TableEncoder().fit(X)
    Z = encoder.transform(X)
    assert Z[:, :3].tolist() == [[0, 0, 1]] * 3
    np.testing.assert_allclose(Z[:, 3:].std(axis=0), 1.0)
    assert encoder.feature_space_.block("same").scale == 1.0


def test_names_and_containers():
    X = people()
    encoder = TableEncoder().fit(X)
    names = encoder.get_feature_names_out().tolist()
    assert names == [
        "age",
        "job_clerk",
        "job_cook",
        "job_pilot",
        "job_missing",
        "member_False",
        "member_True",
    ]
    frame = clone(encoder).set_output(transform="pandas").fit_transform(X)
    assert frame.columns.tolist() == names
    assert frame.index.equals(X.index)
    single = X[["age"]].to_numpy(dtype=np.float32)
    assert TableEncoder().fit_transform(single).dtype == np.float32
    assert TableEncoder().fit_transform(single.astype(np.float64)).dtype == np.float64


def test_reading_the_encoder_gives_its_own_space():
    X = people()
    encoder = TableEncoder().fit(X)
    assert FeatureSpace.from_encoder(encoder, X).fingerprint == encoder.feature_space_.fingerprint
