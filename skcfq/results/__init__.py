"""What a solver found, about whom it says what, and how that is read and written.

For developers; users take :class:`skcfq.RecourseResult`.
"""

from skcfq.results._gaps import mean_gap
from skcfq.results._result import RecourseResult

__all__ = ["RecourseResult", "mean_gap"]
