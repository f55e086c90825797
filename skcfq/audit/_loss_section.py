"""The section of a report on which step took the margin of advice."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.audit._blocks import Section, Table, Text
from skcfq.audit._wording import UNKNOWN, count, number, percent, words

_NAMES = {
    "retraining": "Retraining",
    "inputs": "Rounding of the inputs",
    "all layers": "All layers at once",
}


def losses_section(report: Any) -> list[Section]:
    """Return the section, nothing for documents from before there was one."""
    if not report.losses:
        return []
    title, steps = "Which step broke it", report.loss_reasons
    reason = report.losses.get("reason")
    if reason:
        return [Section("reasons", title, [Text(f"Not known: {reason}.")])]
    rows = [
        [
            _NAMES.get(step, words(step).capitalize()),
            number(row["margin_lost"]),
            number(row["margin_lost_of_failed"])
            if np.isfinite(row["margin_lost_of_failed"])
            else UNKNOWN,
            count(int(row["n_largest"])),
            percent(row["validity_drop"]),
        ]
        for step, row in steps.iterrows()
    ]
    columns = ["Step", "Margin taken, all advice", "Margin taken, advice that fails"]
    columns += ["Failed advice of which it takes the most", "Advice that fails once it is made"]
    table = Table("From the reference to the deployed model", columns, rows, (1, 2, 3, 4))
    return [Section("reasons", title, [Text(_said(steps.index, report.losses)), table])]


def _said(steps: Any, losses: Any) -> str:
    if "all layers" in steps:
        said = "The models are no networks of one shape: what lies between them is one step. "
    else:
        said = (
            "The steps are put one after the other, from the reference to the deployed model; what "
            "each takes depends on this order. "
        )
    if "retrained" in losses:
        return said + (
            "Retraining is measured by a model of the same training in full precision: what fails "
            "once it is made is no effect of rounding."
        )
    return said + (
        "No model of the same training in full precision was given: a step is retraining and "
        "rounding both, where the deployed model was retrained."
    )
