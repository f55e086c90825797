"""Processes beside this one, which wait for the next call."""

from __future__ import annotations

import os
import threading
import time
import uuid
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np
from joblib.externals.loky import ProcessPoolExecutor

from skcfq.solvers._worker import begin, solve_part

if TYPE_CHECKING:
    from skcfq.solvers._worker import Part

# Seconds without work after which a process ends, and a little less.
_IDLE, _SURELY_ALIVE = 300, 240
# Small products on several threads are slower than on one, and the other cores have work too.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Processes:
    """Workers that solve parts of one task.

    They are told once what is the same for all people. joblib's own pool would have one process
    more, since this one works too.

    Parameters
    ----------
    n : int
        How many work at once.
    told : bytes
        What is the same for all people.
    """

    def __init__(self, n: int, told: bytes) -> None:
        self.n = n
        self._told, self._key = told, uuid.uuid4().hex
        self._pool = Pool.for_(n)
        self._first, self._lock = n, threading.Lock()

    def submit(self, rows: np.ndarray, part: Part) -> Future:
        """Return what a worker will say about some people."""
        with self._lock:
            first, self._first = self._first > 0, self._first - 1
        answer: Future = Future()
        self._ask(answer, rows, part, tell=first)
        return answer

    def _ask(self, answer: Future, rows: np.ndarray, part: Part, *, tell: bool) -> None:
        told = self._told if tell else None
        asked = self._pool.executor.submit(solve_part, self._key, told, rows, part)

        def came(asked: Future) -> None:
            error = asked.exception()
            try:
                if error is not None:
                    answer.set_exception(error)
                elif asked.result() is None:
                    self._ask(answer, rows, part, tell=True)
                else:
                    self._pool.used = time.monotonic()
                    answer.set_result(asked.result())
            except BaseException as late:  # the pool has ended
                answer.set_exception(late)

        asked.add_done_callback(came)

    def close(self, *, stop: bool) -> None:
        """Leave the processes to the next call, or end them with all that they have in hand."""
        if stop:
            self._pool.end()


class Pool:
    """Processes of loky, and when one of them has answered."""

    last: Pool | None = None
    lock = threading.Lock()

    def __init__(self, n: int) -> None:
        self.n, self.parent, self.used = n, os.getpid(), -np.inf
        self.executor = ProcessPoolExecutor(n, timeout=_IDLE, initializer=begin, env=_ONE_THREAD)

    @classmethod
    def for_(cls, n: int) -> Pool:
        """Return the pool that is there, or a larger one."""
        with cls.lock:
            last = cls.last
            if last is not None and last.parent == os.getpid():
                if last.n >= n:
                    return last
                last.executor.shutdown(wait=False)
            cls.last = cls(n)
            return cls.last

    def end(self) -> None:
        with Pool.lock:
            if Pool.last is self:
                Pool.last = None
        self.executor.shutdown(wait=False, kill_workers=True)


def started_processes() -> int:
    """Return how many have started: another call has had answers from one of them, lately."""
    with Pool.lock:
        last = Pool.last
        if last is None or last.parent != os.getpid():
            return 0
        return last.n if time.monotonic() - last.used < _SURELY_ALIVE else 0
