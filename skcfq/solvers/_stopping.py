"""What is said where work was stopped before everybody was finished."""

from __future__ import annotations

import sys
from concurrent.futures import BrokenExecutor, CancelledError
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


def with_results(error: Exception, *results: RecourseResult) -> Exception:
    """Return the error to raise where work has ended early: it hands over what is done.

    The death of a worker becomes a :class:`WorkerDiedError`. What a model raises stays what it is,
    for those who catch it, and gets the attribute ``results`` where anybody was finished.
    """
    if _is_death(error):
        died = WorkerDiedError(
            f"A worker process died before all people were finished: {_left(results[-1])} were "
            "not. Most often the memory was short: give fewer n_jobs or a smaller batch_size, or "
            "n_jobs=1 to see what the model itself says. Those who were finished are in the "
            "`results` of this error.",
            results,
        )
        died.__cause__ = error
        return died
    if any(np.any(result.denied & (result.status != "time_limit")) for result in results):
        if not hasattr(error, "results"):
            error.add_note(
                "Raised before all people were solved; those who were are in the `results` of "
                "this error."
            )
        error.results = results  # type: ignore[attr-defined]  # any error can hold it
    return error


def _is_death(error: Exception) -> bool:
    """Tell whether an error says that a worker process is no more."""
    # A cluster cancels what it cannot do any more: those have died who had what it needs.
    if isinstance(error, BrokenExecutor | CancelledError):
        return True
    # Not imported here: only who has started a cluster has it.
    scheduler = sys.modules.get("distributed.scheduler")
    return scheduler is not None and isinstance(error, scheduler.KilledWorker)


def _left(result: RecourseResult) -> str:
    left = int(np.sum(result.status == "time_limit"))
    return f"{left} of {int(result.denied.sum())}"
