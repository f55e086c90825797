"""Letters: one notice a person, in plain words."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skcfq.exceptions import OptionalDependencyError
from skcfq.results._document_changes import result_changes
from skcfq.results._export import check_unit_names
from skcfq.results._languages import language_of
from skcfq.results._letter_writing import (
    Wording,
    check_decisions_are_told,
    check_labels,
    words_of_person,
)
from skcfq.results._report import check_target_given
from skcfq.utils import check_flag

FORMATS = ("text", "html")
_SUFFIXES = {".html": "html", ".htm": "html"}


def letters_of(
    advice: Any,
    template: Any,
    *,
    language: Any,
    translations: Any,
    labels: Any,
    units: Any,
    valid_until: Any,
    format: Any,
    include_granted: Any,
    allow_thin_margin: Any,
) -> pd.Series:
    """Return the letters of :meth:`RecourseResult.letters`."""
    check_flag("include_granted", include_granted)
    check_flag("allow_thin_margin", allow_thin_margin)
    render = _renderer(template, format)
    spoken = language_of(language, translations)
    wording = Wording(spoken, check_labels(labels), _units(advice, units))
    check_target_given(advice)
    check_decisions_are_told(advice, wording.labels)
    if not allow_thin_margin:
        _check_margin(advice)
    promise = spoken.say("no_date")
    if valid_until is not None:
        promise = spoken.say("until", date=spoken.date(valid_until))
    moves = [_by_person(answer) for answer in (advice, *advice.alternatives)]
    rows = np.arange(len(advice)) if include_granted else np.flatnonzero(advice.denied)
    written = []
    for row in rows.tolist():
        own = [answer[row] for answer in moves if row in answer]
        written.append(render(words_of_person(advice, row, own, wording, promise)))
    people = advice.X.index if isinstance(advice.X, pd.DataFrame) else pd.RangeIndex(len(advice))
    return pd.Series(written, index=people.take(rows), dtype=object, name="letter")


def _by_person(answer: Any) -> dict[int, list[dict[str, Any]]]:
    """Return the changes of each person who was found an action of this rank."""
    changes = getattr(answer, "changes", None)
    table = result_changes(answer) if changes is None else changes
    found: dict[int, list[dict[str, Any]]] = {
        row: [] for row in np.flatnonzero(answer.reachable).tolist()
    }
    columns = {str(name): table[name].tolist() for name in table}
    for values in zip(*columns.values(), strict=True):
        change = dict(zip(columns, values, strict=True))
        found.setdefault(change["row"], []).append(change)
    return found


def _units(advice: Any, units: Any) -> Mapping:
    if units is None:
        return advice.units or {}
    frame = isinstance(advice.X, pd.DataFrame)
    names = list(advice.X.columns) if frame else list(range(advice.X.shape[1]))
    check_unit_names(units, names)
    return units


def _check_margin(advice: Any) -> None:
    """Refuse advice that a rounding undoes.

    Raises
    ------
    ValueError
        Neither a margin was asked for, nor one for single precision, nor a radius.
    """
    known = advice.provenance or {}
    asked = ("required_margin", "required_perturbation_radius", "margin_for_single_precision")
    radius = (known.get("solver") or {}).get("weight_radius")
    if any(known.get(name) for name in asked) or radius or not advice.reachable.any():
        return
    why = "made without any margin" if known else "made nobody knows how, its provenance is None"
    raise ValueError(
        f"This advice was {why}: it ends on the boundary itself, where a rounded number, or the "
        "same model in single precision, undoes it. Solve again with margin='auto' (the default), "
        "margin= or target_proba= of RecourseSolver; or give allow_thin_margin=True, and tell it "
        "to nobody."
    )


def _renderer(template: Any, format: Any) -> Callable[[dict[str, Any]], str]:
    """Return what fills in a template.

    Raises
    ------
    OptionalDependencyError
        jinja2 is not installed.
    ValueError
        The template is none, or asks for what no letter has.
    """
    if not (format is None or (isinstance(format, str) and format in FORMATS)):
        raise ValueError(f"format={format!r}: give 'text', 'html' or None.")
    try:
        import jinja2
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise OptionalDependencyError(
            "Letters need the package jinja2: pip install 'skcfq[report]'."
        ) from error
    source, found = _source(template, format)
    environment = ImmutableSandboxedEnvironment(
        autoescape=found == "html", undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    try:
        made = environment.from_string(source)
    except jinja2.TemplateError as error:
        raise _of_template(error) from error

    def render(words: dict[str, Any]) -> str:
        try:
            return made.render(words).strip("\n") + "\n"
        except (jinja2.TemplateError, TypeError, ArithmeticError, LookupError) as error:
            raise _of_template(error) from error

    return render


def _of_template(error: Exception) -> ValueError:
    line = getattr(error, "lineno", None)
    where = "" if line is None else f" (line {line})"
    return ValueError(f"template{where}: {error}. See the guide for what a letter's template has.")


def _source(template: Any, format: Any) -> tuple[str, str]:
    """Return the text of a template, and the format of what it makes."""
    if template is None:
        made = format or "text"
        name = "letter.html" if made == "html" else "letter.txt"
        folder = files("skcfq.results").joinpath("templates")
        return folder.joinpath(name).read_text(encoding="utf-8"), made
    if not isinstance(template, (str, os.PathLike)):
        raise ValueError(
            f"template is of type {type(template).__name__}: give the path of a jinja2 template, "
            "its text, or None."
        )
    if isinstance(template, str) and ("{" in template or "\n" in template):
        return template, format or "text"
    path = Path(template)
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise ValueError(
            f"template={str(template)!r} cannot be read: {problem}. Give the path of a file in "
            "UTF-8, or the text of a template, which has braces."
        ) from error
    return source, format or _SUFFIXES.get(path.suffix.lower(), "text")
