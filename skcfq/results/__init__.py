"""What a solver found, about whom it says what, and how that is read and written.

For developers; users take :class:`skcfq.RecourseResult` and :class:`skcfq.RecourseMenu`.
"""

from skcfq.results._gaps import mean_gap
from skcfq.results._menu import RecourseMenu
from skcfq.results._result import RecourseResult

__all__ = ["RecourseMenu", "RecourseResult", "mean_gap"]
