"""The figures of advice that was given: each a share or a mean over promises."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from skcfq.audit._figures import Figure


def _outstanding(table: pd.DataFrame) -> pd.Series:
    return table["outstanding"]


def _broken(table: pd.DataFrame) -> pd.Series:
    return table["outstanding"] & ~table["holds"]


def _in_need(table: pd.DataFrame) -> pd.Series:
    return _broken(table) & ~table["accepted"]


ISSUED_FIGURES: Mapping[str, Figure] = {
    "broken": Figure(
        "share",
        _outstanding,
        lambda t: ~t["holds"],
        "Outstanding promises that the next model breaks",
        "low",
    ),
    "broken_in_every_way": Figure(
        "share",
        _outstanding,
        lambda t: t["options_hold"] == 0,
        "The same, and no other way that was told works",
        "low",
    ),
    "accepted": Figure(
        "share",
        _outstanding,
        lambda t: t["accepted"],
        "Accepted by the next model without any change",
        "same",
    ),
    "broken_expired": Figure(
        "share",
        lambda t: ~t["outstanding"],
        lambda t: ~t["holds"],
        "Expired promises that it would break",
        "low",
    ),
    "margin_lost": Figure(
        "mean",
        lambda t: _outstanding(t) & (t["margin"] - t["margin_new"]).notna(),
        lambda t: t["margin"] - t["margin_new"],
        "By how much the margin of a promise fell",
        "low",
    ),
    "new_advice": Figure(
        "share",
        _in_need,
        lambda t: t["cost_new"].notna(),
        "Broken promises that new advice can replace",
        "high",
    ),
    "extra_cost": Figure(
        "mean",
        lambda t: _in_need(t) & t["extra_cost"].notna(),
        lambda t: t["extra_cost"],
        "Price of new advice beyond that of the broken one",
        "low",
    ),
}
