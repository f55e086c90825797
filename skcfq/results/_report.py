"""Results in words and tables that people read: sentences, flipsets, summaries, notebooks."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skcfq.exceptions import TargetError, UnsupportedModelError
from skcfq.results._export import changes_of, shown_units, units_of
from skcfq.results._gaps import mean_gap
from skcfq.utils import has_text, missing_mask, plain, take_rows

if TYPE_CHECKING:
    from skcfq.results._result import RecourseResult

# What a result can say of a person, in the order in which people read it.
STATUSES = (
    "optimal",
    "feasible",
    "already_favorable",
    "infeasible",
    "not_found",
    "time_limit",
)
# People whose actions a notebook shows.
_SHOWN = 10
# A margin below this is a point on the boundary, as far as anybody can tell.
_BOUNDARY = 1e-4
_DIGITS = 6


def row_of(result: RecourseResult, person: Any, row: Any) -> int:
    """Return the position of one person, given an index label or the position itself.

    Raises
    ------
    ValueError
        No such person, a label that several rows share, or not exactly one of the two.
    """
    n = len(result)
    if (person is None) == (row is None):
        raise ValueError(
            f"person={person!r} and row={row!r}: give one of the two, the index label of X as "
            "`person` or the position as `row`."
        )
    if row is not None or not isinstance(result.X, pd.DataFrame):
        name, value = ("person", person) if row is None else ("row", row)
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if not whole or not 0 <= value < n:
            raise ValueError(
                f"{name}={value!r} is no position among the {n} rows of X. Give a whole number "
                f"from 0 to {n - 1}."
            )
        return int(value)
    index = result.X.index
    try:
        found = np.arange(n)[index.get_loc(person)]
    except (KeyError, TypeError, ValueError, pd.errors.InvalidIndexError) as error:
        some = ", ".join(repr(plain(label)) for label in index[:3])
        more = ", …" if n > 3 else ""
        raise ValueError(
            f"person={person!r} is no index label of X, whose labels are {some}{more}. Give one "
            "of X.index, or a position as `row`."
        ) from error
    rows = np.atleast_1d(found)
    if len(rows) > 1:
        some = ", ".join(str(r) for r in rows[:5]) + (", …" if len(rows) > 5 else "")
        raise ValueError(
            f"person={person!r} is the label of {len(rows)} rows of X ({some}). Give the one you "
            f"mean by its position, such as row={rows[0]}."
        )
    return int(rows[0])


def describe(result: RecourseResult) -> str:
    """Return the short text that stands for a result."""
    counts = [(name, int((result.status == name).sum())) for name in STATUSES]
    told = ", ".join(f"{name} {count}" for name, count in counts if count)
    n_actions = 1 + len(result.alternatives)
    ways = f", up to {n_actions} actions each" if n_actions > 1 else ""
    people = "person" if len(result) == 1 else "people"
    return f"RecourseResult({len(result)} {people}: {told or 'none'}; {result.protocol}{ways})"


def summarize(result: RecourseResult) -> pd.Series:
    """Return the numbers of :meth:`RecourseResult.summary`."""
    denied, reachable = int(result.denied.sum()), int(result.reachable.sum())
    costs = result.cost[result.reachable]
    proved = int((result.status[result.reachable] == "optimal").sum())
    numbers: dict[str, Any] = {"people": len(result), "denied": denied}
    numbers |= {name: int((result.status == name).sum()) for name in STATUSES}
    numbers |= {
        "feasible_rate": reachable / denied if denied else math.nan,
        "share_optimal": proved / reachable if reachable else math.nan,
        "mean_gap": mean_gap(result.status, result.cost, result.lower_bound),
        "mean_cost": float(costs.mean()) if reachable else math.nan,
        "median_cost": float(np.median(costs)) if reachable else math.nan,
    }
    return pd.Series(numbers, dtype=object, name="recourse")


def number_text(value: float, toward: float = 0.0) -> str:
    """Write a number for people: six digits, rounded upward or downward where that is asked for.

    Parameters
    ----------
    value : float
    toward : float, default=0.0
        Its sign tells the way of rounding; 0 rounds to the nearest.

    Examples
    --------
    >>> number_text(12500.0), number_text(0.1 + 0.2), number_text(2.34567412, toward=1e-6)
    ('12,500', '0.3', '2.34568')
    """
    if not math.isfinite(value):
        return str(value)
    nearest = round(value)
    if abs(value - nearest) <= 1e-9 * max(1.0, abs(nearest)):
        return f"{nearest:,}"
    decimals = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    shown = round(value, decimals)
    unit = 10.0**-decimals
    # Of the way alone, and not of how far it is.
    if toward and (shown - value) * math.copysign(1.0, toward) < -1e-9 * abs(value):
        shown += math.copysign(unit, toward)
    text = f"{shown:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def check_target_given(result: RecourseResult) -> None:
    """Refuse to tell a person how to get an outcome that was guessed by the alphabet.

    Raises
    ------
    TargetError
        The labels are text, and no target was given.
    """
    given = (result.provenance or {}).get("target_given", True)
    if not given and has_text(result.target):
        raise TargetError(
            f"No `target` was given, and {plain(result.target[0])!r} was taken because it is the "
            "last label by alphabet, which may be what nobody wants. What people read needs the "
            "wanted label: give the solver, the transformer or the classifier `target=`, and solve "
            "again."
        )


def explain(result: RecourseResult, row: int, units: Mapping, model: Any) -> str:
    """Return the sentences of :meth:`RecourseResult.explain`."""
    check_target_given(result)
    status, wanted = str(result.status[row]), _label_text(result.target[row])
    label = result.X.index[row] if isinstance(result.X, pd.DataFrame) else row
    person = f"person {plain(label)}"
    if status == "already_favorable":
        text = f"{person} needs no change: the model already says {wanted}"
        return _sentence(f"{text}, with {_room(result, row, model)}")
    if not result.valid[row]:
        return _sentence(_NO_ACTION[status].format(person=person, wanted=wanted))
    moves, implied = _moves(result, row, units, shares=True)
    text = f"for {person}, the model says {wanted} after changing {_joined(moves)}"
    sentences = [_sentence(text)]
    if implied:
        sentences.append(_sentence(f"this also moves {_joined(implied)}, at no cost"))
    sentences.append(_sentence(_cost_text(result, row)))
    sentences.append(_sentence(f"this leaves {_room(result, row, model)}"))
    ways = _other_ways(result, row, units)
    if ways:
        sentences.append(_sentence(f"instead, it is enough to change {'; or '.join(ways)}"))
    return " ".join(sentences)


def _label_text(label: object) -> str:
    """Write a label for people: text as it is, a number or a truth value as that of a class."""
    label = plain(label)
    if isinstance(label, str):
        return repr(label)
    return f"class {int(label) if isinstance(label, float) and label.is_integer() else label}"


_NO_ACTION = {
    "infeasible": (
        "for {person}, it is proved that no permitted change makes the model say {wanted}"
    ),
    "not_found": (
        "for {person}, the search found no permitted change that makes the model say {wanted}; "
        "this proves nothing, there may be one"
    ),
    "time_limit": (
        "for {person}, time ran out, or the work was interrupted, before a change was known that "
        "makes the model say {wanted}; nothing is proved"
    ),
}


def _cost_text(result: RecourseResult, row: int) -> str:
    cost, bound = result.cost[row], result.lower_bound[row]
    text = f"the cost is {cost:.4g}"
    if result.status[row] == "optimal":
        return f"{text}, proved to be the least possible"
    if result.status[row] == "time_limit":
        text += "; time ran out before it was known whether that is the least possible"
    else:
        text += ", not proved to be the least possible"
    known = f" (no permitted change costs less than {_floor(bound)})"
    return text + (known if 0 < bound < cost else "")


def _floor(bound: float) -> str:
    """Write a lower bound without raising it."""
    return number_text(bound, toward=-1)


def _moves(
    result: RecourseResult, row: int, units: Mapping, *, shares: bool
) -> tuple[list[str], list[str]]:
    """Return the person's changes, and those that follow from them, as phrases."""
    changes = changes_of(result, np.array([row]))
    named = units_of(changes, units)
    moves, implied = [], []
    shares = shares and int((changes["kind"] == "change").sum()) > 1
    for i, kind in enumerate(changes["kind"]):
        phrase = _from_to(changes, i, named[i])
        if kind == "implied":
            implied.append(phrase)
        elif kind == "change":
            share = f" ({changes['cost_share'][i]:.0%} of the cost)" if shares else ""
            moves.append(phrase + share)
    return moves or ["nothing"], implied


