"""Columns that follow the changes of others, in encoded points and in raw rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from skcfq.actions import ActionSet, raw_rows, region_of
from skcfq.encoding import TableEncoder

X = pd.DataFrame(
    {
        "age": [30, 41, 52, 23],
        "degree": ["school", "college", "doctor", "school"],
        "hours": [10.0, 20.0, 30.0, 40.0],
    }
)
RULES = ActionSet(
    immutable=["age"],
    ordinal={"degree": ["school", "college", "doctor"]},
    steps={"hours": 10},
    implied={"age": {"degree": 3, "hours": 0.1}},
)


def test_raw_rows_and_encoded_points_move_by_what_the_rules_say():
    space = TableEncoder().fit(X).feature_space_
    region = region_of(RULES.compile(space), X)
    (degree,) = region.compiled.categorical
    doctor = torch.full_like(region.levels, degree.levels.index("doctor"))
    fewer = region.snap(region.values - 1e9)
    u = region.assemble(fewer, doctor)
    rows = raw_rows(region, u)
    assert rows["degree"].tolist() == ["doctor"] * 4
    np.testing.assert_array_equal(rows["hours"], [10, 10, 10, 10])
    # Three years a step of the degree, less a year for ten hours.
    np.testing.assert_allclose(rows["age"], [30 + 6, 41 + 3 - 1, 52 - 2, 23 + 6 - 3], rtol=1e-12)
    assert rows["age"].dtype == X["age"].dtype
    np.testing.assert_allclose(space.encode(rows), u.numpy(), atol=1e-12)
    assert region.contains(u).all()
    unmoved = region.origin.clone()
    unmoved[:, degree.encoded_columns] = u[:, degree.encoded_columns]
    # Without what follows, a new degree is no admissible point.
    assert region.contains(unmoved).tolist() == [False, False, True, False]
