"""Values of rules that are none: each is an error of the action set that names the rule."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq.actions import ActionSet
from skcfq.encoding import FeatureSpace
from skcfq.exceptions import ActionSetError

SPACE = FeatureSpace.from_frame(np.eye(3))
NAMES = ("actionable", "immutable", "increasing", "decreasing", "constraints")
TABLES = (
    *("bounds", "relative_bounds", "quantile_bounds", "steps", "ordinal", "transitions"),
    *("one_hot", "min_change", "max_change"),
)


@pytest.mark.parametrize("rule", NAMES)
@pytest.mark.parametrize(
    "value", [np.array(1), np.array("a"), 3, "a", {0: 1}, iter([0]), [np.array(1)], True]
)
def test_names_that_are_no_list(rule, value):
    with pytest.raises(ActionSetError, match=rule):
        ActionSet(**{rule: value}).compile(SPACE)


@pytest.mark.parametrize("rule", TABLES)
@pytest.mark.parametrize(
    "value",
    [
        np.array(1),
        "a",
        [0],
        *({0: wrong} for wrong in (np.array(1), np.array("x"), "x", None, [np.array(1), 2])),
        *({0: wrong} for wrong in (10**400, (10**400, None), iter([1, 2]), {0: np.array(3)})),
    ],
)
def test_tables_of_what_is_no_value(rule, value):
    with pytest.raises(ActionSetError, match=rule):
        ActionSet(**{rule: value}).compile(SPACE)


def test_a_list_that_can_be_read_only_once_would_free_a_column_later():
    rules = ActionSet(immutable=(name for name in [0]))
    with pytest.raises(ActionSetError, match="immutable.*must be a list"):
        rules.compile(SPACE)
