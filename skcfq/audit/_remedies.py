"""What one number would do: the deployed model with a bias, and the margin that advice needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor

# Shares of the advice that a margin is told for.
SHARES = (0.9, 0.95, 0.99, 1.0)
# Of the size of a score: what keeps a tie from being one.
BEYOND = 1e-9
# Rows whose scores are asked for at once.
_AT_ONCE = 10_000


def cheap_remedies(
    table: pd.DataFrame, deployed: Predictor, X: Any, y: np.ndarray | None
) -> dict[str, Any]:
    """Return what a bias and a margin would do, for which nothing is solved again.

    Parameters
    ----------
    table : DataFrame
        As :func:`people_table` makes it.
    deployed : Predictor
    X : DataFrame or ndarray
        The same people.
    y : ndarray or None
        Their labels.

    Returns
    -------
    remedies : dict
        ``"bias"`` and ``"margin"``: each with its figures, or the ``reason`` why there are none.
    """
    reason = _unknown(table)
    scores = np.empty((0, 0)) if reason else _scores(deployed, X)
    if reason is None and not np.isfinite(scores).all():
        reason = "the deployed model gives scores without end, which no bias moves"
    if reason:
        return {"bias": {"reason": reason}, "margin": {"reason": reason}}
    return {
        "bias": {"controls": bias_controls(table, scores, deployed.classes, y)},
        "margin": {"needed": needed_margins(table)},
    }


def _scores(model: Predictor, X: Any) -> np.ndarray:
    """Return the scores of all rows, asked for in blocks: a network's layers take memory."""
    starts = range(0, len(X), _AT_ONCE)
    blocks = (take_rows(X, slice(start, start + _AT_ONCE)) for start in starts)
    return np.concatenate([model.row_scores(block) for block in blocks])


def _unknown(table: pd.DataFrame) -> str | None:
    advised = table[table["advised"]]
    if not len(advised):
        return "there is no advice to keep"
    if table["target"].nunique() > 1:
        return "people want different decisions, and one bias favors one of them"
    margins = advised[["margin", "margin_deployed"]].to_numpy(dtype=float)
    if np.isnan(margins).any():
        return "a model gives labels alone: there is no score to add to"
    return None if np.isfinite(margins).all() else "some margins have no end"


def needed_margins(table: pd.DataFrame) -> list[dict[str, float]]:
    """Return the margins at which shares of the advice would hold, by how much each margin fell.

    Of the advice of these people as it is; advice with a margin lies elsewhere and costs more.
    """
    advised = table[table["advised"]]
    fell = np.sort((advised["margin"] - advised["margin_deployed"]).to_numpy(dtype=float))
    ranks = [int(np.ceil(share * len(fell) - BEYOND)) - 1 for share in SHARES]
    return [
        {"share": share, "margin": max(0.0, float(fell[rank]))}
        for share, rank in zip(SHARES, ranks, strict=True)
    ]


def bias_controls(
    table: pd.DataFrame, scores: np.ndarray, classes: np.ndarray, y: np.ndarray | None
) -> list[dict[str, Any]]:
    """Return what the deployed model does as it is, and with a bias on the score of the target.

    Two biases are chosen: that at which it accepts as many people as the reference, and the
    smallest one at which all advice holds. Each is scored on the people whom it was chosen on, and
    crosswise: chosen on every other person and scored on the rest, and the reverse.

    Parameters
    ----------
    table : DataFrame
    scores : ndarray of shape (n, n_classes)
        Of the deployed model, of everybody as they are.
    classes : ndarray of shape (n_classes,)
    y : ndarray of shape (n,) or None

    Returns
    -------
    controls : list of dict
        ``name`` (``as_it_is``, ``same_acceptance``, ``keep_advice``), ``chosen_on`` (``nobody``,
        ``same_people``, ``other_half``), ``biases``, ``validity_drop``, ``acceptance`` and
        ``accuracy`` (None without labels, as is what nobody could be counted for).
    """
    wanted = classes == table["target"].iloc[0]
    lead = scores[:, wanted][:, 0] - np.where(wanted, -np.inf, scores).max(axis=1)
    everybody, first = np.ones(len(table), dtype=bool), np.arange(len(table)) % 2 == 0
    slack = BEYOND * max(1.0, float(np.abs(scores).max()))
    margins = table["margin_deployed"].to_numpy(dtype=float)
    advised, accepted = (table[key].to_numpy() for key in ("advised", "accepted_reference"))
    choices = {
        "same_acceptance": lambda rows: bias_of_count(lead[rows], int(accepted[rows].sum()), slack),
        "keep_advice": lambda rows: bias_to_keep(margins[rows & advised], slack),
    }
    people = _Scored(table, scores, classes, wanted, y)
    told = [people.as_it_is()]
    for name, chosen in choices.items():
        bias, halves = chosen(everybody), [chosen(~first), chosen(first)]
        told.append(people.with_bias(name, "same_people", [bias], bias))
        told.append(people.with_bias(name, "other_half", halves, np.where(first, *halves)))
    return told


