"""The methods that there are, and the one place that compares what they require with a task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from skcfq.exceptions import UnsupportedModelError
from skcfq.solvers.exact import EXACT, EXACT_ON_NETWORKS, EXACT_ON_TREES, LP, MILP, QP
from skcfq.solvers.problems import few_continuous, rules_given
from skcfq.solvers.search import BLACK_BOX, BOTH_WAYS, GRADIENT, PGD

if TYPE_CHECKING:
    from skcfq.solvers.problems import Method, Task

METHODS: dict[str, Method] = {
    method.name: method for method in (EXACT, LP, QP, MILP, GRADIENT, BLACK_BOX, PGD)
}
# Proofs on networks where nobody asked for them: for rules that leave little of a continuum, and
# with a search for those whose proof takes too long.
_PROOF_OR_SEARCH = replace(
    EXACT_ON_NETWORKS,
    requires=(rules_given, few_continuous, *EXACT_ON_NETWORKS.requires),
    otherwise=BOTH_WAYS,
)
# The same on trees, where numbers without a grid have only so many values that differ.
_TREE_PROOF_OR_SEARCH = replace(
    EXACT_ON_TREES, requires=(rules_given, *EXACT_ON_TREES.requires), otherwise=BLACK_BOX
)
# In the order in which "auto" tries them: what proves, the fastest first, then what searches.
_AUTOMATIC = (
    EXACT,
    LP,
    QP,
    MILP,
    _PROOF_OR_SEARCH,
    _TREE_PROOF_OR_SEARCH,
    BOTH_WAYS,
    BLACK_BOX,
)


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
    for candidate in _AUTOMATIC if named is None else [named.suited_to(task)]:
        reason = candidate.why_not(task)
        if reason is None:
            return candidate
    name = "auto" if named is None else named.name
    raise UnsupportedModelError(f"method={name!r} does not apply: {reason}")
