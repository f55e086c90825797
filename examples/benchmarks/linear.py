"""Exact recourse on linear models: speed of `method="exact"`, and how far searches stay from it.

Three tables, on one thread: a million refused people with 60 continuous features; Adult under its
own action set beside an integer program a person; and the cost of the heuristics over the proved
optimum, for the K-step recursion as a function of K (Appendix A.6). Real tables are read where
`SKCFQ_DATA` is set. `--write` puts the tables into docs/benchmarks/linear.md.

    python examples/benchmarks/linear.py --people 100000 --refused 2000 --compared 100
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from _clock import least_seconds, yardstick
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

import skcfq
from skcfq import RecourseResult, RecourseSolver, TableEncoder
from skcfq.datasets import fetch_adult, fetch_german_credit, make_credit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "linear.md"
N_FEATURES, BACKGROUND = 60, 20_000
# Generated rows end here, in standard deviations, and so do the observed bounds: tight enough that
# most optima change several features.
REACH = 1.5
# Of Eq. 6: the step size that the training uses, and a smaller one.
STEP_SIZES, N_STEPS = (0.5, 0.1), (1, 2, 3, 5, 10)
# A ratio up to here counts as the optimum: the tolerance of the verified margins.
SAME = 1 + 1e-6


class Case(NamedTuple):
    """A logistic regression on one table, and the rows that it refuses."""

    table: Any
    model: Any
    refused: Any

    def solve(self, rows: int, **settings: Any) -> tuple[RecourseResult, float]:
        """Return the answers for the first rows, and the processor time."""
        rules = settings.pop("action_set", self.table.action_set)
        solver = RecourseSolver(rules, target=self.table.favorable, random_state=0, **settings)
        people = self.refused.head(rows)
        start = time.process_time()
        result = solver.solve(self.model, people)
        return result, time.process_time() - start


def main() -> None:
    options = read_options()
    torch.set_num_threads(1)
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    with threadpool_limits(1):
        text = _PROTOCOL.format(command=_command(options), versions=_versions(), **vars(options))
        for heading, explanation, table in tables(options):
            print(f"\n{heading}\n\n{table}", flush=True)
            text += f"\n## {heading}\n\n{explanation}\n\n{table}\n"
    if options.write:
        text += _READING
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1_000_000, help="generated refused people")
    parser.add_argument("--refused", type=int, default=10_000, help="refused rows of Adult")
    parser.add_argument("--programs", type=int, default=20, help="people solved by method='milp'")
    parser.add_argument("--compared", type=int, default=500, help="rows a table for the gaps")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks/linear.md")
    return parser.parse_args()


def tables(options: argparse.Namespace):
    """Yield heading, explanation and table of each measurement."""
    yield "Continuous features, all people at once", _CONTINUOUS, continuous(options.people)
    cases = {"generated": case(make_credit(10_000, random_state=0))}
    if "SKCFQ_DATA" in os.environ:
        cases |= {"German": case(fetch_german_credit()), "Adult": case(fetch_adult())}
        mixed = adult(cases["Adult"], options.refused, options.programs)
        yield "Adult under its own action set", _ADULT, mixed
    explanation = _GAPS
    for name, one in cases.items():
        heading = f"Cost of searches over the optimum: {name}"
        yield heading, explanation, gaps(one, options.compared)
        explanation = "The same on another table."


def ratios() -> dict[str, float]:
    """Return the seconds of exact recourse over the yardstick: plain numbers, and rules."""
    found = {}
    for norm in ("l1", "l2"):
        model, background, X = draw(20_000)
        solve = partial(RecourseSolver(method="exact", cost=norm, target=True).solve, model, X)
        found[f"plain numbers, {norm}"] = least_seconds(partial(solve, background=background))
    one = case(make_credit(4000, random_state=0))
    found["rules of a table"] = least_seconds(partial(one.solve, 1000, method="exact"))
    return {f"{name} / yardstick": taken / yardstick() for name, taken in found.items()}


def continuous(n_people: int) -> str:
    """Solve generated people for both costs, each in a process of its own for its peak memory."""
    rows = []
    context = multiprocessing.get_context("spawn")
    for norm in ("l1", "l2"):
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            measured = pool.submit(solve_generated, n_people, norm).result()
        rows.append([norm, f"{n_people:,}", *measured])
    header = ["cost", "people", "wall s", "CPU s", "people/s", "peak memory", "optimal", "changes"]
    return as_table([*header, "rows alone"], rows)


def solve_generated(n_people: int, norm: str) -> list[str]:
    """Return wall and processor time, people a second, memory, share optimal and mean changes."""
    torch.set_num_threads(1)
    model, background, X = draw(n_people)
    solver = RecourseSolver(method="exact", cost=norm, target=True)
    wall, cpu = time.perf_counter(), time.process_time()
    result = solver.solve(model, X, background=background)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert result.denied.all()
    return [
        f"{wall:.2f}", f"{cpu:.2f}", f"{n_people / wall:,.0f}", f"{peak_memory():.2f} GB",
        f"{(result.status == 'optimal').mean():.1%}", f"{result.changed.sum(axis=1).mean():.1f}",
        f"{X.nbytes / 1e9:.2f} GB",
    ]  # fmt: skip


def draw(n_people: int) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a linear model, its background, and people whom it refuses."""
    rng = np.random.default_rng(0)
    background = np.clip(rng.standard_normal((BACKGROUND, N_FEATURES)), -REACH, REACH)
    score = background @ rng.standard_normal(N_FEATURES)
    y = score + rng.standard_normal(BACKGROUND) > np.quantile(score, 0.8)
    model = LogisticRegression().fit(background, y)
    X = rng.standard_normal((n_people, N_FEATURES))
    np.clip(X, -REACH, REACH, out=X)
    # The mirror image of a favored row is refused, because the intercept is negative.
    X[model.predict(X)] *= -1
    return model, background, X


