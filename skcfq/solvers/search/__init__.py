"""Methods that search: what they find is verified, what they do not find proves nothing."""

from skcfq.solvers.search._black_box import black_box_search
from skcfq.solvers.search._multistart import multistart_search
from skcfq.solvers.search._pgd import projected_steps
from skcfq.solvers.search._stabilize import stabilize

__all__ = [
    "black_box_search",
    "projected_steps",
    "stabilize",
    "multistart_search",
]
