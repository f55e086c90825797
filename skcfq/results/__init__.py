"""What a solver found, about whom it says what, and how that is read and written."""

from skcfq.results._result import STATUSES, RecourseResult

__all__ = [
    "RecourseResult",
    "STATUSES",
]
