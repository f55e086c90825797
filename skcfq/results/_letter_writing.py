"""What a letter says of one person, in sentences: no template, no layout."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcfq.results._languages import Language
from skcfq.utils import missing_mask, plain


@dataclass(frozen=True)
class Wording:
    """How names, levels and numbers are told.

    Parameters
    ----------
    language : Language
    labels : dict
        Texts for names, levels and decisions; a pair of name and level goes before the level.
    units : dict of name to str
    """

    language: Language
    labels: Mapping
    units: Mapping

    def name(self, name: Any) -> str:
        """Return what a feature is called."""
        return self.labels.get(name, str(name).replace("_", " "))

    def decision(self, label: Any) -> str:
        """Return what a class is called."""
        return self.labels.get(label, self._level(label))

    def change(self, change: Mapping[str, Any]) -> dict[str, str]:
        """Return a change as the parts of a sentence, and as a sentence."""
        name, toward = change["feature"], float(np.nan_to_num(change["change"]))
        is_number = bool(change["is_number"])
        old = self._value(name, change["from"], is_number, 0.0)
        new = self._value(name, change["to"], is_number, toward)
        unit = self.units.get(name, "") if is_number else ""
        words = {"name": self.name(name), "old": old, "new": new, "unit": unit}
        key = "change_with_unit" if unit else "change"
        shown = words if unit else {k: v for k, v in words.items() if k != "unit"}
        return words | {"text": self.language.say(key, **shown)}

    def _value(self, name: Any, value: Any, is_number: bool, toward: float) -> str:
        value = plain(value)
        for key in ((name, value), value):
            if not is_number and _hashable(key) and key in self.labels:
                return self.labels[key]
        if missing_mask(np.array([value], dtype=object))[0]:
            return self.language.say("missing")
        if is_number and not isinstance(value, bool):
            return self.language.number(float(value), toward)
        return self._level(value)

    def _level(self, value: Any) -> str:
        if isinstance(value, bool):
            return self.language.say("yes" if value else "no")
        if isinstance(value, float):
            return self.language.number(value)
        return str(value)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def check_labels(labels: Any) -> Mapping:
    """Return the texts of names and levels.

    Raises
    ------
    ValueError
        No dict, or a text is missing in it.
    """
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise ValueError(
            f"labels is of type {type(labels).__name__}: give a dict from names, levels and "
            "decisions to texts, such as {'income': 'Monthly income'}."
        )
    for key, text in labels.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"labels gives {key!r} {reprlib.repr(text)}: give a text.")
    return labels


def check_decisions_are_told(advice: Any, labels: Mapping) -> None:
    """Refuse to tell people of an outcome that is a number or a truth value.

    Raises
    ------
    ValueError
        A class is no text, and `labels` has none for it.
    """
    classes = (advice.provenance or {}).get("model", {}).get("classes")
    for label in np.unique(advice.target).tolist() if classes is None else classes:
        if not isinstance(label, str) and label not in labels:
            raise ValueError(
                f"labels has no text for the decision {label!r}, which means nothing to whom it is "
                f"told. Give labels={{{label!r}: 'granted', …}}."
            )


def words_of_person(
    advice: Any, row: int, moves: list[list[dict[str, Any]]], wording: Wording, promise: str
) -> dict[str, Any]:
    """Return what a template gets about one person.

    Parameters
    ----------
    advice : RecourseResult or IssuedAdvice
    row : int
    moves : list of lists of changes
        Of the answer and of the alternatives that were found.
    wording : Wording
    promise : str
        The sentence on how long the advice holds.
    """
    language, status = wording.language, str(advice.status[row])
    wanted = wording.decision(plain(advice.target[row]))
    words: dict[str, Any] = {
        "person": str(plain(_person(advice, row))),
        "language": language.name,
        "status": status,
        "title": language.say("title"),
        "decision": _decision(advice, row, wording, wanted),
        "outcome": "",
        "changes": [],
        "follows": [],
        "options": [],
        "note": "",
        "assumptions": [],
        "changes_intro": language.say("changes", wanted=wanted),
        "follows_intro": language.say("follows"),
        "options_intro": language.say("options"),
        "assumptions_intro": language.say("assumes"),
    }
    if status == "already_favorable":
        return words
    rests_on = [language.say("rest"), _rule(advice, language)]
    if not advice.valid[row]:
        words["outcome"] = language.say(status, wanted=wanted)
        words["assumptions"] = rests_on if status == "infeasible" else []
        return words
    first, *others = moves
    words |= _parts(first, wording)
    words["options"] = [
        {"title": language.say("option", number=str(k)), **_parts(other, wording)}
        for k, other in enumerate(others, start=1)
    ]
    words["note"] = "" if status == "optimal" else language.say("may_be_easier")
    words["assumptions"] = [*rests_on, promise]
    return words


def _parts(changes: list[dict[str, Any]], wording: Wording) -> dict[str, Any]:
    told: dict[str, list] = {"change": [], "implied": []}
    for change in changes:
        told[change["kind"]].append(wording.change(change))
    return {"changes": told["change"], "follows": told["implied"]}


def _person(advice: Any, row: int) -> Any:
    index = getattr(advice.X, "index", None)
    return row if index is None else index[row]


def _decision(advice: Any, row: int, wording: Wording, wanted: str) -> str:
    """Say what was decided; of more than two classes, only that it is not the wanted one."""
    if advice.status[row] == "already_favorable":
        return wording.language.say("granted", wanted=wanted)
    classes = (advice.provenance or {}).get("model", {}).get("classes") or []
    others = [one for one in classes if one != plain(advice.target[row])]
    if len(others) == 1 and len(classes) == 2:
        decision = wording.decision(others[0])
        return wording.language.say("refused", decision=decision, wanted=wanted)
    return wording.language.say("refused_several", wanted=wanted)


def _rule(advice: Any, language: Language) -> str:
    number = (advice.provenance or {}).get("model", {}).get("fingerprint")
    if number is None:
        return language.say("rule")
    # What tells one rule from another in the records; nobody has to type all of it.
    return language.say("rule_with_number", number=str(number)[:12])
