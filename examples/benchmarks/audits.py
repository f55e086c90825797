"""What an audit costs: solving, everything else, peak memory and the size of what is written.

Each line is a process of its own with one thread, whose peak memory has the imports in it: people
of Adult under scikit-learn's MLP and its PTQ of 4 and 8 bits, and a million rows of plain numbers
under a logistic regression and one with rounded weights. Processor seconds.

    python examples/benchmarks/audits.py --only plain --people 100000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _clock import yardstick
from wide import peak_kilobytes

_PER_GB, _PER_MB = 1e6, 1e6
PEOPLE = {"adult": 10_000, "plain": 1_000_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=list(PEOPLE), choices=PEOPLE)
    parser.add_argument("--people", type=int, help="so many people")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(measured(given.one[0], int(given.one[1]))))
        return
    for name in given.only:
        found = in_a_process(name, given.people or PEOPLE[name])
        print(name, {key: round(value, 2) for key, value in found.items()}, flush=True)


def ratios() -> dict[str, float]:
    """Return what 20,000 rows of plain numbers take beside the yardstick, and their memory."""
    found = in_a_process("plain", 20_000)
    seconds = sum(value for key, value in found.items() if key.endswith(", s"))
    return {
        "20,000 rows of plain numbers / yardstick": seconds / yardstick(),
        "20,000 rows, peak GB": found["peak, GB"],
    }


def in_a_process(name: str, people: int) -> dict[str, float]:
    """Return what one audit takes, alone in a process."""
    command = [sys.executable, __file__, "--one", name, str(people)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measured(name: str, people: int) -> dict[str, float]:
    """Audit, write and read here; return processor seconds, peak memory and megabytes."""
    from skcfq import RecourseSolver
    from skcfq.audit import audit_recourse

    warnings.simplefilter("ignore")
    asked = {"adult": adult, "plain": plain}[name](people)
    solving, compare = [], RecourseSolver.compare

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.process_time()
        found = compare(*args, **kwargs)
        solving.append(time.process_time() - began)
        return found

    RecourseSolver.compare = timed
    clock = [time.process_time()]
    report = audit_recourse(**asked)
    clock.append(time.process_time())
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "audit.json", Path(folder) / "audit.html"]
        for file, write in zip(files, (report.to_json, report.to_html), strict=True):
            write(file)
            clock.append(time.process_time())
        megabytes = [file.stat().st_size / _PER_MB for file in files]
    audit, written, page = np.diff(clock).tolist()
    return {
        "people": float(len(report.people)),
        "advised": float(report.people["advised"].sum()),
        "solving, s": sum(solving),
        "the rest, s": audit - sum(solving),
        "JSON, s": written,
        "HTML, s": page,
        "peak, GB": peak_kilobytes() / _PER_GB,
        "JSON, MB": megabytes[0],
        "HTML, MB": megabytes[1],
    }


def plain(people: int) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    from skcfq import ActionSet

    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(people, 8))).rename(columns="x{}".format)
    y = (X @ rng.normal(size=8) + rng.normal(size=people) > 0).to_numpy()
    reference, rounded = (LogisticRegression().fit(X[:5000], y[:5000]) for _ in range(2))
    rounded.coef_ = np.round(3 * rounded.coef_) / 3
    groups = {"sex": rng.integers(0, 2, people), "age": rng.integers(0, 5, people)}
    return {
        **{"reference": reference, "deployed": rounded, "X": X, "y": y, "target": True},
        **{"action_set": ActionSet(), "sensitive_features": groups, "background": X[:5000]},
    }


def adult(people: int) -> dict[str, Any]:
    import torch
    from sklearn.frozen import FrozenEstimator
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline

    from skcfq import PTQClassifier, TableEncoder
    from skcfq.datasets import fetch_adult

    torch.set_num_threads(1)
    table = fetch_adult()
    X, y = (part.iloc[table.train_indices] for part in (table.data, table.target))
    train, labels = X[people : people + 5000], y[people : people + 5000]
    model = make_pipeline(TableEncoder(), MLPClassifier((64, 64), max_iter=20, random_state=0))
    model.fit(train, labels)
    deployed = PTQClassifier(4, teacher=FrozenEstimator(model), random_state=0).fit(train, labels)
    return {
        **{"reference": model, "deployed": deployed, "X": X[:people], "y": y[:people]},
        **{"action_set": table.action_set, "target": table.favorable, "background": train},
        "sensitive_features": ["sex", "race"],
    }


if __name__ == "__main__":
    main()
