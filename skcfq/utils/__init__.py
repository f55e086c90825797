"""Validation, and the guard around private names of scikit-learn."""

from skcfq.utils._validation import validate_table

__all__ = ["validate_table"]
