"""Set up an environment for each library of the comparison, with pinned versions.

They need versions of numpy, jax or TensorFlow that exclude each other and the project's own, and
most end at Python 3.11. An environment that stands is kept until its requirements change; one that
cannot be set up is reported and left out.

    python examples/benchmarks/peers/setup_environments.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parents[2] / ".venv-peers"

# What they pin themselves contradicts the versions that are asked for.
_UNRESOLVED = ("ceml",)


def main() -> None:
    python = shutil.which("python3.11") or sys.executable
    for requirements in sorted((HERE / "requirements").glob("*.txt")):
        folder = ENVIRONMENTS / requirements.stem
        stamp = folder / ".stamp"
        if stamp.exists() and stamp.read_text() == requirements.read_text():
            continue
        print(f"setting up {requirements.stem} ...", flush=True)
        reason = set_up(python, folder, requirements)
        if reason:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"  {requirements.stem} is left out: {reason}", flush=True)
        else:
            stamp.write_text(requirements.read_text())


def set_up(python: str, folder: Path, requirements: Path) -> str:
    """Return why an environment could not be set up, or nothing."""
    install = ["-m", "pip", "install", "--quiet", "-r", str(requirements)]
    if folder.name in _UNRESOLVED:
        install.append("--no-deps")
    for command in (
        [python, "-m", "venv", "--clear", str(folder)],
        [str(folder / "bin" / "python"), *install],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return (said or done.stderr.splitlines() or ["it failed"])[-1].removeprefix("ERROR: ")
    return ""


if __name__ == "__main__":
    main()
