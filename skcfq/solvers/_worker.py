"""What another process does: solve some people of a task that it was told once."""

from __future__ import annotations

import gc
import pickle
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from joblib.externals.loky.backend import reduction

from skcfq.solvers._chunk import solve_chunk

if TYPE_CHECKING:
    from skcfq.solvers.problems import Effort, Method, Solution, Task

# Positions of some people, and what is known about them, the cheapest actions first.
Answer: TypeAlias = "tuple[np.ndarray, list[Solution]]"
# What differs from person to person, and where to start from too.
Part: TypeAlias = "tuple[dict[str, Any], list[Any]]"
# Two models are compared in turn.
_KEPT = 2
# By thread: what is worked out on the way is written to models and rules.
_told = threading.local()


def begin() -> None:
    """Load what solving needs, and take it from the collector, which would read it every second."""
    import skcfq.solvers._people  # noqa: F401

    gc.freeze()


def packed(method: Method, effort: Effort, task: Task, seed: int, size: int) -> bytes:
    """Return what is the same for all people of a task."""
    nobody = task.take(np.arange(0))
    # As joblib does it: what was defined in a session travels with its code.
    return bytes(reduction.dumps((method, effort, nobody, seed, size)))


def solve_part(key: str, told: bytes | None, rows: np.ndarray, part: Part) -> Answer | None:
    """Solve some people.

    Parameters
    ----------
    key : str
        Of what is the same for all people.
    told : bytes or None
        That itself; None where this process should know it.
    rows : ndarray of int
        Positions of the people.
    part : tuple of dict and list

    Returns
    -------
    answer : tuple of ndarray and list of Solution, or None
        None where it does not know it.
    """
    known = _told.__dict__
    if key not in known:
        if told is None:
            return None
        known[key] = pickle.loads(told)
        for other in list(known)[:-_KEPT]:
            del known[other]
    method, effort, task, seed, size = known[key]
    of_people, starts = part
    return rows, solve_chunk(method, effort, replace(task, **of_people), seed, starts, size)
