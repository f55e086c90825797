"""Tables that every estimator accepts, and how the others are refused."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator

from skcfq.utils import validate_table


def check(X, reset=True, estimator=None):
    return validate_table(estimator or BaseEstimator(), X, reset=reset)


def test_frames_come_back_as_they_are():
    X = pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None]})
    estimator = BaseEstimator()
    assert check(X, estimator=estimator) is X
    assert estimator.n_features_in_ == 2
    assert estimator.feature_names_in_.tolist() == ["a", "b"]
    assert check(X, reset=False, estimator=estimator) is X
    with pytest.raises(ValueError, match="feature names should match"):
        check(X[["b", "a"]], reset=False, estimator=estimator)
    check(np.zeros((2, 3)), reset=True, estimator=estimator)
    with pytest.raises(ValueError, match="is expecting 3 features"):
        check(np.zeros((2, 2)), reset=False, estimator=estimator)


@pytest.mark.parametrize(
    ("X", "dtype"),
    [
        ([[1, 2], [3, 4]], np.int64),
        ([[1.5, None]], np.float64),
        (np.array([[1, 2.5]], dtype=object), np.float64),
        (np.array([[1, pd.NA]], dtype=object), np.float64),
        (np.array([[1, 2]], dtype=np.float32), np.float32),
        (np.array([[True, False]]), np.bool_),
        ([["1", 2]], object),
        (np.array([["a", "b"]]), object),
        (np.array([["a", None, 2, np.nan]], dtype=object), object),
    ],
)
def test_arrays_by_what_they_hold(X, dtype):
    assert check(X).dtype == dtype


def test_numbers_in_text_tables_stay_numbers():
    assert [type(v) for v in check([[1, "a"]])[0]] == [int, str]


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        (pd.DataFrame(), ValueError, r"0 sample\(s\)"),
        (pd.DataFrame({"a": []}), ValueError, r"0 sample\(s\).*at least one row"),
        (pd.DataFrame(index=[0, 1]), ValueError, r"0 feature\(s\)"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), ValueError, "'a' appears more than once"),
        (pd.DataFrame({"a": [1.0, np.inf]}), ValueError, "infinity.*'a'"),
        (pd.DataFrame({"a": [1.0, np.inf, "x"]}), ValueError, "infinity.*'a'"),
        (pd.DataFrame({"a": [1j]}), ValueError, "Complex data not supported"),
        (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), TypeError, "'a' of X holds dates"),
        (pd.DataFrame({"a": pd.to_timedelta([1])}), TypeError, "'a' of X holds dates"),
        (pd.DataFrame({"a": [{"b": 1}]}), TypeError, "string or a real number, not 'dict'"),
        (pd.DataFrame({"a": [["b"]]}), TypeError, "string or a real number, not 'list'"),
        (np.array([[{"b": 1}, 2.0]], dtype=object), TypeError, "string or a real number"),
        (np.array([["a", np.inf]], dtype=object), ValueError, "infinity"),
        (np.array([[1.0, np.inf]], dtype=object), ValueError, "infinity"),
        (np.array([[1.0, np.inf]]), ValueError, "infinity"),
        (np.array([1.0, 2.0]), ValueError, "2D array"),
        ([1.0, 2.0], ValueError, "2D array"),
        ([[]], ValueError, r"0 feature\(s\)"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        (np.array([[b"a"]]), TypeError, "not 'bytes'"),
        (sparse.csr_matrix((2, 2)), TypeError, "Sparse data"),
        ("table", ValueError, "2D array"),
    ],
)
def test_other_tables_are_refused(X, error, match):
    with pytest.raises(error, match=match):
        check(X)
