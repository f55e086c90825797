"""Methods that prove what they say.

For developers: what other rooms take from this one.
"""

from skcfq.solvers.exact._methods import EXACT, EXACT_ON_NETWORKS, EXACT_ON_TREES, LP, MILP, QP

__all__ = ["EXACT", "EXACT_ON_NETWORKS", "EXACT_ON_TREES", "LP", "MILP", "QP"]
