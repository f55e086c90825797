"""Methods that prove what they say."""

from skcfq.solvers.exact._linear import EXACT
from skcfq.solvers.exact._programs import LP, MILP, QP

__all__ = ["EXACT", "LP", "MILP", "QP"]
