"""Send people through a method, batch by batch, and keep what is finished whatever happens."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skcfq.solvers._chunk import solve_chunk
from skcfq.solvers._dask import active_cluster, answers_of_cluster
from skcfq.utils import HeldInterrupts, interrupts_heard, take_rows

if TYPE_CHECKING:
    from skcfq.solvers._collection import Collection
    from skcfq.solvers.problems import Effort, Method, Solution, Task

# Positions of some people, and what is known about them, the cheapest actions first.
_Answer: TypeAlias = "tuple[np.ndarray, list[Solution]]"
# People of the first batch that is timed, how many times as many the next has, and seconds that
# tell how long others take.
_FIRST, _FASTER, _TELLING = 16, 8, 0.1
# Seconds of work that other processes are worth, and batches that each of them gets.
_WORTH, _EACH = 4.0, 4


@dataclass(frozen=True, eq=False)
class Batches:
    """What is asked about the people of a task, batch by batch.

    Attributes
    ----------
    method : Method
    effort : Effort
    task : Task
    starts : list of DataFrame or ndarray
        Raw points of all rows to start from too.
    people : ndarray of int
        Positions of the people.
    size : int
        People of a batch, at most.
    seed : int
        Of everybody's random starts.
    free : bool
        Whether batches may be smaller, where that shares work out better.
    """

    method: Method
    effort: Effort
    task: Task
    starts: list[Any]
    people: np.ndarray
    size: int
    seed: int
    free: bool

    def solve_into(
        self, ranks: list[Collection], n_jobs: int | None, bar: Any
    ) -> BaseException | None:
        """Solve, and write down each batch as soon as it is finished.

        Parameters
        ----------
        ranks : list of n_alternatives Collection
        n_jobs : int or None
        bar : progress bar

        Returns
        -------
        stopped : BaseException or None
            Why not everybody was finished: Ctrl-C, the death of a worker, or what a model raised.
        """
        with HeldInterrupts() as held:
            try:
                with closing(self._answers(n_jobs)) as answers:
                    for rows, parts in answers:
                        for rank, part in zip(ranks, parts, strict=True):
                            rank.write(rows, part)
                        if held.came or any(part.interrupted for part in parts):
                            return KeyboardInterrupt()
                        bar.update(len(rows))
            except (KeyboardInterrupt, Exception) as stop:
                return stop
        return KeyboardInterrupt() if held.pressed else None

    def _answers(self, n_jobs: int | None) -> Generator[_Answer, None, None]:
        """Solve one batch after the other, or share them out where that is worth it."""
        jobs = effective_n_jobs(n_jobs)
        if jobs == 1 or (len(self.people) <= self.size and not self.free):
            yield from self._alone(self.people)
        elif not self.free:
            yield from self._shared(_cut(self.people, self.size), n_jobs)
        else:
            yield from self._shared_if_worth_it(jobs, n_jobs)

    def _shared_if_worth_it(self, jobs: int, n_jobs: int | None) -> Generator[_Answer, None, None]:
        """Solve ever larger batches here until they tell how long the others will take."""
        left, size, seconds, each = self.people, _FIRST, 0.0, 0.0
        while len(left) and seconds < _TELLING:
            now, left = left[:size], left[size:]
            began = time.perf_counter()
            answer = _numbered(self._given(now))
            # The first batch has imports in it, which say nothing about the others.
            seconds = time.perf_counter() - began if len(left) + len(now) < len(self.people) else 0
            yield answer
            each, size = seconds / len(now), min(_FASTER * size, self.size)
        if len(left) == 0:
            return
        if each * len(left) < _WORTH:
            yield from self._alone(left)
            return
        yield from self._shared(_cut(left, min(-(-len(left) // (_EACH * jobs)), self.size)), n_jobs)

    def _alone(self, people: np.ndarray) -> Generator[_Answer, None, None]:
        for rows in _cut(people, self.size):
            yield _numbered(self._given(rows))

    def _shared(
        self, batches: list[np.ndarray], n_jobs: int | None
    ) -> Generator[_Answer, None, None]:
        given = (self._given(rows) for rows in batches)
        cluster = active_cluster()
        # As they are finished: a slow batch holds no finished one back.
        if cluster is not None:
            answers = answers_of_cluster(cluster, _numbered, given)
        else:
            jobs = (delayed(_numbered)(one) for one in given)
            answers = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)
        with closing(answers):
            while True:
                with interrupts_heard():
                    answer = next(answers, None)
                if answer is None:
                    return
                yield answer

    def _given(self, rows: np.ndarray) -> tuple:
        starts = [take_rows(start, rows) for start in self.starts]
        return rows, self.method, self.effort, self.task.take(rows), self.seed, starts


def _cut(people: np.ndarray, size: int) -> list[np.ndarray]:
    return [people[first : first + size] for first in range(0, len(people), size)]


def _numbered(given: tuple) -> _Answer:
    rows, *what = given
    return rows, solve_chunk(*what)
