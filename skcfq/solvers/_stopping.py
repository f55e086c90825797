"""What is said where work was stopped before everybody was finished."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from skcfq.exceptions import InterruptedWarning, WorkerDiedError
from skcfq.utils import warn_user

if TYPE_CHECKING:
    from skcfq.results import RecourseResult


def as_interrupted(result: RecourseResult) -> RecourseResult:
    """Return a result, and its alternatives, that say so."""
    others = tuple(replace(other, interrupted=True) for other in result.alternatives)
    return replace(result, alternatives=others, interrupted=True)


def tell_interruption(*results: RecourseResult, keep_partial: bool) -> None:
    """Warn where somebody has pressed Ctrl-C; raise where a part of the people is of no use.

    Raises
    ------
    KeyboardInterrupt

    Warns
    -----
    InterruptedWarning
    """
    if any(result.interrupted for result in results):
        if not keep_partial:
            raise KeyboardInterrupt
        left = " and ".join(_left(result) for result in results)
        warn_user(
            f"Interrupted: {left} people were not finished; they have the status 'time_limit', "
            "and the result says interrupted=True.",
            InterruptedWarning,
        )


def worker_died(result: RecourseResult) -> WorkerDiedError:
    """Return the error that hands over what is done."""
    return WorkerDiedError(
        f"A worker process died before all people were finished: {_left(result)} were not. Most "
        "often the memory was short: give fewer n_jobs or a smaller batch_size, or n_jobs=1 to see "
        "what the model itself says. Those who were finished are in the `results` of this error.",
        (result,),
    )


def _left(result: RecourseResult) -> str:
    left = int(np.sum(result.status == "time_limit"))
    return f"{left} of {int(result.denied.sum())}"
