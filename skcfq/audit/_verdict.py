"""The verdict of a report, in plain words."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.audit._wording import count, counted, percent, words


def title_of(report: Any) -> str:
    """Return what the report is about."""
    pair = [report.models[role] for role in ("reference", "deployed")]
    # Two models of one kind have one name, and their files tell them apart.
    by_file = all(model.get("file") for model in pair)
    names = [words(model["file"] if by_file else model["name"]) for model in pair]
    return f"Recourse audit: {names[0]} → {names[1]}"


def verdict(report: Any) -> list[str]:
    """Return the verdict: advice, how much of it no longer works, prices, the worst group."""
    said = [_advice(report), _lost(report), _float32(report), _price(report)]
    said += [_worst(report), _to_come(report)]
    return [sentence for sentence in said if sentence]


def worst_group(report: Any, figure: str = "validity_drop") -> tuple[str, str, Any] | None:
    """Return feature, name and figure of the group that lost the largest share of its advice."""
    drops = _drops(report, figure)
    if len(drops) < 2 or drops["value"].nunique() < 2:
        return None
    place = drops["value"].astype(float).idxmax()
    return str(place[0]), str(place[1]), drops.loc[place]


def _drops(report: Any, figure: str) -> Any:
    groups: Any = report.groups
    if not len(groups):
        return groups
    drops = groups.xs(figure, level="figure")
    return drops[drops["value"].notna()]


def _advice(report: Any) -> str:
    people = report.people
    refused, advised = int((~people["accepted_reference"]).sum()), int(people["advised"].sum())
    target = report.parameters.get("target")
    wanted = "" if target is None else f", who want the decision “{words(target)}”"
    return (
        f"The reference refuses {count(refused)} of {counted(len(people), 'person')}{wanted}. It "
        f"can tell {count(advised)} of them what to change: {counted(advised, 'piece of advice')}."
    )


def _lost(report: Any) -> str:
    drop = report.figures.loc["validity_drop"]
    if not drop["n"]:
        return "There is no advice that could be kept or lost."
    return (
        f"{count(len(report.lost))} of these {counted(drop['n'], 'piece of advice')} no longer "
        f"{'works' if len(report.lost) == 1 else 'work'} under the deployed model: "
        f"{percent(drop['value'])} ({_sure(report)}: "
        f"{percent(drop['lower'])} to {percent(drop['upper'])})."
    )


def _float32(report: Any) -> str:
    drop = report.figures.loc["float32_drop"]
    if not drop["n"]:
        return ""
    lost = round(float(drop["value"]) * int(drop["n"]))
    return (
        "For comparison, the reference itself, computed in single precision and otherwise "
        f"unchanged, does not honor {count(lost)} of {count(drop['n'])}."
    )


def _price(report: Any) -> str:
    signed, either = (report.figures.loc[f"recourse_gap{end}"] for end in ("_signed", ""))
    if not signed["n"]:
        return "Prices of advice cannot be compared: nobody has a price under both models."
    way, together = (
        _way(report.figures["value"].get(f"recourse_gap_{end}")) for end in ("signed", "ratio")
    )
    return (
        f"For the {counted(signed['n'], 'person')} with a price under both models, it "
        f"{way} on average ({_sure(report)}: "
        f"{percent(signed['lower'], signed=True)} to {percent(signed['upper'], signed=True)}); "
        f"{percent(either['value'])} where up and down are counted alike. The sum of all prices "
        f"{together}."
    )


def _way(change: Any) -> str:
    if change is None or not np.isfinite(change):
        return "is not known"
    if change == 0:
        return "stays the same"
    return f"{'rises' if change > 0 else 'falls'} by {percent(abs(float(change)))}"


def _worst(report: Any) -> str:
    worst = worst_group(report)
    if worst is None:
        return ""
    feature, group, row = worst
    lost = round(float(row["value"]) * int(row["n"]))
    return (
        f"The group that loses most is {words(feature)} = {words(group)}: {count(lost)} of "
        f"{counted(row['n'], 'piece of advice')}, {percent(row['value'])}."
    )


def _to_come(report: Any) -> str:
    if ("", "everybody") not in report.limits.index:
        return ""
    limit = report.limits.loc[("", "everybody")]
    if not limit["n_people"] or not np.isfinite(limit["limit"]):
        return ""
    return (
        f"Of people to come, drawn as these were, no more than {percent(limit['limit'])} lose "
        f"their advice, with {percent_of_confidence(report)} confidence for all groups together."
    )


def _sure(report: Any) -> str:
    return f"{percent_of_confidence(report)} interval"


def percent_of_confidence(report: Any) -> str:
    """Return the confidence in percent."""
    return f"{100 * report.parameters['confidence']:g}\N{NO-BREAK SPACE}%"
