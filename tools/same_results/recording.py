"""Run cases, and write what they give."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from arrays import Arrays, Case, as_array, joined
from names import has_new_methods
from others import all_cases
from threadpoolctl import threadpool_limits

import skcfq


def case_file(folder: Path, case: str) -> Path:
    """Return the file of a case."""
    return folder / "cases" / f"{case.replace('/', '__')}.npz"


def run_case(case: Case, out: Path) -> Arrays:
    """Run a case; what it raises is its result."""
    try:
        return {name: as_array(value) for name, value in case(out).items()}
    except Exception as error:  # a case that fails is compared as well
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return joined(
            exception=f"{type(error).__name__}: {error}",
            exception_type=type(error).__name__,
            exception_place=where,
        )


def record(out: Path, only: str) -> int:
    """Run the cases and write what they give."""
    data = Path(__file__).resolve().parents[3] / "shared" / "data"
    if data.is_dir():
        os.environ.setdefault("SKCFQ_DATA", str(data))
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"skcfq of {skcfq.__file__}, {'new' if has_new_methods() else 'old'} names", flush=True)
    (out / "cases").mkdir(parents=True, exist_ok=True)
    chosen = {name: case for name, case in all_cases().items() if only in name}
    began, failed, seconds = time.perf_counter(), 0, {}
    with threadpool_limits(1):
        for position, (name, case) in enumerate(chosen.items(), start=1):
            start = time.perf_counter()
            arrays = run_case(case, out)
            np.savez_compressed(case_file(out, name), **arrays)
            seconds[name] = round(time.perf_counter() - start, 3)
            failed += "exception" in arrays
            end = f"  {arrays['exception']}"[:200] if "exception" in arrays else ""
            line = f"[{position}/{len(chosen)}] {name}: {seconds[name]:.2f} s{end}"
            print(line, flush=True)
    total = time.perf_counter() - began
    write_meta(out, seconds, total)
    print(f"{len(chosen)} cases in {total:.0f} s, {failed} of them raise")
    return 0


def write_meta(out: Path, seconds: dict[str, float], total: float) -> None:
    """Write what was run, on what."""
    folder = Path(skcfq.__file__).parent
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    meta = {
        "skcfq": str(folder),
        "commit": commit,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "pandas": pd.__version__,
        "seconds": round(total, 1),
        "cases": seconds,
    }
    (out / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