def phrases_of(result: RecourseResult, row: int, units: Mapping | None) -> list[str]:
    """Return what an action changes, as phrases; what follows from that says so."""
    moves, implied = _moves(result, row, shown_units(result, units), shares=False)
    return [*moves, *(f"{phrase} (implied)" for phrase in implied)]


def _from_to(changes: Mapping[str, np.ndarray], i: int, unit: Any) -> str:
    old, new = changes["from"][i], changes["to"][i]
    if not changes["is_number"][i]:
        return f"{changes['feature'][i]} from {_category(old)} to {_category(new)}"
    toward = np.nan_to_num(changes["change"][i])
    start = "missing" if _is_gap(old) else number_text(float(old))
    end = "missing" if _is_gap(new) else number_text(float(new), toward)
    return f"{changes['feature'][i]} from {start} to {end}" + (f" {unit}" if unit else "")


def _is_gap(value: Any) -> bool:
    return bool(missing_mask(np.array([value], dtype=object))[0])


def _category(value: Any) -> str:
    return "missing" if _is_gap(value) else str(plain(value))


def _room(result: RecourseResult, row: int, model: Any) -> str:
    """Tell how far a point is from the decision boundary."""
    known = result.provenance or {}
    probability = _probability(result, row, model)
    chance = "" if probability is None else f" (probability {probability:.1%})"
    if known.get("model", {}).get("output") == "labels":
        return f"a margin that nobody knows, as the model gives labels alone{chance}"
    margin = result.margin[row]
    if margin < _BOUNDARY:
        return (
            f"no margin{chance}: the point lies on the decision boundary, where a small change of "
            "the model undoes it; `margin=` or `target_proba=` of the solver asks for more"
        )
    asked = known.get("required_margin") or 0.0
    more = f", of which {asked:.3g} was asked for" if asked else ""
    return f"a margin of {margin:.3g} logits{more}{chance}"


