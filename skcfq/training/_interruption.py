"""A fit that Ctrl-C cuts short: what is said, and where what it leaves is of no use."""

from __future__ import annotations

import sys
from types import FrameType

from skcfq.exceptions import InterruptedWarning
from skcfq.training._inner_models import fit_model
from skcfq.utils import warn_user

# Where joblib calls the jobs that it was given.
_JOBS = ("joblib.parallel", "joblib._dask")


def tell_interruption(name: str, where: str) -> None:
    """Warn that a fit ended early, with a network that can be used.

    Parameters
    ----------
    name : str
        Of what is fitted.
    where : str

    Raises
    ------
    KeyboardInterrupt
        The fit is one of several jobs (a search, an ensemble), or that of a model inside another:
        these would go on with a network that is not what was asked for.

    Warns
    -----
    InterruptedWarning
    """
    if _is_part_of_larger_work():
        raise KeyboardInterrupt
    warn_user(
        f"Training of {name}: interrupted {where}. The network is as it was then and can be used; "
        "its `interrupted_` is True. Fit with warm_start=True to go on from it.",
        InterruptedWarning,
    )


def _is_part_of_larger_work() -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is fit_model.__code__ or frame.f_globals.get("__name__") in _JOBS:
            return True
        frame = frame.f_back
    return False
