"""Speed and cost of the gradient search: people per second on the two-layer network of the paper.

Rows that a teacher refuses are solved on one thread. Real tables are read where `SKCFQ_DATA` is
set; the generated one needs no file.

    python examples/benchmarks/solver.py --rows 2000
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np
import torch

from skcfq import RecourseSolver, TeacherClassifier
from skcfq.datasets import fetch_adult, fetch_german_credit, make_credit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2000, help="refused rows, at most")
    rows = parser.parse_args().rows
    torch.set_num_threads(1)
    tables = {"generated": make_credit(10_000, random_state=0)}
    if "SKCFQ_DATA" in os.environ:
        tables |= {"german": fetch_german_credit(), "adult": fetch_adult()}
    print(f"{'table':<12}{'refused':>9}{'seconds':>9}{'people/s':>10}{'found':>8}{'mean cost':>11}")
    for name, table in tables.items():
        print_row(name, table, rows)


def print_row(name: str, table: Any, rows: int) -> None:
    teacher = TeacherClassifier(max_iter=30, random_state=0)
    teacher.fit(table.data.iloc[table.train_indices], table.target.iloc[table.train_indices])
    refused = table.data[teacher.predict(table.data) != table.favorable].head(rows)
    solver = RecourseSolver(table.action_set, target=table.favorable, random_state=0)
    start = time.process_time()
    result = solver.solve(teacher, refused)
    seconds = time.process_time() - start
    found = result.reachable
    print(
        f"{name:<12}{len(refused):>9}{seconds:>9.1f}{len(refused) / seconds:>10.0f}"
        f"{found.mean():>8.3f}{np.mean(result.cost[found]):>11.4f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
