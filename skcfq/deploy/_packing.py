"""Integers of any width from 1 to 16 bits, packed without gaps."""

from __future__ import annotations

import numpy as np


def packed_size(count: int, bits: int) -> int:
    """Return the number of bytes that so many codes take.

    Examples
    --------
    >>> packed_size(10, 3)
    4
    """
    return (count * bits + 7) // 8


def pack_codes(codes: np.ndarray, bits: int) -> bytes:
    """Pack signed codes in two's complement, row by row, low bits first.

    Parameters
    ----------
    codes : integer ndarray
        Between -2^(bits-1) and 2^(bits-1) - 1.
    bits : int
        From 1 to 16.

    Returns
    -------
    bytes of length ``packed_size(codes.size, bits)``

    Examples
    --------
    >>> pack_codes(np.array([1, -1, 0, -2]), 2).hex()
    '8d'
    """
    words = codes.reshape(-1, 1).astype("<i2").view(np.uint8)
    planes = np.unpackbits(words, axis=1, bitorder="little")[:, :bits]
    return np.packbits(planes.reshape(-1), bitorder="little").tobytes()


def unpack_codes(data: bytes, count: int, bits: int) -> np.ndarray:
    """Return packed codes as int16, shape (count,).

    Examples
    --------
    >>> unpack_codes(bytes.fromhex("8d"), 4, 2).tolist()
    [1, -1, 0, -2]
    """
    flat = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits, bitorder="little")
    planes = flat.reshape(count, bits)
    full = np.repeat(planes[:, -1:], 16, axis=1)
    full[:, :bits] = planes
    return np.packbits(full, axis=1, bitorder="little").view("<i2").astype(np.int16).reshape(-1)
