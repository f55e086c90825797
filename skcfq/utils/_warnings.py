"""Warnings that point at the line of the user, however deep the library notices something."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from types import FrameType

_PACKAGE = str(Path(__file__).parents[1]) + os.sep
# Libraries that call us on behalf of a user: their lines say nothing to anybody.
_BETWEEN = ("sklearn", "joblib", "skorch", "imblearn", "torch")


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the innermost line outside of this library and of those that call it.

    Parameters
    ----------
    message : str
    category : type of Warning

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn_user("Nobody was refused.", UserWarning)
    >>> str(caught[0].message)
    'Nobody was refused.'
    """
    level = 2
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_of_a_library(frame):
        frame, level = frame.f_back, level + 1
    # In a worker there may be no line of a user at all.
    warnings.warn(message, category, stacklevel=2 if frame is None else level)


def _is_of_a_library(frame: FrameType) -> bool:
    if frame.f_code.co_filename.startswith(_PACKAGE):
        return True
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _BETWEEN
