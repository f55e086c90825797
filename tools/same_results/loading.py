"""Read the files of an old record with the current code."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
from arrays import as_array
from comparing import Difference, difference
from names import public

import skcfq


def load_model(path: Path) -> Difference | None:
    """Read an old model file with the current code, and ask it what was asked then."""
    rows = pickle.loads(path.with_suffix(".rows").read_bytes())
    model = public("load")(path)
    proba, labels = (np.load(path.with_suffix(end)) for end in (".proba.npy", ".labels.npy"))
    return difference("proba", proba, model.predict_proba(rows)) or difference(
        "labels", labels, as_array(model.predict(rows))
    )


def load_rules(path: Path) -> Difference | None:
    """Read an old action set file with the current code, and look at what it holds."""
    expected = path.with_suffix(".expected").read_text(encoding="utf-8")
    held = json.dumps(public("ActionSet").from_file(path).to_dict(), sort_keys=True)
    return difference("rules", np.array(expected), np.array(held))


def load_all(old: Path, only: str) -> int:
    """Read all files of an old record, print one line a file, and return the exit status."""
    print(f"skcfq of {skcfq.__file__}")
    files = [(path, load_model) for path in sorted((old / "files").glob("*.skcfq"))]
    for suffix in ("toml", "json"):
        files += [(path, load_rules) for path in sorted((old / "rules").glob(f"*.{suffix}"))]
    files = [(path, reader) for path, reader in files if only in path.name]
    fails = 0
    for path, reader in files:
        try:
            found = reader(path)
        except Exception as error:  # whatever a file does is its line
            found = Difference(f"{type(error).__name__}: {error}")
        fails += found is not None
        print(f"{path.parent.name}/{path.name}: {'same' if found is None else f'DIFFERS {found}'}")
    print(f"{len(files)} files, {fails} of them differ")
    return int(fails > 0 or not files)
