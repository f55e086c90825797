"""Methods that prove what they say.

For developers: what other rooms take from this one.
"""

from skcfq.solvers.exact._linear import EXACT
from skcfq.solvers.exact._programs import LP, MILP, QP

__all__ = ["EXACT", "LP", "MILP", "QP"]
