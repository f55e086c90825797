"""What is said where a rule names no column."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from skcfq.exceptions import ActionSetError

_SHOWN = 12


def unknown_column(rule: str, name: object, names: Sequence[Hashable], more: str = "") -> Exception:
    """Return the error of a rule that names no column.

    Parameters
    ----------
    rule : str
        Where the name stands.
    name : object
    names : sequence
        What could be named.
    more : str
        Further names, as an end of the sentence that lists them.
    """
    known = ", ".join(repr(one) for one in names[:_SHOWN])
    known += "" if len(names) <= _SHOWN else ", ..."
    return ActionSetError(
        f"{rule} names {name!r}, which is no column. Use one of the columns of X ({known}){more}."
        f"{_encoding_hint(name, names)}"
    )


def _encoding_hint(name: object, names: Sequence[Hashable]) -> str:
    """Return what to do where a transformer has taken the names away, or altered them."""
    if not isinstance(name, str):
        return ""
    made = [
        one
        for one in names
        if isinstance(one, str) and name in one and ("__" in one or one.startswith(f"{name}_"))
    ]
    if made:
        seen = f"{made[0]!r} looks like what a transformer has made of it"
    elif names and not any(isinstance(one, str) for one in names):
        seen = "X has no column names, as behind a transformer"
    else:
        return ""
    return (
        f" {seen}: where a pipeline has encoded the columns before, take the transformer out of it "
        "and give it to the classifier as `encoder=`, so that rules, costs and advice speak of the "
        "raw columns."
    )
