"""Finished batches of an audit in a folder, so that a run that was stopped goes on.

A folder has ``run.json``, what the run is about, and a file of arrays (npz, nothing pickled) a
batch. Each is whole or not there, and belongs to this run or is refused.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skcfq.audit._batches import Batch
from skcfq.certificates import digest_of
from skcfq.exceptions import AuditFileError
from skcfq.utils import atomic_write, from_json, to_json
from skcfq.utils.documents import load_json

_SCHEMA, _VERSION = "skcfq/audit-checkpoint", 1
_RUN = "run.json"
# What a damaged file raises is one of many.
_DAMAGED = (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where the batches of one run are kept.

    Attributes
    ----------
    folder : Path
    mark : str
        Digest of what the run is about; each batch holds it.
    """

    folder: Path
    mark: str

    @classmethod
    def opened(cls, folder: Any, run: dict[str, Any]) -> Checkpoint:
        """Make the folder, or go on with what is in it.

        Parameters
        ----------
        folder : str or path
        run : dict
            What it is about, as JSON values.

        Raises
        ------
        AuditFileError
            It is no checkpoint, or that of another run.
        """
        place = Path(folder)
        if place.exists() and not place.is_dir():
            raise NotADirectoryError(f"checkpoint={str(folder)!r} is a file: name a folder.")
        if not place.parent.is_dir():
            raise FileNotFoundError(
                f"checkpoint={str(folder)!r}: there is no folder {place.parent}. Create it first."
            )
        place.mkdir(exist_ok=True)
        run = {"schema": _SCHEMA, "version": _VERSION} | run
        file = place / _RUN
        if file.exists():
            _check_same(place, _known(file), run)
        elif any(not one.name.startswith(".skcfq-") for one in place.iterdir()):
            raise AuditFileError(
                f"checkpoint={str(folder)!r} is a folder with other files: name one that is empty "
                "or not there yet."
            )
        else:
            atomic_write(file, json.dumps(run, indent=1, allow_nan=False) + "\n")
        return cls(place, digest_of(run))

    def write(self, start: int, batch: Batch) -> None:
        """Keep the batch that begins with a row."""
        columns = {name: batch.table[name].to_numpy() for name in batch.table.columns}
        texts = [name for name, values in columns.items() if values.dtype.hasobject]
        about = {
            "run": self.mark,
            "columns": {name: str(batch.table[name].dtype) for name in columns},
            "texts": {name: [to_json(one) for one in columns.pop(name).tolist()] for name in texts},
            "changes": [[[*map(to_json, change)] for change in one] for one in batch.changes],
            "rules": batch.rules,
            "protocol": batch.protocol,
            "environment": batch.environment,
        }
        written = json.dumps(about, allow_nan=False, separators=(",", ":")).encode()
        arrays: dict[str, Any] = columns | {"about": np.frombuffer(written, dtype=np.uint8)}
        atomic_write(self._file(start), lambda file: np.savez_compressed(file, **arrays))

    def read(self, start: int) -> Batch | None:
        """Return the batch that begins with a row, None where it is not finished.

        Raises
        ------
        AuditFileError
            Its file is damaged, or belongs to another run.
        """
        file = self._file(start)
        if not file.exists():
            return None
        try:
            with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
                about = json.loads(arrays["about"].tobytes())
                if about["run"] != self.mark:
                    raise ValueError("it belongs to another run")
                return _batch(about, arrays)
        except _DAMAGED as error:
            raise AuditFileError(
                f"{file} cannot be read: {error}. Delete it, and its people are solved again."
            ) from error

    def _file(self, start: int) -> Path:
        return self.folder / f"batch-{start:012d}.npz"


def _batch(about: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Batch:
    columns: dict[str, Any] = {}
    for name, kind in about["columns"].items():
        texts = about["texts"].get(name)
        values: Any = arrays[name] if texts is None else pd.Series(dtype=object)
        if texts is not None:
            values = pd.Series([from_json(one) for one in texts], dtype=object)
        columns[name] = pd.Series(values).astype(kind)
    changes = [[tuple(map(from_json, change)) for change in one] for one in about["changes"]]
    table = pd.DataFrame(columns)
    if len(changes) != len(table):
        raise ValueError("its columns have different lengths")
    return Batch(table, changes, about["rules"], about["protocol"], about["environment"])


def _known(file: Path) -> dict[str, Any]:
    _, known = load_json(os.fspath(file), _failure)
    if (known.get("schema"), known.get("version")) != (_SCHEMA, _VERSION):
        raise _failure(str(file), f"it is no checkpoint of version {_VERSION}")
    return known


def _failure(place: str, problem: object) -> AuditFileError:
    return AuditFileError(f"{place} cannot be read: {problem}. Name another folder.")


def _check_same(folder: Path, known: dict[str, Any], run: dict[str, Any]) -> None:
    before, now = _flat(known), _flat(run)
    differ = [name for name in before | now if before.get(name) != now.get(name)]
    if differ:
        shown = [f"{one} ({_shown(before.get(one))} then)" for one in differ[:5]]
        more = f" and {len(differ) - 5} more" if len(differ) > 5 else ""
        raise AuditFileError(
            f"checkpoint={str(folder)!r} is of another run: {', '.join(shown)}{more} differ from "
            "what is given now. Give the same, or name another folder."
        )


def _flat(run: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in run.items():
        inner = value if isinstance(value, dict) else {}
        told |= {f"{name}.{key}": one for key, one in inner.items()} or {name: value}
    return told


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 20 else text[:12] + "…"