def peak_memory() -> float:
    """Return the largest resident size of this process so far, in 1e9 bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def case(table: Any) -> Case:
    X, y = table.data.iloc[table.train_indices], table.target.iloc[table.train_indices]
    model = make_pipeline(TableEncoder(), LogisticRegression(max_iter=2000)).fit(X, y)
    return Case(table, model, table.data[model.predict(table.data) != table.favorable])


def adult(one: Case, n_refused: int, n_programs: int) -> str:
    """Compare `method="exact"` with an integer program a person on the same people."""
    rows = []
    one.solve(1, method="milp")  # imports cvxpy, off the clock
    for norm in ("l1", "l2"):
        for most in (one.table.action_set.max_changes, 2, None):
            rules = clone(one.table.action_set).set_params(max_changes=most)
            exact, seconds = one.solve(n_refused, method="exact", cost=norm, action_set=rules)
            program, slow_seconds = one.solve(
                n_programs, method="milp", cost=norm, action_set=rules
            )
            fast, slow = len(exact) / seconds, len(program) / slow_seconds
            same = np.fmax(np.abs(exact.cost[: len(program)] / program.cost - 1), 0)
            rows.append([
                norm, str(most), f"{len(exact):,}", f"{share_optimal(exact):.2%}",
                f"{fast:,.0f}", f"{len(program):,}", f"{share_optimal(program):.0%}", f"{slow:.3g}",
                f"{fast / slow:,.0f}", f"{np.nanmax(same):.0e}",
            ])  # fmt: skip
    header = ["cost", "max_changes", "exact: people", "proved", "people/s", "milp: people"]
    return as_table([*header, "proved", "people/s", "ratio", "largest difference of costs"], rows)


def share_optimal(result: RecourseResult) -> float:
    """Return the share of people whose answer is proved, that there is none included."""
    return float(np.isin(result.status, ("optimal", "infeasible")).mean())


def gaps(one: Case, n_people: int) -> str:
    """Tell how much dearer heuristics are than the optimum, and whom they miss."""
    best, seconds = one.solve(n_people, method="exact")
    rows = [gap_row("exact", best, best, seconds)]
    for method in ("gradient", "black_box"):
        for restarts in (0, 1, 4):
            settings = {"method": method, "n_restarts": restarts}
            found, seconds = one.solve(n_people, **settings)
            rows.append(gap_row(f"{method}, n_restarts={restarts}", best, found, seconds))
    for size in STEP_SIZES:
        for k in N_STEPS:
            settings = {"method": "pgd", "n_steps": k, "step_size": size}
            found, seconds = one.solve(n_people, **settings)
            rows.append(gap_row(f"pgd, K={k}, step_size={size}", best, found, seconds))
    header = ["method", "people", "found", "at the optimum", "mean", "median", "95 %", "people/s"]
    return as_table(header, rows)


def gap_row(name: str, best: RecourseResult, found: RecourseResult, seconds: float) -> list[str]:
    reachable = best.status == "optimal"
    both = reachable & found.valid
    numbers = ["–"] * 4
    if both.any():
        ratio = found.cost[both] / best.cost[both]
        summary = (ratio.mean(), np.median(ratio), np.quantile(ratio, 0.95))
        numbers = [f"{(ratio <= SAME).mean():.1%}", *(f"{value:.4f}" for value in summary)]
    share = both.sum() / reachable.sum()
    return [name, f"{reachable.sum():,}", f"{share:.1%}", *numbers, f"{len(best) / seconds:,.0f}"]


def as_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table that is aligned for a terminal too."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines = []
    for row in [header, rule, *rows]:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _command(options: argparse.Namespace) -> str:
    numbers = " ".join(
        f"--{name} {value}" for name, value in vars(options).items() if name != "write"
    )
    return f"python examples/benchmarks/linear.py {numbers} --write"


def _versions() -> str:
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    return (
        f"skcfq {skcfq.__version__}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, numpy {np.__version__}; one thread of {processor}"
    )


_PROTOCOL = """# Exact recourse on linear models

