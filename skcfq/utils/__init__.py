"""Validation, and the guard around private names of scikit-learn."""

from skcfq.utils._rows import take_rows
from skcfq.utils._validation import validate_table

__all__ = ["take_rows", "validate_table"]
