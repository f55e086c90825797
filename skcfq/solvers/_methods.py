"""The methods that there are, and the one place that compares what they require with a task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.exceptions import UnsupportedModelError
from skcfq.solvers.exact import EXACT, LP, MILP, QP
from skcfq.solvers.search import BLACK_BOX, GRADIENT, PGD

if TYPE_CHECKING:
    from skcfq.solvers.problems import Method, Task

# In the order in which "auto" tries them: what proves, the fastest first, then what searches.
METHODS: dict[str, Method] = {
    method.name: method for method in (EXACT, LP, QP, MILP, GRADIENT, BLACK_BOX, PGD)
}


def named_method(method: str | Method) -> Method | None:
    """Return the method that a parameter names, or is; None for ``"auto"``."""
    if not isinstance(method, str):
        return method
    return None if method == "auto" else METHODS[method]


def choose_method(method: str | Method, task: Task) -> Method:
    """Return the method that is named, or the first one that applies.

    Parameters
    ----------
    method : str or Method
        ``"auto"``, a key of ``METHODS``, or a method of the user's own.
    task : Task

    Raises
    ------
    UnsupportedModelError
        With the reason, and another method that can.
    """
    named = named_method(method)
    reason = None
    automatic = (candidate for candidate in METHODS.values() if not candidate.literal)
    for candidate in automatic if named is None else [named]:
        candidate = candidate if named is None else candidate.suited_to(task)
        reason = candidate.why_not(task)
        if reason is None:
            return candidate
    name = "auto" if named is None else named.name
    raise UnsupportedModelError(f"method={name!r} does not apply: {reason}")
