"""Solve random small problems by the library and by enumeration, and print where they differ.

From the root of the project::

    python tools/against_enumeration.py                      # 1,000 problems, some minutes
    python tools/against_enumeration.py --problems 70 --only "linear, discrete"
    python tools/against_enumeration.py --only trees --seed 12 --show

A problem is drawn again from its population and seed: ``--seed 12 --show`` prints the one of seed
12. What is drawn is in ``tests/oracles/random_*.py``, the brute force in ``enumeration.py`` beside
it. The exit status is 1 if an answer is wrong or the library raised.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import Counter
from pathlib import Path

import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "oracles"))

from enumerated_answers import FAULTS, OPEN, Verdict, judge
from random_problems import POPULATIONS, Problem, draw_problem

STATUSES = ("already_favorable", "optimal", "infeasible", "feasible", "not_found")


def main() -> int:
    """Run the command line; return the exit status."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", type=int, default=1000, help="in all populations together")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--only", choices=list(POPULATIONS), help="one population")
    parser.add_argument("--show", action="store_true", help="print the problem of the first seed")
    options = parser.parse_args()
    populations = [options.only] if options.only else list(POPULATIONS)
    if options.show:
        for population in populations:
            show(draw_problem(population, options.seed))
        return 0
    each = -(-options.problems // len(populations))
    lines = []
    for population in populations:
        seeds = range(options.seed, options.seed + each)
        lines.append({"population": population} | run(population, seeds))
        print(pd.DataFrame(lines[-1:]).T.to_string(header=False), end="\n\n", flush=True)
    table = pd.DataFrame(lines).set_index("population")
    print(table.to_string())
    return int(table[["raised", *FAULTS]].to_numpy().sum() > 0)


def run(population: str, seeds: range) -> dict:
    """Judge the problems of a population; return one line of the table."""
    counts: Counter = Counter()
    methods = set()
    for seed in seeds:
        problem = draw_problem(population, seed)
        try:
            verdicts, method = judge(problem)
        except Exception as error:  # whatever it raises is a finding
            counts["raised"] += 1
            last = traceback.extract_tb(error.__traceback__)[-1]
            print(
                f"{population}, seed {seed} ({problem.kind}): {type(error).__name__} at "
                f"{Path(last.filename).name}:{last.lineno}: {str(error)[:160]}"
            )
            continue
        methods.add(method)
        for verdict in verdicts:
            counts[verdict.status] += 1
            counts.update(set(verdict.faults))
            if set(verdict.faults) - {OPEN}:
                print(_line(population, seed, problem, method, verdict))
    line = {"solver": " ".join(sorted(methods)), "seeds": f"{seeds[0]}-{seeds[-1]}"}
    return line | {name: counts[name] for name in (*STATUSES, OPEN, "raised", *FAULTS)}


def _line(population: str, seed: int, problem: Problem, method: str, verdict: Verdict) -> str:
    return (
        f"{population}, seed {seed} ({problem.kind}, {method}, {problem.costs.norm}), "
        f"{verdict.label}: {verdict.status} at {verdict.cost}, right: {verdict.least}; wrong: "
        f"{', '.join(verdict.faults)}"
    )


def show(problem: Problem) -> None:
    """Print a problem with both answers."""
    print(problem.population, problem.seed, problem.kind, problem.solver, sep="; ")
    print("overrides:", problem.rules.overrides)
    print("weights in raw units:", problem.costs.weights)
    background = problem.table.background
    ends = background.describe(include="all").T.reindex(columns=["min", "max"])
    print(ends.assign(kind=pd.Series(problem.table.kinds), dtype=background.dtypes).to_string())
    result = problem.solve()
    verdicts, _ = judge(problem)
    print(problem.table.people.to_string(), result.points.to_string(), sep="\n")
    for verdict in verdicts:
        print(verdict)


if __name__ == "__main__":
    raise SystemExit(main())
