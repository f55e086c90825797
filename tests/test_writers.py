"""Whatever writes a file leaves the previous one where the disk is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import skcfq

ON_A_FULL_DISK = """
import resource, signal, sys
import numpy as np
from sklearn.linear_model import LogisticRegression
from skcfq import ActionSet, RecourseSolver

X = np.arange(400.0).reshape(-1, 2)
model = LogisticRegression().fit(X, X[:, 0] > 200)
rules = ActionSet(bounds={name: (0, 900) for name in range(2)}, immutable=list(range(5, 500)))
result = RecourseSolver(target=True).solve(model, X, background=X)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
path = sys.argv[1]
try:
    result.to_json(path) if path.endswith("result.json") else rules.to_file(path)
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
@pytest.mark.parametrize("name", ["rules.toml", "rules.json", "result.json"])
def test_a_full_disk_keeps_the_previous_file(name, tmp_path):
    path = tmp_path / name
    path.write_text("previous")
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(skcfq.__file__).parents[1],
    )
    assert done.stdout == "OSError\n"
    assert path.read_text() == "previous"
    assert list(tmp_path.iterdir()) == [path]
