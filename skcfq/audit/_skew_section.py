"""The section of a report on skew: what compression changes for whom."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.audit._blocks import Items, Picture, Section, Table, Text
from skcfq.audit._wording import UNKNOWN, number, words

_MOST_FEATURES, _MOST_GROUPS = 3, 12


def skew_section(report: Any) -> list[Section]:
    """Return the section, nothing where the audit has no report on skew."""
    skew = report.skew
    if skew is None:
        return []
    told = skew.parameters
    seeds = len(told["deployed"])
    said = (
        f"{words(told['reference'])} against {words(told['deployed'][0])}"
        f"{f', {seeds} seeds' if seeds > 1 else ''}, on {told['n_people']} people. Each figure "
        "is compared before and after on the same people, with an interval of the change at "
        f"{100 * told['confidence']:g} % each: of twenty such, one leaves zero out by chance."
    )
    blocks: list[Any] = [Text(said), *_pictures(skew), _gaps(skew)]
    if skew.notes:
        blocks.append(Items([words(note) for note in skew.notes]))
    return [Section("skew", "Whom compression changes", blocks)]


def _pictures(skew: Any) -> list[Any]:
    figures = skew.figures.reset_index()
    found = []
    for feature in [one for one in figures["feature"].unique() if one][:_MOST_FEATURES]:
        if figures.loc[figures["feature"] == feature, "group"].nunique() <= _MOST_GROUPS:
            found.append(Picture(skew.display(feature)))
    return found


def _gaps(skew: Any) -> Table:
    rows = []
    for row in skew.gaps.reset_index().to_dict("records"):
        if not np.isfinite(row["change"]):
            continue
        ends = f"{number(row['lower'])} to {number(row['upper'])}"
        rows.append(
            [
                words(row["feature"]),
                skew.labels[row["figure"]],
                number(row["before"]),
                number(row["after"]),
                f"{row['change']:+.4g}",
                ends if np.isfinite(row["lower"]) else UNKNOWN,
                number(row["detectable"]),
            ]
        )
    columns = ["Feature", "Figure", "Gap before", "Gap after", "Change", "Interval"]
    columns += ["Would have been seen"]
    caption = "How far groups are apart: the highest less the lowest"
    return Table(caption, columns, rows, (2, 3, 4, 5, 6))
