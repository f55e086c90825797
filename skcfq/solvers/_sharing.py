"""Several solve people at once, this process among them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from skcfq.utils import interrupts_heard

if TYPE_CHECKING:
    from skcfq.solvers._worker import Answer, Part

# A batch has this part of the people who are left for each who works: the last ones are small.
_SHARES = 2


class Workers(Protocol):
    """Who solves parts of a task elsewhere.

    Attributes
    ----------
    n : int
        How many parts they work on at once.
    """

    n: int

    def submit(self, rows: np.ndarray, part: Part) -> Any:
        """Return a future of the answer about some people."""

    def close(self, *, stop: bool) -> None:
        """End; with `stop`, at once."""


class Line:
    """People who wait to be solved.

    Parameters
    ----------
    people : ndarray of int
        Their positions.
    size : int
        People of a batch, at most.
    """

    def __init__(self, people: np.ndarray, size: int) -> None:
        self._people, self._size = people, size
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._people)

    def take(self, most: int | None = None) -> np.ndarray:
        """Return the next people: a full batch, or fewer."""
        with self._lock:
            return self._cut(self._size if most is None else min(most, self._size))

    def take_share(self, n: int, least: int) -> np.ndarray:
        """Return a batch for one of n who work, of not much fewer than some least number."""
        with self._lock:
            size = max(-(-len(self._people) // (_SHARES * n)), least)
            if len(self._people) < size + least // 2:
                size = len(self._people)
            return self._cut(min(size, self._size))

    def take_batches(self, n: int, wanted: int) -> np.ndarray:
        """Return one full batch or some, of not much more than a share for each of n who work."""
        with self._lock:
            share = len(self._people) // (_SHARES * n * self._size)
            return self._cut(self._size * max(min(wanted, share), 1))

    def _cut(self, size: int) -> np.ndarray:
        now, self._people = self._people[:size], self._people[size:]
        return now


class Sharing:
    """Parts of a task that workers have in hand.

    Each worker gets the next part as soon as it has answered, whatever this process does.

    Parameters
    ----------
    workers : Workers
    next_rows : callable
        Returns positions of the next people for a worker, none where all are taken.
    part_of : callable
        Returns the part of the task that is about some people.
    """

    def __init__(
        self,
        workers: Workers,
        next_rows: Callable[[], np.ndarray],
        part_of: Callable[[np.ndarray], Part],
    ) -> None:
        self._workers, self._next_rows, self._part_of = workers, next_rows, part_of
        self._came: deque[tuple[np.ndarray, Any]] = deque()
        self._some, self._lock = threading.Event(), threading.Lock()
        self._closed = False
        # Who is in hand, by the first position.
        self.in_hand: dict[int, np.ndarray] = {}
        # Whether a worker has answered, so that the others are not far.
        self.has_begun = False

    def __enter__(self) -> Sharing:
        for _ in range(self._workers.n):
            self._send()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closed = True
        self._workers.close(stop=kind is not None)

    def _send(self) -> None:
        with self._lock:
            if self._closed:
                return
            rows = self._next_rows()
            if len(rows) == 0:
                return
            self.in_hand[int(rows[0])] = rows
        try:
            asked = self._workers.submit(rows, self._part_of(rows))
            asked.add_done_callback(partial(self._note, rows))
        except Exception as error:
            self._tell(rows, error)

    def _note(self, rows: np.ndarray, asked: Any) -> None:
        # In a thread of the workers'.
        try:
            answer = asked.result()
        except BaseException as error:
            answer = error
        else:
            self.has_begun = True
            self._send()
        self._tell(rows, answer)

    def _tell(self, rows: np.ndarray, answer: Any) -> None:
        self._came.append((rows, answer))
        self._some.set()

    def answers(self) -> Iterator[Answer]:
        """Yield what has come; what a worker has raised is raised last.

        Raises
        ------
        Exception
        """
        self._some.clear()
        raised = None
        while self._came:
            rows, answer = self._came.popleft()
            if self.in_hand.pop(int(rows[0]), None) is None:
                continue
            if isinstance(answer, BaseException):
                raised = raised or answer
            else:
                yield answer
        if raised is not None:
            raise raised

    def wait(self) -> None:
        """Wait until something has come; Ctrl-C is heard.

        Raises
        ------
        KeyboardInterrupt
        """
        with interrupts_heard():
            while not self._some.wait(1.0):
                pass
