"""Numbers that are whole but for rounding."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq.utils import snap_integers


@pytest.mark.parametrize("whole", [0.0, 1.0, -3.0, 1e6, -1e12])
def test_rounding_errors_are_taken_off_whole_numbers_of_any_size(whole):
    size = max(1.0, abs(whole))
    shares = np.array([0.0, 1e-13, -1e-13])
    np.testing.assert_array_equal(snap_integers(whole + size * shares), [whole] * 3)


def test_what_is_more_than_rounding_stays():
    numbers = np.array([0.5, 1.001, -2.0001, 1e6 + 0.25, 1e-5])
    np.testing.assert_array_equal(snap_integers(numbers), numbers)
    assert np.isnan(snap_integers(np.array([np.nan]))).all()