@dataclass(frozen=True, eq=False)
class _Scored:
    """People, whose decisions under a bias are scored."""

    table: pd.DataFrame
    scores: np.ndarray
    classes: np.ndarray
    wanted: np.ndarray
    y: np.ndarray | None

    def with_bias(self, name: str, chosen_on: str, biases: list, each: Any) -> dict[str, Any]:
        """Return the figures under a bias for each person."""
        each = np.broadcast_to(each, len(self.table))
        decided = (self.scores + each[:, None] * self.wanted).argmax(axis=1)
        advised = self.table["advised"].to_numpy()
        margins = self.table["margin_deployed"].to_numpy(dtype=float)
        right = None if self.y is None else self.classes[decided] == self.y
        return {
            "name": name,
            "chosen_on": chosen_on,
            "biases": biases,
            "validity_drop": _share((margins + each)[advised] <= 0),
            "acceptance": _share(self.wanted[decided]),
            "accuracy": _share(right),
        }

    def as_it_is(self) -> dict[str, Any]:
        """Return the figures without a bias, where the model itself decides ties."""
        return {
            "name": "as_it_is",
            "chosen_on": "nobody",
            "biases": [0.0],
            "validity_drop": _share(~self.table["holds"][self.table["advised"]]),
            "acceptance": _share(self.table["accepted_deployed"]),
            "accuracy": _share(self.table.get("right_deployed")),
        }


def _share(flags: Any) -> float | None:
    return None if flags is None or not len(flags) else float(np.mean(flags))


def bias_to_keep(margins: np.ndarray, slack: float) -> float:
    """Return the smallest bias that is not negative and lifts all margins above 0.

    Examples
    --------
    >>> bias_to_keep(np.array([0.5, -0.25]), 0.0), bias_to_keep(np.array([0.5]), 0.1)
    (0.25, 0.0)
    """
    least = float(margins.min(initial=np.inf))
    return 0.0 if least > 0 else slack - least


def bias_of_count(leads: np.ndarray, count: int, slack: float) -> float:
    """Return the bias at which as many leads as wanted are above 0, or about as many at ties.

    0 where that is one; else midway between two leads.

    Examples
    --------
    >>> bias_of_count(np.array([-3.0, -1.0, 1.0]), 2, 0.5)
    2.0
    >>> bias_of_count(np.array([-3.0, -1.0, 1.0]), 3, 0.5)
    3.5
    """
    values = np.unique(leads)
    if int((leads > 0).sum()) == count or not len(values):
        return 0.0
    between = (values[1:] + values[:-1]) / 2
    ends = np.concatenate([[values[0] - slack], between, [values[-1] + slack]])
    above = len(leads) - np.searchsorted(np.sort(leads), ends, side="right")
    return float(-ends[np.abs(above - count).argmin()])


def controls_of(remedies: Mapping[str, Any]) -> pd.DataFrame:
    """Return the controls of :func:`bias_controls` as a table."""
    columns = ["name", "chosen_on", "biases", "validity_drop", "acceptance", "accuracy"]
    told = remedies.get("bias", {}).get("controls", [])
    table = pd.DataFrame(told, columns=columns).set_index(columns[:2])
    return table.astype(dict.fromkeys(columns[3:], np.float64))