def _probability(result: RecourseResult, row: int, model: Any) -> float | None:
    """Return the probability of the target at the person's point, where it is known."""
    if model is not None:
        if not hasattr(model, "predict_proba"):
            raise UnsupportedModelError(
                f"model={type(model).__name__} has no predict_proba. Leave `model` out, or give "
                "the classifier that was solved, with probabilities."
            )
        shares = np.asarray(model.predict_proba(take_rows(result.points, np.array([row]))))[0]
        return float(shares[np.flatnonzero(model.classes_ == result.target[row])[0]])
    rule = (result.provenance or {}).get("model", {}).get("probability")
    if rule != "sigmoid":
        return None
    return float(1 / (1 + np.exp(-result.margin[row])))


def _other_ways(result: RecourseResult, row: int, units: Mapping) -> list[str]:
    """Return the alternatives of a person as phrases, cheapest first."""
    ways = []
    for other in result.alternatives:
        if other.valid[row] and other.changed[row].any():
            moves, implied = _moves(other, row, units, shares=False)
            also = f", which also moves {_joined(implied)}" if implied else ""
            ways.append(f"{_joined(moves)}{also} (cost {other.cost[row]:.4g})")
    return ways


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def flipset(result: RecourseResult, row: int, units: Mapping) -> pd.DataFrame:
    """Return the table of :meth:`RecourseResult.flipset`."""
    check_target_given(result)
    lines: list[dict[str, Any]] = []
    for answer in (result, *result.alternatives):
        if not (answer.valid[row] and answer.changed[row].any()):
            continue
        changes = changes_of(answer, np.array([row]))
        named = units_of(changes, units)
        own = changes["kind"] == "change"
        shifts = np.abs(changes["percentile_to"] - changes["percentile_from"])[own]
        # A category without an order has no percentile; of a number, it may be untold.
        shifts = np.where(changes["is_number"][own], shifts, np.nan_to_num(shifts))
        phrases = [
            _from_to(changes, i, named[i]) + (" (implied)" if kind == "implied" else "")
            for i, kind in enumerate(changes["kind"])
        ]
        lines.append(
            {
                "features": tuple(changes["feature"][own]),
                "changes": "; ".join(phrases),
                "cost": float(answer.cost[row]),
                "max_percentile_shift": float(shifts.max(initial=0.0)),
                "margin": float(answer.margin[row]),
                "status": str(answer.status[row]),
            }
        )
    lines.sort(key=lambda line: line["cost"])
    columns = ["features", "changes", "cost", "max_percentile_shift", "margin", "status"]
    index = pd.RangeIndex(1, len(lines) + 1, name="action")
    return pd.DataFrame(lines, columns=columns, index=index)


