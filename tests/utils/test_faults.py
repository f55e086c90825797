"""Where nobody is advised, the model is looked at first."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq.utils import decision_fault

NONE, MOST, ALL = np.zeros(20, dtype=int), (np.arange(20) > 1).astype(int), np.ones(20, dtype=int)


@pytest.mark.parametrize(
    ("decisions", "labels", "told"),
    [
        (ALL, MOST, "It gives the target to all of 20 rows, and 10% of y do not have it"),
        (NONE, MOST, "It gives the target to none of 20 rows, and 90% of y have it"),
        (ALL, None, "to all of 20 rows: see first that it learns who does not"),
        (NONE, None, "to none of 20 rows: see first that it learns who does,"),
    ],
)
def test_a_model_that_decides_the_same_for_all_is_at_fault(decisions, labels, told):
    assert told in decision_fault(decisions, ALL, labels, name="It")


@pytest.mark.parametrize(
    ("decisions", "target", "labels"),
    [
        (ALL, ALL, ALL),
        (NONE, ALL, NONE),
        (MOST, ALL, ALL),
        (MOST, 1 - MOST, ALL),
        (NONE[:0], ALL[:0], None),
    ],
    ids=["all have it", "none has it", "some get it", "the opposite", "nobody"],
)
def test_a_model_that_learned_is_not(decisions, target, labels):
    assert decision_fault(decisions, target, labels) is None
