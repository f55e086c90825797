"""Compare with other recourse libraries: speed, validity, and one common cost, in one run.

Every library solves the same rows of the same models, alone in a process of its own environment
(`setup_environments.py`), on one thread. The table is printed and written to docs/benchmarks; with
`--only`, what the page says of other problems stays.

    python examples/benchmarks/peers/run.py --seconds 120
    python examples/benchmarks/peers/run.py --only "Adult, forest" --rows 200 --rounds 1
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from problems import make_problems
from protocol import Problem
from report import Line, Versions, as_table, update_page, write_page

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
ENVIRONMENTS = PROJECT / ".venv-peers"
PAGE = PROJECT / "docs" / "benchmarks" / "peers.md"

# Points so close to a bound are put onto it: single precision is not held against anyone.
_BOX_TOLERANCE = 1e-5
# Relative; a peer below it would have beaten what was called optimal.
_COST_TOLERANCE = 1e-6
# In standard deviations: our points keep 1e-9 of the logits' scale as margin, others none.
_COST_SLACK = 1e-7
# What is over sooner, in seconds, has met one mood of the machine: it is run again beside ours.
_SHORT = 3.0
# A process that does not end by itself is stopped this long after its time is up.
_GRACE = 480.0

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    "PYTHONWARNINGS": "ignore",
}


class Solver(NamedTuple):
    """A library and the way it is used; `rows` is as many people as suit its speed."""

    name: str
    script: str
    environment: str | None
    variant: str
    rows: int


LINEAR = (
    Solver("skcfq exact", "solve_ours.py", None, "exact", 1_000_000),
    Solver("skcfq lp", "solve_ours.py", None, "lp", 500),
    Solver("skcfq gradient", "solve_ours.py", None, "gradient", 1000),
    Solver("ceml", "solve_ceml.py", "ceml", "plain", 200),
    Solver("ceml, bounds added", "solve_ceml.py", "ceml", "box", 200),
    Solver("jax-relax", "solve_relax.py", "relax", "library", 1_000_000),
    Solver("jax-relax, compiled by us", "solve_relax.py", "relax", "compiled", 1_000_000),
    Solver("actionable-recourse, CBC", "solve_recourse.py", "recourse", "python-mip", 50),
    Solver("actionable-recourse, CPLEX", "solve_recourse.py", "recourse", "cplex", 50),
    Solver("DiCE random", "solve_dice.py", "dice", "random", 50),
    Solver("alibi Counterfactual", "solve_alibi.py", "alibi", "", 30),
    Solver("ElliCE, one model", "solve_ellice.py", "ellice", "1e-9", 50),
    Solver("ElliCE", "solve_ellice.py", "ellice", "0.01", 50),
)
NETWORK = (
    Solver("skcfq gradient", "solve_ours.py", None, "gradient", 2000),
    Solver("jax-relax", "solve_relax.py", "relax", "library", 2000),
    Solver("jax-relax, compiled by us", "solve_relax.py", "relax", "compiled", 2000),
    Solver("DiCE gradient", "solve_dice.py", "dice", "gradient", 10),
    Solver("alibi Counterfactual", "solve_alibi.py", "alibi", "", 30),
    Solver("ElliCE, one model", "solve_ellice.py", "ellice", "1e-9", 50),
    Solver("ElliCE", "solve_ellice.py", "ellice", "0.01", 50),
)
TREES = (
    Solver("skcfq exact", "solve_ours.py", None, "exact", 200),
    Solver("skcfq exact, one by one", "solve_ours.py", None, "exact, one by one", 50),
    Solver("skcfq black_box", "solve_ours.py", None, "black_box", 200),
    Solver("treecf exact", "solve_treecf.py", "treecf", "", 200),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000, help="refused rows, at most")
    parser.add_argument("--seconds", type=float, default=120.0, help="time of one library")
    parser.add_argument("--rounds", type=int, default=5, help="runs of a short library beside ours")
    parser.add_argument("--only", default="", help="problems whose name contains this")
    parser.add_argument("--peers", default="", help="libraries whose name contains this")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table is written")
    arguments = parser.parse_args()
    tables: dict[str, list[Line]] = {}
    versions: Versions = {}
    cheaper = 0
    for name, problem in make_problems(arguments.rows, arguments.only):
        print(f"\n{name}: {len(problem.X)} refused rows, {problem.mutable.sum()} features move")
        chosen = [
            solver
            for solver in solvers_for(problem)
            if solver.environment is None or arguments.peers in solver.name
        ]
        tables[name] = compare(problem, chosen, arguments.seconds, arguments.rounds, versions)
        print(as_table(tables[name]), flush=True)
        if problem.linear:
            cheaper += sum(line.cheaper for line in tables[name])
    options = {name: getattr(arguments, name) for name in ("rows", "seconds", "rounds")}
    if arguments.only and arguments.page.exists():
        update_page(arguments.page, tables, versions, options | {"only": arguments.only})
    else:
        write_page(arguments.page, tables, versions, options)
    if cheaper:
        sys.exit(f"{cheaper} answers contradict the exact optimum.")


def solvers_for(problem: Problem) -> tuple[Solver, ...]:
    if problem.model is not None:
        return TREES
    return LINEAR if problem.linear else NETWORK


def compare(
    problem: Problem, solvers: list[Solver], seconds: float, rounds: int, versions: Versions
) -> list[Line]:
    """Run every library on one problem and judge its answers against the first one's."""
    lines: list[Line] = []
    ours, reference, spent = solvers[0], None, []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        problem.save(path)
        for solver in solvers:
            print(f"  {solver.name} ...", file=sys.stderr, flush=True)
            answer = run(solver, path, seconds)
            if isinstance(answer, str):
                lines.append(Line(solver.name, note=answer))
                continue
            versions[solver.environment or "skcfq"] = json.loads(str(answer["versions"]))
            cost, valid = judge(problem, answer["points"])
            times = [seconds_a_person(answer)]
            if reference is None:
                reference, spent = cost, list(times)
            ratios = [times[0] / spent[-1]]
            short = times[0] * len(cost) < _SHORT and solver.environment is not None
            for _ in range(rounds - 1 if short else 0):
                pair = [run(one, path, seconds) for one in (ours, solver)]
                if any(isinstance(one, str) for one in pair):
                    break
                mine, theirs = map(seconds_a_person, pair)
                spent.append(mine)
                times.append(theirs)
                ratios.append(theirs / mine)
            lines.append(measure(solver.name, answer["points"], cost, valid, reference))
            lines[-1].speed, lines[-1].ratio = 1 / np.median(times), float(np.median(ratios))
            lines[-1].note = str(answer.get("note", ""))
    if spent:
        lines[0].speed = 1 / np.median(spent)
    return lines


