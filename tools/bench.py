"""Run every benchmark, one after the other, and tell the peak memory of each.

What is given after the names is given to each of them.

    python tools/bench.py --only start serving
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "examples" / "benchmarks"
# Of what the system tells: kilobytes, on macOS bytes.
_PER_GB = 1e9 if sys.platform == "darwin" else 1e6


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code of the first that failed, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    files = {one.stem: one for one in sorted(BENCHMARKS.glob("[a-z]*.py"))}
    parser.add_argument("--only", nargs="+", choices=files, default=list(files))
    given, others = parser.parse_known_args(arguments)
    for name in given.only:
        print(f"== {name}", flush=True)
        process = subprocess.Popen([sys.executable, files[name], *others])
        _, status, used = os.wait4(process.pid, 0)
        print(f"peak memory of one process: {used.ru_maxrss / _PER_GB:.2f} GB\n", flush=True)
        if status:
            return os.waitstatus_to_exitcode(status)
    return 0


if __name__ == "__main__":
    sys.exit(main())
