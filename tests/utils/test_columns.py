"""Numbers that are whole but for rounding, and tables that are none."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq.encoding import FeatureSpace, TableEncoder
from skcfq.utils import as_table, snap_integers, validate_table


@pytest.mark.parametrize("whole", [0.0, 1.0, -3.0, 1e6, -1e12])
def test_rounding_errors_are_taken_off_whole_numbers_of_any_size(whole):
    size = max(1.0, abs(whole))
    shares = np.array([0.0, 1e-13, -1e-13])
    np.testing.assert_array_equal(snap_integers(whole + size * shares), [whole] * 3)


def test_what_is_more_than_rounding_stays():
    numbers = np.array([0.5, 1.001, -2.0001, 1e6 + 0.25, 1e-5])
    np.testing.assert_array_equal(snap_integers(numbers), numbers)
    assert np.isnan(snap_integers(np.array([np.nan]))).all()


@pytest.mark.parametrize("rows", [[[1, 2], [1]], ([1], (1, 2)), [np.ones(2), [1]]])
def test_rows_of_different_lengths_are_no_table(rows):
    with pytest.raises(ValueError, match="start is a list of rows of different lengths"):
        as_table(rows, "start")
    with pytest.raises(ValueError, match="X is a list of rows of different lengths"):
        validate_table(TableEncoder(), rows, reset=True)
    with pytest.raises(ValueError, match="X is a list of rows of different lengths"):
        FeatureSpace.from_frame(rows)
