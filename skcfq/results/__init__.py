"""What a solver found, about whom it says what, and how that is read and written.

For developers; users take :class:`skcfq.RecourseResult`.
"""

from skcfq.results._result import RecourseResult

__all__ = ["RecourseResult"]
