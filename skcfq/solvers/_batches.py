"""Send people through a method, batch by batch, and keep what is finished whatever happens."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skcfq.solvers._chunk import solve_chunk
from skcfq.solvers._dask import ClusterWorkers, active_cluster
from skcfq.solvers._pace import Pace
from skcfq.solvers._processes import Processes, started_processes
from skcfq.solvers._sharing import Line, Sharing
from skcfq.solvers._worker import packed, solve_part
from skcfq.utils import HeldInterrupts, interrupts_heard, take_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from skcfq.solvers._collection import Collection
    from skcfq.solvers._sharing import Workers
    from skcfq.solvers._worker import Answer, Part
    from skcfq.solvers.problems import Effort, Method, Task

    _Write: TypeAlias = Callable[[Answer], None]

# Seconds of work that are worth a start of processes, and those that are worth using them.
_WORTH_A_START, _WORTH_USING = 4.0, 1.0
# People whom a search that asks nothing but the model begins with, where there are many: it may
# take seconds for each. What it asks about few is hardly less than about all of them.
_FIRST, _MANY = 64, 256
# The least part of a batch that has most of its speed, where people are shared out.
_PART = 4
# Seconds of work that are worth sending to a worker: some small batches go together.
_WORTH_SENDING, _INSTANT = 0.2, 1e-6
# Batches that each worker of another backend of joblib gets.
_EACH = 4


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

            def write(answer: Answer) -> None:
                rows, parts = answer
                for rank, part in zip(ranks, parts, strict=True):
                    rank.write(rows, part)
                if held.came or any(part.interrupted for part in parts):
                    raise KeyboardInterrupt
                bar.update(len(rows))

            try:
                self._solve(write, n_jobs)
            except (KeyboardInterrupt, Exception) as stop:
                return stop
        return KeyboardInterrupt() if held.pressed else None

    def _solve(self, write: _Write, n_jobs: int | None) -> None:
        """Solve one batch after the other, and share them out once that is known to be worth it."""
        line, jobs = Line(self.people, self.size), effective_n_jobs(n_jobs)
        pace = Pace(self.method, self.task.predictor, self._least)
        while len(line):
            known = pace.seconds is not None
            may_share = jobs > 1 and known and len(line) > self._together
            if may_share and self._share(line, pace, jobs, write, n_jobs):
                return
            rows = line.take(None if known or jobs == 1 else self._first(len(line)))
            with pace.timed(len(rows)):
                answer = self._solved(rows)
            write(answer)

    def _first(self, n: int) -> int:
        """Return how many people are solved at first; not fewer than alone, if that costs time."""
        return _FIRST if n > self._together > 0 and self.free else self.size

    @property
    def _together(self) -> int:
        """People who are not worth sharing out, however long they take."""
        if not self.free:
            return self.size
        return 0 if self.method.gradients else _MANY

    @property
    def _least(self) -> int:
        """The least batch."""
        if not self.free:
            return self.size
        return max((self.size if self.method.gradients else _FIRST) // _PART, 1)

    def _share(self, line: Line, pace: Pace, jobs: int, write: _Write, n_jobs: int | None) -> bool:
        """Solve everybody with the help of workers, and return True, if that is worth it."""
        assert pace.seconds is not None
        work, cluster = len(line) * pace.seconds, active_cluster()
        is_local = type(get_active_backend()[0]).__name__ == "LokyBackend"
        there = min(started_processes(), jobs - 1) if is_local and work >= _WORTH_USING else 0
        if not there and work < _WORTH_A_START:
            return False
        told = packed(self.method, self.effort, self.task, self.seed, self.size)
        if cluster is not None:
            with cluster.retrieval_context():
                self._share_among(ClusterWorkers(cluster, jobs, told), line, pace.seconds, write)
        elif is_local:
            # A start is worth some seconds of work for each.
            wanted = min(int(2 * work / _WORTH_A_START), jobs - 1)
            workers = Processes(max(there, wanted), told)
            self._share_among(workers, line, pace.seconds, write, started=there >= wanted)
        else:
            self._share_through_joblib(line, told, jobs, write, n_jobs)
        return True

    def _share_among(
        self,
        workers: Workers,
        line: Line,
        seconds: float,
        write: _Write,
        *,
        started: bool = False,
    ) -> None:
        """Solve here too, whatever workers do: while they start, and where they are slow."""
        together = int(_WORTH_SENDING / max(self.size * seconds, _INSTANT))

        def share() -> np.ndarray:
            return line.take_share(workers.n + 1, self._least) if self.free else line.take()

        def share_of_worker() -> np.ndarray:
            if not self.free:
                return line.take_batches(workers.n + 1, together)
            # Little is lost should it not start.
            small = not started and not sharing.has_begun
            return line.take(self._least) if small else share()

        sharing = Sharing(workers, share_of_worker, self._part)
        try:
            with sharing:
                while len(line) or sharing.in_hand:
                    rows = share()
                    if len(rows) == 0 and not started and not sharing.has_begun:
                        # Nobody has started yet: who was sent is solved here, and faster.
                        rows = sharing.in_hand.pop(next(iter(sharing.in_hand)))
                    if len(rows):
                        write(self._solved(rows))
                    else:
                        sharing.wait()
                    for answer in sharing.answers():
                        write(answer)
        finally:
            # Whoever is finished is kept, whatever has ended the work.
            with suppress(Exception, KeyboardInterrupt):
                for answer in sharing.answers():
                    with suppress(KeyboardInterrupt):
                        write(answer)

    def _share_through_joblib(
        self, line: Line, told: bytes, jobs: int, write: _Write, n_jobs: int | None
    ) -> None:
        size = min(-(-len(line) // (_EACH * jobs)), self.size) if self.free else self.size
        batches = (line.take(size) for _ in range(-(-len(line) // size)))
        key, solve = uuid.uuid4().hex, delayed(solve_part)
        given = (solve(key, told, rows, self._part(rows)) for rows in batches)
        # As they are finished, where the backend can: a slow batch holds no finished one back.
        as_finished = get_active_backend()[0].supports_return_generator
        kind = "generator_unordered" if as_finished else "list"
        with interrupts_heard():
            answers = iter(Parallel(n_jobs=n_jobs, return_as=kind)(given))
        while True:
            with interrupts_heard():
                answer = next(answers, None)
            if answer is None:
                return
            write(answer)

    def _solved(self, rows: np.ndarray) -> Answer:
        of_people, starts = self._part(rows)
        task = replace(self.task, **of_people)
        return rows, solve_chunk(self.method, self.effort, task, self.seed, starts, self.size)

    def _part(self, rows: np.ndarray) -> Part:
        starts = [take_rows(start, rows) for start in self.starts]
        return self.task.of_people(rows), starts
