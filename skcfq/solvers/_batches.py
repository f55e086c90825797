"""Send people through a method, batch by batch, and keep what is finished whatever happens."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from skcfq.solvers._chunk import solve_chunk
from skcfq.solvers._dask import active_cluster, answers_of_cluster
from skcfq.utils import HeldInterrupts, interrupts_heard, take_rows

if TYPE_CHECKING:
    from skcfq.solvers._collection import Collection
    from skcfq.solvers.problems import Effort, Method, Solution, Task


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
    rows : list of ndarray of int
        Positions of the people of each batch.
    seed : int
        Of everybody's random starts.
    """

    method: Method
    effort: Effort
    task: Task
    starts: list[Any]
    rows: list[np.ndarray]
    seed: int

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
                    for position, parts in answers:
                        for rank, part in zip(ranks, parts, strict=True):
                            rank.write(self.rows[position], part)
                        if held.came or any(part.interrupted for part in parts):
                            return KeyboardInterrupt()
                        bar.update(len(self.rows[position]))
            except (KeyboardInterrupt, Exception) as stop:
                return stop
        return KeyboardInterrupt() if held.pressed else None

    def _answers(self, n_jobs: int | None) -> Generator[tuple[int, list[Solution]], None, None]:
        """Solve one batch after the other, or share them out; a single one is not worth it."""
        if len(self.rows) <= 1 or effective_n_jobs(n_jobs) == 1:
            yield from (_numbered(self._given(position)) for position in range(len(self.rows)))
            return
        given = (self._given(position) for position in range(len(self.rows)))
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

    def _given(self, position: int) -> tuple:
        rows = self.rows[position]
        starts = [take_rows(start, rows) for start in self.starts]
        task = self.task.take(rows)
        return position, self.method, self.effort, task, self.seed, starts


def _numbered(given: tuple) -> tuple[int, list[Solution]]:
    position, *what = given
    return position, solve_chunk(*what)
