"""What other processes are worth: seconds with `n_jobs=2`, or on Dask, beside those of one.

Each row is about refused people under one kind of model, in batches of the method's own or of 64.
`cold` is a call that has to start its workers, `warm` the best of some later ones. Seconds are
those of the clock, on cores that should be free: the load of the machine is printed before. `both
x` is the processor time of both processes over that of one alone; at best, two are 2 / `both x`
times as fast as one. The answers are compared to the last bit.

    python examples/benchmarks/workers.py --only network trees --dask
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, RecourseSolver, TableEncoder, TeacherClassifier
from skcfq.datasets import make_credit
from skcfq.solvers._processes import Pool
from skcfq.solvers._worker import begin

BATCH_SIZE = 64
# Dask tells its workers to give memory back at once, and so to ask for it again all the time.
KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": 2**28, "MALLOC_MMAP_THRESHOLD_": 2**25}
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--people", type=int, help="refused people, at most")
    parser.add_argument("--dask", action="store_true", help="on a local cluster of two workers")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores\n")
    print("| model, people | batch_size | alone s | cold s | warm s | warm x | both x |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with ExitStack() as stack:
        client = None
        if given.dask:
            import dask
            from dask.distributed import Client, LocalCluster

            dask.config.set({"distributed.nanny.pre-spawn-environ": KEPT_MEMORY})
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
            client = stack.enter_context(Client(stack.enter_context(cluster)))
            stack.enter_context(joblib.parallel_config("dask"))
        for name in given.only:
            most, kind = KINDS[name]
            case = kind(given.people or most)
            for batch_size in (None, BATCH_SIZE):
                print_row(name, case, batch_size, client)


def print_row(name: str, case: Case, batch_size: int | None, client: Any) -> None:
    alone = [case.solve(n_jobs=1, batch_size=batch_size) for _ in range(ROUNDS)]
    if client is not None:
        client.restart()
    elif Pool.last is not None:
        Pool.last.end()
    two = [case.solve(n_jobs=2, batch_size=batch_size) for _ in range(1 + ROUNDS)]
    for run in two:
        assert run.result.status.tolist() == alone[0].result.status.tolist()
        np.testing.assert_array_equal(run.result.cost, alone[0].result.cost)
        pd.testing.assert_frame_equal(run.result.points, alone[0].result.points)
    one, cold = min(run.seconds for run in alone), two[0].seconds
    warm = min(run.seconds for run in two[1:])
    both = min(run.processor for run in two[1:]) / min(run.processor for run in alone)
    cells = [f"{name}, {len(case.people):,}", batch_size or "", f"{one:.2f}", f"{cold:.2f}"]
    cells += [f"{warm:.2f}", f"{one / warm:.2f}", "" if client else f"{both:.2f}"]
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def ratios() -> dict[str, float]:
    """Return the processor time of two processes over that of one; little work stays in one."""
    found, pool = {}, Pool.for_(1)
    # It counts as started, so that seconds are shared.
    pool.executor.submit(begin).result()
    pool.used = time.monotonic()
    for name, people in (("network", 600), ("logistic, rules", 2000)):
        case = KINDS[name][1](people)
        one, two = (min(case.solve(n_jobs=n).processor for _ in range(2)) for n in (1, 2))
        found[f"{name}, both processes / one"] = two / one
    return found


class Run(NamedTuple):
    """One call: what it says, its seconds, and those of the processors."""

    result: Any
    seconds: float
    processor: float


@dataclass
class Case:
    """Refused people under a model, and what they may do."""

    model: Any
    people: pd.DataFrame
    solver: RecourseSolver
    background: pd.DataFrame | None = None

    def solve(self, **parameters: Any) -> Run:
        """Solve, with some parameters of the solver."""
        self.solver.set_params(**parameters)
        before, begin = processor_seconds(), time.perf_counter()
        result = self.solver.solve(self.model, self.people, background=self.background)
        seconds = time.perf_counter() - begin
        return Run(result, seconds, processor_seconds() - before)


def processor_seconds() -> float:
    """Return those of this process and of the one that waits beside it."""
    own = time.process_time()
    if Pool.last is None:
        return own
    return own + Pool.last.executor.submit(time.process_time).result()


def credit(fit: Callable[[Any, Any], Any], people: int, **parameters: Any) -> Case:
    table = make_credit(10 * people, random_state=0)
    model = fit(*(part.iloc[:3000] for part in (table.data, table.target)))
    refused = table.data[model.predict(table.data) != table.favorable].head(people)
    given = {"target": table.favorable, "random_state": 0} | parameters
    return Case(model, refused, RecourseSolver(table.action_set, **given))


def behind_encoder(model: Any) -> Callable[[Any, Any], Any]:
    return make_pipeline(TableEncoder(), model).fit


def plain(people: int) -> Case:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(2 * people + 1000, 8))).rename(columns="x{}".format)
    model = LogisticRegression().fit(X.head(1000), X["x0"].head(1000) > X["x1"].head(1000))
    refused = X[~model.predict(X)].head(people)
    return Case(model, refused, RecourseSolver(ActionSet(), target=True), X.head(1000))


# How many people, and a function of their number.
KINDS: dict[str, tuple[int, Callable[[int], Case]]] = {
    "network": (2000, partial(credit, TeacherClassifier(max_iter=30, random_state=0).fit)),
    "few under a network": (
        100,
        partial(credit, TeacherClassifier(max_iter=30, random_state=0).fit),
    ),
    "plain numbers": (200_000, plain),
    "logistic, rules": (2000, partial(credit, behind_encoder(LogisticRegression(max_iter=1000)))),
    "boosted trees": (
        1000,
        partial(credit, behind_encoder(HistGradientBoostingClassifier(random_state=0))),
    ),
    "neighbors, black box": (200, partial(credit, behind_encoder(KNeighborsClassifier()))),
}


if __name__ == "__main__":
    main()
