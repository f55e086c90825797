"""Methods that search: what they find is verified, what they do not find proves nothing.

For developers: what other rooms take from this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.solvers.search._methods import BLACK_BOX, BOTH_WAYS, GRADIENT, PGD
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.solvers.search._pgd import projected_steps
    from skcfq.solvers.search._stabilize import stabilize

__all__ = ["BLACK_BOX", "BOTH_WAYS", "GRADIENT", "PGD", "projected_steps", "stabilize"]

__getattr__ = lazy_attributes(__name__, {"projected_steps": "_pgd", "stabilize": "_stabilize"})


def __dir__() -> list[str]:
    return sorted(__all__)