def to_html(result: RecourseResult) -> str:
    """Return a table for notebooks: the counts, then the actions of the first refused people."""
    numbers = summarize(result)
    counts = [(name, numbers[name]) for name in STATUSES if numbers[name]]
    told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts)
    people = np.flatnonzero(result.denied)[:_SHOWN]
    parts = [
        "<div>",
        f"<p><b>Recourse for {len(result)} people</b>: {told or 'none'}</p>",
        f"<p><small>{html.escape(result.protocol)}</small></p>",
    ]
    if len(people):
        parts.append(_html_table(result, people))
    more = int(numbers["denied"]) - len(people)
    if more > 0:
        parts.append(f"<p><small>and {more} more refused people; see to_frame()</small></p>")
    return "\n".join([*parts, "</div>"])


_HEADINGS = ("person", "feature", "from", "to", "unit", "share of cost", "cost", "status")


def _html_table(result: RecourseResult, people: np.ndarray) -> str:
    changes = changes_of(result, people)
    units = units_of(changes, result.units or {})
    index = result.X.index if isinstance(result.X, pd.DataFrame) else np.arange(len(result))
    head = "".join(f'<th style="text-align: left">{name}</th>' for name in _HEADINGS)
    lines, previous = [f"<thead><tr>{head}</tr></thead>", "<tbody>"], -1
    for i, row in enumerate(changes["row"].tolist()):
        kind = changes["kind"][i]
        first = row != previous
        previous = row
        share = "implied" if kind == "implied" else f"{changes['cost_share'][i]:.0%}"
        cells = [
            plain(index[row]) if first else "",
            "" if kind is None else changes["feature"][i],
            "" if kind is None else _value(changes, i, "from"),
            "" if kind is None else _value(changes, i, "to"),
            units[i] or "",
            "" if kind is None else share,
            f"{result.cost[row]:.4g}" if first and result.valid[row] else "",
            str(result.status[row]).replace("_", " ") if first else "",
        ]
        told = "".join(
            f'<td style="text-align: left">{html.escape(str(cell))}</td>' for cell in cells
        )
        lines.append(f"<tr>{told}</tr>")
    return "<table>\n" + "\n".join([*lines, "</tbody>"]) + "\n</table>"


def _value(changes: Mapping[str, np.ndarray], i: int, name: str) -> str:
    value = changes[name][i]
    if not changes["is_number"][i] or _is_gap(value):
        return _category(value)
    toward = np.nan_to_num(changes["change"][i]) if name == "to" else 0.0
    return number_text(float(value), float(toward))
