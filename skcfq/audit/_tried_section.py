"""The section of a report on remedies that were tried."""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.audit._blocks import Section, Table, Text
from skcfq.audit._wording import UNKNOWN, counted, interval, percent, words

_REMEDIES = {
    "as it is": "Nothing: as it is",
    "margin": "Advice with a margin",
    "robust": "Advice that holds on several models",
    "bits": "The reference, quantized without training",
    "retrain": "Training for recourse",
}


def tried_section(report: Any) -> list[Section]:
    """Return the section on remedies that were tried; nothing where none were."""
    if report.tried is None:
        return []
    rows, failed = [], []
    for (remedy, setting), row in report.tried.iterrows():
        name = _REMEDIES.get(str(remedy), words(remedy))
        name = f"{name}: {words(setting)}" if setting else name
        if isinstance(row["reason"], str):
            failed.append(f"{name}: not tried, {words(row['reason'])}.")
            continue
        rows.append(
            [
                name,
                _percent(row["validity_drop"]),
                interval("validity_drop", "share", _known(row["lower"]), _known(row["upper"])),
                _percent(row["share_advised"]),
                _times(row["cost_ratio"]),
                *map(_percent, (row["recourse_gap"], row["accuracy"], row["acceptance"])),
                _bits(row["bits"]),
            ]
        )
    columns = ["What was done", "Advice that does not work", "Interval", "Refused who are advised"]
    columns += ["Cost of the advice", "Price gap", "Accuracy", "Accepts", "Bits"]
    n = _known(report.tried["n_advised"].iloc[0])
    people = counted(0 if np.isnan(n) else n, "piece of advice")
    said = (
        f"Measured on {people}, of people on whom nothing was trained or chosen. Advice with "
        "another margin costs more; another model leaves the advice as it is."
    )
    blocks: list[Any] = [Text(said)]
    if rows:
        blocks.append(Table("Remedies", columns, rows, tuple(range(1, len(columns)))))
    blocks += [Text(one) for one in failed]
    return [Section("tried", "What could be done, and what it costs", blocks)]


def _known(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _percent(value: Any) -> str:
    return percent(_known(value))


def _bits(value: Any) -> str:
    bits = _known(value)
    return f"{bits:.3g}" if np.isfinite(bits) else UNKNOWN


def _times(value: Any) -> str:
    ratio = _known(value)
    return f"{ratio:.2f} times" if np.isfinite(ratio) else UNKNOWN
