"""Send people through a method, batch by batch, and keep what is finished whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Generator
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed

from skcfq.solvers._chunk import solve_chunk
from skcfq.utils import HeldInterrupts, take_rows

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
            Why not everybody was finished: Ctrl-C, or the death of a worker.
        """
        try:
            with closing(self._answers(n_jobs)) as answers:
                for position, parts in answers:
                    rows = self.rows[position]
                    with HeldInterrupts() as held:
                        for rank, part in zip(ranks, parts, strict=True):
                            rank.write(rows, part)
                    if held.pressed or any(part.interrupted for part in parts):
                        return KeyboardInterrupt()
                    bar.update(len(rows))
        except KeyboardInterrupt as stop:
            return stop
        except Exception as error:
            if not _is_death(error):
                raise
            return error
        return None

    def _answers(self, n_jobs: int | None) -> Generator[tuple[int, list[Solution]], None, None]:
        """Solve one batch after the other, or share them out; a single one is not worth it."""
        if len(self.rows) <= 1:
            yield from (_numbered(*self._given(position)) for position in range(len(self.rows)))
            return
        jobs = (delayed(_numbered)(*self._given(k)) for k in range(len(self.rows)))
        # As they are finished: a slow batch holds no finished one back.
        yield from Parallel(n_jobs=n_jobs, return_as="generator_unordered")(jobs)

    def _given(self, position: int) -> tuple:
        rows = self.rows[position]
        starts = [take_rows(start, rows) for start in self.starts]
        task = self.task.take(rows)
        return position, self.method, self.effort, task, self.seed, starts


def _numbered(position: int, *given: Any) -> tuple[int, list[Solution]]:
    return position, solve_chunk(*given)


def _is_death(error: Exception) -> bool:
    """Tell whether an error says that a worker process is no more."""
    if isinstance(error, BrokenExecutor):
        return True
    # Not imported here: only who has started a cluster has it.
    scheduler = sys.modules.get("distributed.scheduler")
    return scheduler is not None and isinstance(error, scheduler.KilledWorker)
