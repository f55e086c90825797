"""The section of a report on what one number would do: biases, and margins of advice."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.audit._blocks import Section, Table, Text
from skcfq.audit._wording import UNKNOWN, number, percent

_NAMES = {
    "as_it_is": "As it is",
    "same_acceptance": "Accepts as many as the reference",
    "keep_advice": "Keeps all advice",
}
_CHOSEN = {
    "nobody": UNKNOWN,
    "same_people": "The same people",
    "other_half": "The other half of them",
}


def remedies_section(report: Any) -> list[Section]:
    """Return the section, nothing for documents from before there was one."""
    if not report.remedies:
        return []
    title = "What one number would do"
    reason = report.remedies["bias"].get("reason")
    if reason:
        return [Section("remedies", title, [Text(f"Not known: {reason}.")])]
    controls = report.bias_controls
    rows = [
        [
            _NAMES[name],
            _CHOSEN[chosen],
            " and ".join(map(number, row["biases"])),
            *(_share(row[figure]) for figure in ("validity_drop", "acceptance", "accuracy")),
        ]
        for (name, chosen), row in controls.iterrows()
    ]
    columns = ["Deployed model", "Bias chosen on", "Bias", "Advice that no longer works"]
    columns += ["Accepts", "Accuracy"]
    needed = [
        [percent(one["share"]), number(one["margin"])]
        for one in report.remedies["margin"]["needed"]
    ]
    blocks = [
        Text(_said(controls["validity_drop"])),
        Table("The deployed model with a bias on the target's score", columns, rows, (2, 3, 4, 5)),
        Text(
            "By how much the target's margin fell from the reference to the deployed model, at the "
            "points of this advice and on these people. Advice with such a margin lies elsewhere: "
            "it costs more, and the share that holds is then to be measured again."
        ),
        Table("Margin of the advice", ["Share of advice", "Margin fell by at most"], needed, (1,)),
    ]
    return [Section("remedies", title, blocks)]


def _said(drop: Any) -> str:
    before, after = drop["as_it_is", "nobody"], drop["same_acceptance", "other_half"]
    return (
        "A model that is stricter or more lenient than the reference differs from it by a bias, "
        "which one number added to the score of the target takes away. As it is, the deployed "
        f"model does not honor {percent(before)} of the advice; with the bias at which it accepts "
        f"as many people as the reference, chosen on other people, {percent(after)}: so much no "
        "bias of that kind explains. A bias that is chosen on the people whom it is scored on "
        "looks better than it is."
    )


def _share(value: float) -> str:
    return percent(value) if np.isfinite(value) else UNKNOWN
