"""Two audits of two releases: what got worse, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._figures import FIGURES

EVERYBODY = ("", "everybody")


@dataclass(frozen=True, eq=False, repr=False)
class AuditComparison:
    """What changed from one audit to a later one.

    Returned by :meth:`AuditReport.compare`.

    Attributes
    ----------
    figures : DataFrame
        Indexed by ``feature``, ``group`` (everybody first) and ``figure``: ``before``, ``after``,
        ``difference`` and ``worse`` (missing where there is no better or worse, or no value).
        Figures that only one audit has are left out.
    newly_lost : DataFrame
        The people of both audits, by label, whose advice held before and fails now, with the
        advice of the later audit (``changes``) and of the earlier one (``changes_before``).
    newly_kept : DataFrame
        The reverse.
    n_matched, n_before, n_after : int
        People whom both audits have, and all of each.
    """

    figures: pd.DataFrame
    newly_lost: pd.DataFrame
    newly_kept: pd.DataFrame
    n_matched: int
    n_before: int
    n_after: int

    def __repr__(self) -> str:
        n_worse = sum(worse is True for worse in self.figures["worse"])
        return (
            f"AuditComparison({self.n_matched} people of both audits: {len(self.newly_lost)} newly "
            f"lost, {len(self.newly_kept)} newly kept; {n_worse} figures worse)"
        )


def compare_reports(before: Any, after: Any) -> AuditComparison:
    """Return what changed.

    Raises
    ------
    ValueError
        `after` is no report, labels tell people not apart, or nobody is in both.
    """
    for name, report in (("this report", before), ("other", after)):
        labels = report.people.index
        if not labels.is_unique:
            twice = labels[labels.duplicated()][0]
            raise ValueError(
                f"{name} has two people with the label {twice!r}, so nobody can be matched. Audit "
                "with person= a column that tells people apart."
            )
    shared = before.people.index.intersection(after.people.index, sort=False)
    if not len(shared):
        raise ValueError(
            "other has none of the people of this report. Audit both releases on the same people, "
            "with person= the column that tells them apart."
        )
    old, new = before.people.loc[shared], after.people.loc[shared]
    advised = (old["advised"] & new["advised"]).to_numpy(dtype=bool)
    held, holds = (table["holds"].to_numpy(dtype=bool) for table in (old, new))
    both = new[["changes", "cost", "cost_deployed"]].assign(changes_before=old["changes"])
    both = pd.concat([both, after.sensitive.loc[shared]], axis=1)
    return AuditComparison(
        figures=_changes(_all(before), _all(after)),
        newly_lost=both[advised & held & ~holds],
        newly_kept=both[advised & ~held & holds],
        n_matched=len(shared),
        n_before=len(before.people),
        n_after=len(after.people),
    )


def _all(report: Any) -> pd.Series:
    """Return the figures of everybody and of every group, by feature, group and figure."""
    names = ["feature", "group", "figure"]
    everybody = pd.concat({EVERYBODY: report.figures["value"]}, names=names[:2])
    groups = report.groups["value"]
    return (pd.concat([everybody, groups]) if len(groups) else everybody).astype(float)


def _changes(before: pd.Series, after: pd.Series) -> pd.DataFrame:
    table = pd.concat({"before": before, "after": after}, axis=1, join="inner")
    table = table.reindex([key for key in before.index if key in table.index])
    table["difference"] = table["after"] - table["before"]
    rows = zip(table.index.get_level_values("figure"), table["before"], table["after"], strict=True)
    worse = [_worse(name, *values) for name, *values in rows]
    return table.assign(worse=pd.Series(worse, index=table.index, dtype=object))


def _worse(name: Any, before: float, after: float) -> bool | None:
    better = FIGURES[name].better if name in FIGURES else "same"
    if better == "same" or not (np.isfinite(before) and np.isfinite(after)):
        return None
    if better == "zero":
        before, after = abs(before), abs(after)
    return bool(after < before if better == "high" else after > before)
