"""Find, download, check and wrap the files of a dataset.

Every loader names its files with a :class:`RemoteFile`, gets their checked bytes from
:func:`read_payload` and returns what :func:`make_bunch` puts together.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import reprlib
import zipfile
import zlib
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from skcfq.actions import ActionSet
from skcfq.exceptions import DatasetDamagedError, DatasetNotFoundError
from skcfq.utils import Interval, ListOf, check_flag, check_parameters, is_list

DATA_VARIABLE = "SKCFQ_DATA"


@dataclass(frozen=True)
class RemoteFile:
    """Where one file of a dataset lies, and the checksum of its payload.

    Parameters
    ----------
    path : str
        Place in a data folder, for example ``"adult/adult.data"``; there, the file may be plain
        or carry the suffix ``.gz``.
    url : str
        Public source: the file itself or a ZIP archive of it.
    sha256 : str
        SHA-256 of the payload, that is of the file after decompression.
    members : tuple of str
        Path through the archives at `url`, outermost first; empty if `url` is the file itself.
    by_hand : bool, default=False
        Whether `url` is a page where people get the file themselves.
    """

    path: str
    url: str
    sha256: str
    members: tuple[str, ...] = ()
    by_hand: bool = False

    def __post_init__(self) -> None:
        check_flag("by_hand", self.by_hand)
        for name in ("path", "url", "sha256"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name}={getattr(self, name)!r} of a RemoteFile: give a text.")
        if not is_list(self.members) or not all(isinstance(one, str) for one in self.members):
            raise TypeError(f"members={self.members!r} of a RemoteFile: give a tuple of texts.")


@check_parameters(dataset=[str], file=[RemoteFile], data_home=[str, os.PathLike, None])
def read_payload(dataset: str, file: RemoteFile, data_home: str | os.PathLike | None) -> bytes:
    """Return the checked bytes of one file of a dataset.

    A folder that the caller or the variable ``SKCFQ_DATA`` names is only read. With neither, the
    public source is downloaded once into the user's cache folder.

    Parameters
    ----------
    dataset : str
        Name for error messages.
    file : RemoteFile
        What to read.
    data_home : path-like or None
        Folder that holds the files; None means the variable, and without it the download.

    Returns
    -------
    payload : bytes

    Raises
    ------
    DatasetNotFoundError
        The folder has no such file, or the download failed.
    DatasetDamagedError
        The bytes found are not the published ones.
    """
    folder = data_home if data_home is not None else os.environ.get(DATA_VARIABLE) or None
    if folder is not None:
        found = _find(dataset, file, Path(folder).expanduser())
        return _checked(dataset, file, found, remedy="replace it by the published file")
    found = _download(dataset, file)
    try:
        return _checked(dataset, file, found, remedy="call the loader again to download it anew")
    except DatasetDamagedError:
        found.unlink(missing_ok=True)
        raise


def _find(dataset: str, file: RemoteFile, folder: Path) -> Path:
    for candidate in (folder / f"{file.path}.gz", folder / file.path):
        if candidate.is_file():
            return candidate
    raise DatasetNotFoundError(
        f"The dataset {dataset!r} needs the file {file.path} or {file.path}.gz, and the folder "
        f"{str(folder)!r} has neither. Set data_home or the variable {DATA_VARIABLE} to a folder "
        "that holds it, or leave both unset to download it from its public source."
    )


def _download(dataset: str, file: RemoteFile) -> Path:
    if file.by_hand:
        raise DatasetNotFoundError(
            f"The dataset {dataset!r} is not downloaded: its authors give it away at {file.url}. "
            f"Set data_home or the variable {DATA_VARIABLE} to a folder that holds {file.path}."
        )
    cache = Path(pooch.os_cache("skcfq")) / Path(file.path).parent
    name = Path(file.path).name + (".zip" if file.members else "")
    try:
        # The checksum of the payload is checked by the caller, archives included.
        return Path(pooch.retrieve(file.url, known_hash=None, fname=name, path=cache))
    except OSError as error:  # requests' errors and timeouts are OSErrors too
        raise DatasetNotFoundError(
            f"The dataset {dataset!r} could not be downloaded from {file.url} into "
            f"{str(cache)!r}: {error}. Without a connection, set data_home or the variable "
            f"{DATA_VARIABLE} to a folder that holds {file.path}."
        ) from error


def _checked(dataset: str, file: RemoteFile, path: Path, *, remedy: str) -> bytes:
    try:
        payload = _unpack(path, file.members)
    except (OSError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise DatasetDamagedError(
            f"The file {str(path)!r} of the dataset {dataset!r} cannot be decompressed "
            f"({type(error).__name__}: {error}); {remedy}."
        ) from error
    digest = hashlib.sha256(payload).hexdigest()
    if digest != file.sha256:
        raise DatasetDamagedError(
            f"The file {str(path)!r} of the dataset {dataset!r} is not the published one: its "
            f"payload has SHA-256 {digest}, expected {file.sha256}; {remedy}."
        )
    return payload


def _unpack(path: Path, members: tuple[str, ...]) -> bytes:
    content = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(content)
    if path.suffix == ".zip":
        for member in members:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read(member)
    return content


@check_parameters(
    n_train=[Interval(Integral, 1, None, closed="left")],
    n_test=[Interval(Integral, 1, None, closed="left")],
    random_state=["random_state"],
)
def random_split(
    target: pd.Series, *, n_train: int, n_test: int, random_state
) -> tuple[np.ndarray, np.ndarray]:
    """Draw disjoint train and test positions with the label's shares kept.

    Parameters
    ----------
    target : Series of shape (n,)
        Labels.
    n_train, n_test : int
        Sizes of the two parts.
    random_state : int, RandomState or None
        Seed of the draw.

    Returns
    -------
    train_indices, test_indices : ndarray of int64
        Sorted row positions.
    """
    if not is_list(target) or len(target) < n_train + n_test:
        raise ValueError(
            f"target={reprlib.repr(target)}; give at least n_train + n_test = {n_train + n_test} "
            "labels."
        )
    n_classes = pd.Series(target).nunique()
    if min(n_train, n_test) < n_classes:
        raise ValueError(
            f"n_train={n_train} and n_test={n_test} must both be at least {n_classes}, the number "
            "of different labels."
        )
    train, test = train_test_split(
        np.arange(len(target)),
        train_size=n_train,
        test_size=n_test,
        stratify=target,
        random_state=random_state,
    )
    return np.sort(train), np.sort(test)


def age_group(age: pd.Series) -> pd.Series:
    """Name the age slice that the credit literature uses (25 years is the usual cut)."""
    return (age > 25).map({True: "over 25", False: "25 or younger"})


@check_parameters(
    data=[pd.DataFrame],
    target=[pd.Series],
    favorable=[str],
    action_set=[ActionSet],
    groups=[pd.DataFrame],
    split=[ListOf(np.ndarray, least=2, most=2)],
    units=[dict],
    descr=[str],
)
def make_bunch(
    *,
    data: pd.DataFrame,
    target: pd.Series,
    favorable: str,
    action_set: ActionSet,
    groups: pd.DataFrame,
    split: tuple[np.ndarray, np.ndarray],
    units: dict[str, str],
    descr: str,
) -> Bunch:
    """Put a dataset together; the keys are described in :mod:`skcfq.datasets`."""
    for name, table in (("target", target), ("groups", groups)):
        if len(table) != len(data):
            raise ValueError(
                f"{name} has {len(table)} rows, and data has {len(data)}. Give one for each."
            )
    if not (target == favorable).any():
        raise ValueError(f"favorable={favorable!r} is no label of target. Give one of these.")
    if not all(_are_positions(rows, len(data)) for rows in split):
        raise ValueError(
            f"split={split!r}; give the positions of training and test rows, of {len(data)} rows."
        )
    unknown = [name for name in units if name not in data.columns]
    if unknown:
        raise ValueError(f"units names {unknown[0]!r}, which is no column of data.")
    train_indices, test_indices = split
    return Bunch(
        data=data,
        target=target,
        favorable=favorable,
        action_set=action_set,
        groups=groups,
        train_indices=train_indices,
        test_indices=test_indices,
        feature_names=list(data.columns),
        immutable=list(action_set.immutable),
        units={name: units.get(name, "category") for name in data.columns},
        DESCR=descr,
    )


def _are_positions(rows: np.ndarray, n_rows: int) -> bool:
    whole = rows.ndim == 1 and rows.dtype.kind in "iu"
    return whole and bool(((rows >= 0) & (rows < n_rows)).all())
