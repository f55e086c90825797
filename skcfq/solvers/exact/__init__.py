"""Methods that prove what they say; cvxpy is loaded when a convex program is solved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.solvers.exact._linear import solve_direct
from skcfq.solvers.exact._plain_tables import PLAIN_BATCH, is_plain, solve_plain
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.solvers.exact._convex import solve_convex

__all__ = [
    "PLAIN_BATCH",
    "is_plain",
    "solve_convex",
    "solve_direct",
    "solve_plain",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "solve_convex": "_convex",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
