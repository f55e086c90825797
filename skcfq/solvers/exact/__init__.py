"""Methods that prove what they say.

For developers: what other rooms take from this one.
"""

from skcfq.solvers.exact._methods import EXACT, LP, MILP, QP

__all__ = ["EXACT", "LP", "MILP", "QP"]
