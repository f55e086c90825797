"""Integers of any width from 1 to 16 bits, packed without gaps."""

from __future__ import annotations

import numpy as np

# Codes that are unpacked together: whole bytes at every width.
_PIECE = 1 << 16


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


def unpack_codes(data: bytes | memoryview, count: int, bits: int) -> np.ndarray:
    """Return packed codes as int8, or int16 above 8 bits, shape (count,).

    Examples
    --------
    >>> unpack_codes(bytes.fromhex("8d"), 4, 2).tolist()
    [1, -1, 0, -2]
    """
    codes = np.empty(count, dtype=np.int8 if bits <= 8 else np.int16)
    packed = np.frombuffer(data, np.uint8)
    # A bit takes a byte on the way: piece by piece, the way stays small beside the codes.
    for start in range(0, count, _PIECE):
        n = min(_PIECE, count - start)
        piece = packed[start * bits // 8 : packed_size(start + n, bits)]
        flat = np.unpackbits(piece, count=n * bits, bitorder="little")
        planes = flat.reshape(n, bits)
        full = np.repeat(planes[:, -1:], 8 * codes.itemsize, axis=1)
        full[:, :bits] = planes
        words = np.packbits(full, axis=1, bitorder="little")
        codes[start : start + n] = words.view(f"<i{codes.itemsize}").reshape(-1)
    return codes
