"""Arrays of numbers beside the JSON of a header: ``{"$array": [type, offset, count]}``.

An array lies byte by byte: the lowest byte of every number, then the next one of every number.
Neighbors are alike then, which zlib makes small.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skcfq.deploy._allowance import Allowance

TYPES = ("i1", "i2", "i4", "i8", "f8")
_MARK = "$array"


class ArrayWriter:
    """Arrays that are written behind a header."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, values: Any) -> dict[str, Any]:
        """Store an array, or a list of whole numbers, and return what stands for it in the JSON."""
        array = values if isinstance(values, np.ndarray) else np.array(values, dtype=np.int64)
        kind = "f8" if array.dtype.kind == "f" else _narrowest(array)
        data = _planes(np.ascontiguousarray(array.reshape(-1), dtype=f"<{kind}"))
        self._parts.append(data)
        self._size += len(data)
        return {_MARK: [kind, self._size - len(data), array.size]}

    def tobytes(self) -> bytes:
        """Return all arrays."""
        return b"".join(self._parts)


class ArrayReader:
    """Arrays behind a header; each byte is read once.

    Parameters
    ----------
    data : memoryview
    allowance : Allowance
    """

    def __init__(self, data: memoryview, allowance: Allowance) -> None:
        self._data, self._allowance = data, allowance
        self._unread = len(data)

    def read(self, reference: dict[str, Any]) -> np.ndarray:
        """Return an array as int64 or float64, shape (count,)."""
        place = reference[_MARK]
        if len(reference) != 1 or not isinstance(place, list) or len(place) != 3:
            raise ValueError("an array has no type, offset and count")
        kind, offset, count = place
        if kind not in TYPES or type(offset) is not int or type(count) is not int:
            raise ValueError("an array has no type, offset and count")
        size = int(kind[1])
        if min(offset, count) < 0 or offset + size * count > len(self._data):
            raise ValueError("an array lies outside the header")
        # Arrays on top of each other would make much of little.
        self._unread -= size * count
        if self._unread < 0:
            raise ValueError("arrays overlap")
        self._allowance.take((8 + size) * count, "an array")
        planes = np.frombuffer(self._data, np.uint8, size * count, offset).reshape(size, count)
        array = np.ascontiguousarray(planes.T).view(f"<{kind}").reshape(count)
        return array.astype(np.float64 if kind == "f8" else np.int64)


def is_reference(value: Any) -> bool:
    """Tell whether a JSON value stands for an array."""
    return isinstance(value, dict) and _MARK in value


def _planes(array: np.ndarray) -> bytes:
    return array.view(np.uint8).reshape(array.size, array.itemsize).T.tobytes()


def _narrowest(array: np.ndarray) -> str:
    for kind in TYPES[:-1]:
        info = np.iinfo(kind)
        if array.size == 0 or (array.min() >= info.min and array.max() <= info.max):
            return kind
    raise ValueError("an integer of an array has more than 64 bits")
