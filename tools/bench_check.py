"""Fail when speed that was reached is lost: ratios of one run beside a budget.

Every benchmark with a function `ratios` is run at a small size, without data. A figure may be a
fifth above its budget; one above that is measured again, and its least counts. With `--write`, what
is reached becomes the budget.

    python tools/bench_check.py --only fits linear
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "examples" / "benchmarks"
BUDGET = BENCHMARKS / "budget.json"
SLACK = 1.2
TRIES = 3

Figures = dict[str, float]


def main(arguments: list[str] | None = None) -> int:
    """Print figures beside their budget, and return 1 where one is lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=taking_part(), default=taking_part())
    parser.add_argument("--write", action="store_true", help="take what is reached as the budget")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    os.environ.pop("SKCFQ_DATA", None)
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(BENCHMARKS))
    budget = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    lost = []
    print(f"{'figure':<64}{'budget':>10}{'now':>10}")
    for name in given.only:
        measure = importlib.import_module(name).ratios
        own = budget.get(name, {})
        figures = best_of(measure, {} if given.write else own, TRIES)
        if given.write:
            budget[name] = {figure: float(f"{value:.3g}") for figure, value in figures.items()}
            own = budget[name]
        lost += [f"{name}: {figure}" for figure in beyond(figures, own)]
        for figure, value in figures.items():
            told = own.get(figure, float("nan"))
            print(f"{f'{name}: {figure}':<64}{told:>10.3g}{value:>10.3g}", flush=True)
    if given.write:
        BUDGET.write_text(json.dumps(budget, indent=2) + "\n")
    for figure in lost:
        print(f"LOST {figure}")
    return 1 if lost else 0


def taking_part() -> list[str]:
    """Return the names of the benchmarks that have ratios."""
    files = sorted(BENCHMARKS.glob("[a-z]*.py"))
    return [one.stem for one in files if re.search(r"^def ratios\(\)", one.read_text(), re.M)]


def best_of(measure: Callable[[], Figures], budget: Figures, tries: int) -> Figures:
    """Return the least of each figure, over as many tries as it takes to stay in the budget."""
    figures: Figures = {}
    for _ in range(tries):
        for name, value in measure().items():
            figures[name] = min(value, figures.get(name, value))
        if budget and not beyond(figures, budget):
            break
    return figures


def beyond(figures: Figures, budget: Figures) -> list[str]:
    """Return the figures that are more than a fifth above their budget, or on one side only."""
    return [
        name
        for name in sorted(figures.keys() | budget.keys())
        if name not in figures or name not in budget or not figures[name] <= SLACK * budget[name]
    ]


if __name__ == "__main__":
    sys.exit(main())
