"""What a solver found, about whom it says what, and how that is read and written.

:class:`IssuedAdvice` is for users, who take results from :mod:`skcfq`; the rest is for developers.
"""

from skcfq.results._gaps import mean_gap
from skcfq.results._issued import IssuedAdvice
from skcfq.results._menu import RecourseMenu
from skcfq.results._result import RecourseResult

__all__ = ["IssuedAdvice", "RecourseMenu", "RecourseResult", "mean_gap"]
