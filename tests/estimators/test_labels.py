"""What y may hold, and what is refused by name before a fit."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq import QATClassifier, TeacherClassifier

X = np.arange(8.0)[:, None]


@pytest.mark.parametrize("classifier", [TeacherClassifier, QATClassifier])
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.array([1, "a"] * 4, dtype=object), "labels of mixed types.*y.astype"),
        ([1, None] * 4, "4 labels are missing, the first in row 1"),
        (np.ma.masked_equal([0, 1] * 4, 0), "4 labels are missing, the first in row 0"),
        ([1, [2]] * 4, r"y is \[1, \[2\].*give one label a row"),
        ([0.0, float("inf")] * 4, "y contains infinity"),
        (np.array([{}, 1] * 4, dtype=object), "Unknown label type"),
        ([0, 10**400] * 4, "Unknown label type"),
    ],
    ids=["mixed", "gaps", "masked", "ragged", "infinite", "objects", "huge"],
)
def test_labels_that_are_none(classifier, y, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, y)
