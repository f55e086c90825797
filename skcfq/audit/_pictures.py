"""The pictures of a report: one quantity each, never validity, cost and direction together."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.audit._blocks import Picture
from skcfq.audit._wording import words
from skcfq.plotting import CostShiftDisplay, GroupDisplay, MarginDisplay

# By figure: what the displays call it, and the axis.
_BY_GROUP = {
    "validity_drop": ("validity_drop", "advice that no longer works"),
    "recourse_gap_signed": ("signed_recourse_gap", "mean change of the price"),
    "direction_similarity": ("direction_similarity", "cosine of the two pieces of advice"),
}
# More than a page can show; tables and the document have the rest.
_MOST_FEATURES, _MOST_GROUPS = 4, 30


def group_pictures(report: Any, figure: str) -> list[Picture]:
    """Return one picture a sensitive feature: a figure by group."""
    found = []
    for feature in list(report.sensitive.columns)[:_MOST_FEATURES]:
        display = _by_group(report, str(feature), figure)
        if display is not None:
            found.append(Picture(display))
    return found


def _by_group(report: Any, feature: str, figure: str) -> GroupDisplay | None:
    index = report.groups.index
    rows = report.groups[
        (index.get_level_values("feature") == feature)
        & (index.get_level_values("figure") == figure)
    ]
    if not 2 <= len(rows) <= _MOST_GROUPS or not rows["n"].gt(0).any():
        return None
    names = [words(name) for name in rows.index.get_level_values("group")]
    if len(set(names)) < len(names):
        return None
    values = rows[["value", "lower", "upper", "n"]].astype(float)
    table = values.rename(columns={"lower": "low", "upper": "high"}).reset_index(drop=True)
    method = words(report.models["deployed"]["name"]) or "deployed model"
    metric, label = _BY_GROUP[figure]
    return GroupDisplay(
        table=table.assign(method=method, group=names),
        overall={method: float(report.figures.loc[figure, "value"])},
        metric=metric,
        protocol=protocol_of(report),
        confidence=report.parameters["confidence"],
        label=f"{words(feature)}: {label}",
    )


def margin_picture(report: Any) -> list[Picture]:
    """Return the margins of both models after the advice, where both are known."""
    advised = report.people[report.people["advised"].to_numpy(dtype=bool)]
    columns = {
        role: advised[name].to_numpy(dtype=float)
        for role, name in (("reference", "margin"), ("deployed", "margin_deployed"))
    }
    if not len(advised) or not all(np.isfinite(column).all() for column in columns.values()):
        return []
    display = MarginDisplay(margins=columns, protocol=protocol_of(report))
    return [Picture(display)]


def cost_picture(report: Any) -> list[Picture]:
    """Return what advice costs under both models, person by person."""
    advised = report.people[report.people["advised"].to_numpy(dtype=bool)]
    if not len(advised):
        return []
    failed = ~advised["holds"].to_numpy(dtype=bool)
    costs = advised[["cost", "cost_deployed"]].astype(float)
    display = CostShiftDisplay(
        cost_reference=costs["cost"].to_numpy(),
        cost_deployed=costs["cost_deployed"].to_numpy(),
        failed=failed,
        protocol=protocol_of(report),
    )
    return [Picture(display)]


def protocol_of(report: Any) -> str:
    """Return the protocols of both models as one line."""
    lines = [f"{role}: {' '.join(line.split())}" for role, line in report.protocol.items()]
    return "; ".join(lines) or "unknown"
