"""Methods that search: what they find is verified, what they do not find proves nothing.

For developers: what other rooms take from this one.
"""

from skcfq.solvers.search._black_box import BLACK_BOX
from skcfq.solvers.search._multistart import GRADIENT
from skcfq.solvers.search._pgd import PGD, projected_steps
from skcfq.solvers.search._stabilize import stabilize

__all__ = ["BLACK_BOX", "GRADIENT", "PGD", "projected_steps", "stabilize"]
