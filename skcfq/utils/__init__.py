"""Validation, and the guard around private names of scikit-learn."""

from skcfq.utils._rows import as_slice, take_rows
from skcfq.utils._validation import validate_table

__all__ = ["as_slice", "take_rows", "validate_table"]