```console
{command}
```

wrote this page, with real data in the folder that `SKCFQ_DATA` names ({versions}).
Models are logistic regressions with the settings of scikit-learn, margin 0, weights of the cost 1
over the standard deviation. People per second count refused people; every answer was verified on
its raw row, and that is on the clock.
"""

_CONTINUOUS = f"""Generated rows of {N_FEATURES} normal features, cut at ±{REACH}; every one is \
refused, and every
feature may move inside the observed range. *Peak memory* is that of the whole process, Python,
torch and the rows themselves included; *changes* is the mean number of features in an action."""

_ADULT = """The action set that `fetch_adult` brings: one-hot categories, an ordered one, three \
grids and at most
5 changes; the other lines alter `max_changes` alone. Both columns *proved* are the share of people
whose answer is `optimal` or `infeasible`; the integer program is asked about the first people
of the same rows, in the same process (for l2, where HiGHS takes no integers, by branch and bound
over Clarabel's relaxations). *Ratio* is that of people per second, by processor time."""

_GAPS = """Refused rows under the table's own action set, and the cost of each method's action \
over the proved
optimum for the same person: *mean*, *median* and *95 %* quantile over the people for whom the
method found an action; *found* is their share of those who have one, *at the optimum* the share of
ratios below 1.000001."""


_READING = """
## What follows for K

The recursion of Eq. 6 climbs the target's probability and has no term for the cost, so it does not
stop at the boundary. More steps find an action for more people; they do not make it cheaper. A
smaller step stays nearer to the optimum and needs more of them. With the step size of the training,
K = 3 reaches nearly everybody on the generated rows and on Adult. On German it reaches few: there
the cheapest action changes a category for most people, and these steps change none, because a
single one must carry it past the middle between two codes.

So K decides for whom the training has a recourse point of its teacher, not how good advice is. For
that, three steps are a fair price. They are no cheapest actions, and no figure about people's
actions should be computed from them: measures and scorers use the methods above.
"""


if __name__ == "__main__":
    main()
