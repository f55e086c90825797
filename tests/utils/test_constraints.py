"""What parameters may be, said once for each kind."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from skcfq.utils import Interval, ListOf, StrOptions, check_options, is_list

WIDTHS = ListOf(Interval(Integral, 2, 16, closed="both"), least=1)
PAIR = ListOf(Interval(Real, 0, None, closed="neither"), None, least=2, most=2)


@pytest.mark.parametrize("value", [(2, 4), [16], range(2, 5), np.array([2, 3]), pd.Series([8])])
def test_lists_of_what_is_allowed(value):
    assert WIDTHS.is_satisfied_by(value)


@pytest.mark.parametrize(
    "value",
    [None, 4, "24", [], ["x"], [True], [1], [[2]], {2, 4}, {2: 4}, np.array(2), iter([2])],
)
def test_lists_of_what_is_not(value):
    assert not WIDTHS.is_satisfied_by(value)


def test_lists_of_a_length():
    assert PAIR.is_satisfied_by((None, 0.3))
    assert not any(PAIR.is_satisfied_by(value) for value in ((1.0,), (1.0, 2.0, 3.0), (0, 1)))
    assert str(PAIR) == "a list of 2 of which each is a float in the range (0.0, inf) or None"


@pytest.mark.parametrize("value", [True, np.True_, 10**400, float("inf"), np.array(1.0), "1"])
def test_a_number_is_no_truth_value_and_fits_into_a_float(value):
    assert not Interval(Real, 0, None, closed="left").is_satisfied_by(value)


class Options(BaseEstimator):
    """What a parameter of an estimator holds."""

    _parameter_constraints = {"kind": [StrOptions({"a"})], "widths": [WIDTHS, None]}

    def __init__(self, kind="a", widths=None):
        self.kind = kind
        self.widths = widths


def test_options_are_checked_by_their_path():
    check_options(Options(widths=[2]), "options")
    with pytest.raises(ValueError, match=r"^options.kind is nan; give a str among \{'a'\}.$"):
        check_options(Options(float("nan")), "options")
    with pytest.raises(ValueError, match=r"options.widths is \[1\]; give a list.* or None"):
        check_options(Options(widths=[1]), "options")


def test_a_list_that_holds_itself_is_one():
    value = []
    value.append(value)
    assert is_list(value) and not WIDTHS.is_satisfied_by(value)
