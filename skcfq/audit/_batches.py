"""A batch of an audit: what both models say of some people, and what these are advised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from skcfq.results import IssuedAdvice


@dataclass(frozen=True, eq=False)
class Batch:
    """Some people, in the order of the data.

    Attributes
    ----------
    table : DataFrame
        As :func:`people_table` makes it.
    changes : list of list of tuple
        What each is advised to change: features, values before and after.
    rules : dict
        What may be changed and at which price, as JSON values.
    protocol : dict of role to str
        How the advice was found.
    environment : dict
        Versions of what was loaded.
    """

    table: pd.DataFrame
    changes: list[list[tuple]]
    rules: dict[str, Any]
    protocol: dict[str, str]
    environment: dict[str, str]


def joined(batches: list[Batch]) -> Batch:
    """Return batches as one; what is said of all of them is that of the last."""
    last, environment = batches[-1], dict[str, str]()
    for batch in batches:
        environment |= batch.environment
    return Batch(
        pd.concat([batch.table for batch in batches], ignore_index=True),
        [one for batch in batches for one in batch.changes],
        last.rules,
        last.protocol,
        environment,
    )


def changes_by_person(advice: IssuedAdvice) -> list[list[tuple]]:
    """Return what each person is advised to change: features, values before and after."""
    told: list[list[tuple]] = [[] for _ in range(len(advice))]
    columns = (advice.changes[name].tolist() for name in ("row", "feature", "from", "to"))
    for row, *change in zip(*columns, strict=True):
        told[row].append(tuple(change))
    return told
