"""Know objects and tables again by what they hold, so that work on them can be remembered."""

from __future__ import annotations

import copyreg
import hashlib
import io
import pickle
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skcfq.utils._columns import columns_of_frame

# What objects of these packages do follows from what they hold. Of other people's functions and
# classes only the name is written down, and what they do may change behind it.
_KNOWN_PACKAGES = {
    *("builtins", "collections", "copyreg", "datetime", "decimal", "fractions", "functools"),
    *("imblearn", "lightgbm", "numpy", "pandas", "pyarrow", "scipy", "skcfq", "sklearn"),
    *("torch", "xgboost", "_codecs"),
}
# Elements of tables that nobody can change in place.
_IMMUTABLE = (str, int, float, complex, bool, bytes, type(None), np.generic, type(pd.NA))


class Content(NamedTuple):
    """What an object holds.

    Attributes
    ----------
    digest : bytes
        Equal for equal contents.
    size : int
        Bytes that were read.
    """

    digest: bytes
    size: int


def content_of(value: Any) -> Content | None:
    """Return what an object holds, down to the last array.

    Parameters
    ----------
    value : object

    Returns
    -------
    content : Content or None
        None where it cannot be known: an object that cannot be pickled, or one with a function or
        of a class that is neither Python's nor of a known package.

    Examples
    --------
    >>> import numpy as np
    >>> weights = {"w": np.zeros(3)}
    >>> before = content_of(weights).digest
    >>> content_of({"w": np.zeros(3)}).digest == before
    True
    >>> weights["w"][0] = 1
    >>> content_of(weights).digest == before
    False
    >>> content_of(lambda x: x) is None
    True
    """
    written = io.BytesIO()
    parts: list[pickle.PickleBuffer] = []
    try:
        _Pickler(written, protocol=5, buffer_callback=parts.append).dump(value)
        buffers = [part.raw() for part in parts]
    except Exception:  # what a user's own classes raise has no narrower class
        return None
    digest = hashlib.sha256(written.getbuffer())
    size = written.getbuffer().nbytes
    for buffer in buffers:
        digest.update(buffer)
        size += buffer.nbytes
    return Content(digest.digest(), size)


class KeptTable:
    """A copy of the cells of a table, to know it again; its index is no part of it.

    Texts are compared by their addresses, a hundred times as fast as by what is written in them,
    and are kept so that nothing else gets the same addresses.

    Parameters
    ----------
    X : DataFrame, array-like or None

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"sex": ["f", "m"], "age": [30, 40]})
    >>> kept = KeptTable(X)
    >>> X.loc[1, "age"] = 41
    >>> kept.holds(X)
    False
    """

    def __init__(self, X: Any) -> None:
        self._head, columns = _parts(X)
        self._cells = [_cells(column) for column in columns]
        plain = [_plain_values(column) for column in columns]
        self._objects = [v.copy() for v in plain if v is not None and v.dtype == object]
        self.size = 2 * sum(map(len, filter(None, self._cells)))

    @property
    def is_settled(self) -> bool:
        """Whether nothing in it can change in place, and all of it is known."""
        kinds = {kind for values in self._objects for kind in set(map(type, values.flat))}
        return None not in self._cells and all(issubclass(kind, _IMMUTABLE) for kind in kinds)

    def holds(self, X: Any) -> bool:
        """Tell whether another table, or the same one later, has the same cells."""
        head, columns = _parts(X)
        if head != self._head or len(columns) != len(self._cells):
            return False
        pairs = zip(columns, self._cells, strict=True)
        return all(cells is not None and _cells(column) == cells for column, cells in pairs)


def _parts(X: Any) -> tuple[Any, list[Any]]:
    """Return names, types and shape of a table, and its columns."""
    if not isinstance(X, pd.DataFrame):
        values = np.empty(0) if X is None else np.asarray(X)
        return (X is None, values.dtype, values.shape), [values]
    columns = columns_of_frame(X)
    return ([*X.columns], [column.dtype for column in columns], X.shape), columns


def _cells(column: Any) -> bytes | None:
    values = _plain_values(column)
    if values is not None:
        # Of objects, these are their addresses.
        return values.tobytes()
    content = content_of(column)
    return None if content is None else content.digest


def _plain_values(column: Any) -> np.ndarray | None:
    """Return the array that a column is, without making new objects; None where it is none."""
    if isinstance(column, np.ndarray):
        return column
    python_text = isinstance(column, pd.arrays.StringArray) and column.dtype.storage == "python"
    if python_text or isinstance(column, pd.arrays.NumpyExtensionArray):
        return np.asarray(column)
    return None


class _Pickler(pickle.Pickler):
    """A pickler that refuses what it could know by name only."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray:
            return NotImplemented
        named = obj if isinstance(obj, type) or hasattr(obj, "__qualname__") else type(obj)
        module = getattr(named, "__module__", None) or type(obj).__module__
        if module.partition(".")[0] not in _KNOWN_PACKAGES:
            raise pickle.PicklingError(f"{module} is no known package")
        kind: Any = type(obj)
        names = _frozen_fields(kind) if module.startswith("skcfq.") else None
        if names is None:
            return NotImplemented
        # What a frozen object has worked out of its fields comes and goes.
        held = {name: getattr(obj, name) for name in names}
        # The types of the standard library do not know this name.
        return copyreg.__newobj__, (type(obj),), held  # type: ignore[attr-defined]


@cache
def _frozen_fields(kind: Any) -> tuple[str, ...] | None:
    """Return the names of the fields of a frozen dataclass of the library, None for other types."""
    if not is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[union-attr]
        return None
    return tuple(one.name for one in fields(kind))