def seconds_a_person(answer: dict[str, np.ndarray]) -> float:
    return float(answer["seconds"]) / len(answer["points"])


def run(solver: Solver, problem: Path, seconds: float) -> dict[str, np.ndarray] | str:
    """Return what one library answered, or in words why it did not."""
    python = Path(sys.executable)
    if solver.environment is not None:
        python = ENVIRONMENTS / solver.environment / "bin" / "python"
        if not python.exists():
            return "its environment could not be set up"
    answer = problem.with_name("answer.npz")
    answer.unlink(missing_ok=True)
    command = [python, HERE / solver.script, problem, answer]
    options = ["--rows", solver.rows, "--seconds", seconds, "--variant", solver.variant]
    log = problem.with_name("log.txt")
    ended = ""
    with log.open("w") as file:
        try:
            subprocess.run(
                [str(part) for part in command + options],
                env=os.environ | _ONE_THREAD,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=seconds + _GRACE,
                check=True,
            )
        except subprocess.TimeoutExpired:
            ended = f"no answer within {seconds + _GRACE:g} seconds"
        except subprocess.CalledProcessError:
            ended = (log.read_text(errors="replace").strip() or "it crashed").splitlines()[-1]
            ended = ended.replace(f"{PROJECT}{os.sep}", "")
    if not answer.exists():
        return ended or "it handed back nothing"
    with np.load(answer) as file:
        return dict(file) | {"note": np.array(ended)}


def judge(problem: Problem, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cost (n,) where a point obeys the rules and is favorable, and who is favorable.

    The cost is infinite where the point breaks a rule or the decision; the decision itself is
    judged at the point as given.
    """
    X = problem.X[: len(points)]
    low = np.where(problem.mutable, problem.low, X)
    high = np.where(problem.mutable, problem.high, X)
    within = np.clip(points, low, high)
    obeys = (np.abs(points - within) <= _BOX_TOLERANCE).all(axis=1)
    valid = problem.score(points) >= 0
    cost = np.abs(within - X).sum(axis=1)
    return np.where(obeys & (problem.score(within) >= 0), cost, np.inf), valid


def measure(
    name: str, points: np.ndarray, cost: np.ndarray, valid: np.ndarray, reference: np.ndarray
) -> Line:
    """Compare with the reference on the same rows."""
    best = reference[: len(cost)]
    # A partial run of ours cannot judge rows that it did not reach.
    cost, valid, points = cost[: len(best)], valid[: len(best)], points[: len(best)]
    answered = np.isfinite(points).all(axis=1)
    found = np.isfinite(cost)
    paired = found & np.isfinite(best)
    limit = best * (1 - _COST_TOLERANCE) - _COST_SLACK
    return Line(
        name,
        rows=len(cost),
        valid=float(valid.mean()),
        outside=float((valid & ~found).sum() / max(answered.sum(), 1)),
        found=float(found.mean()),
        cost=float(cost[found].mean()) if found.any() else np.nan,
        excess=float((cost[paired] / best[paired]).mean()) if paired.any() else np.nan,
        cheaper=int((cost[found] < limit[found]).sum()),
    )


if __name__ == "__main__":
    main()
