"""The programs that were compiled last: one more person of the same shape compiles nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from skcfq.solvers.exact._program_data import ProgramShape

# Programs that are kept, the one that was used last at the end.
_MOST = 4
_kept: dict[bytes, Any] = {}
_lock = threading.Lock()


def taken_program(shape: ProgramShape, compiled: Callable[[ProgramShape], Any]) -> Any:
    """Return the kept program of a shape, or a new one; nobody else gets it before it is put back.

    Parameters
    ----------
    shape : ProgramShape
    compiled : callable
        Makes a program of a shape.
    """
    with _lock:
        program = _kept.pop(shape.content, None)
    if program is not None:
        return program
    # cvxpy learns the shape of a sum from numbers that nobody has set, which may be anything.
    with np.errstate(all="ignore"):
        return compiled(shape)


def put_back(shape: ProgramShape, program: Any) -> None:
    """Keep a program, all of whose parameters are set anew for the next person."""
    with _lock:
        _kept[shape.content] = program
        while len(_kept) > _MOST:
            del _kept[next(iter(_kept))]
