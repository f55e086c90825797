"""Integers of any width from 1 to 16 bits, packed without gaps: of a matrix or of single rows."""

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
    # A code takes some words on the way: piece by piece, the way stays small beside the codes.
    for start in range(0, count, _PIECE):
        n = min(_PIECE, count - start)
        piece = packed[start * bits // 8 : packed_size(start + n, bits)]
        codes[start : start + n] = _unpacked(piece, bits)[:n]
    return codes


def _unpacked(packed: np.ndarray, bits: int) -> np.ndarray:
    """Return signed codes as int32, some more than there are; 8 of them take ``bits`` bytes."""
    groups = -(-len(packed) // bits)
    whole = np.zeros(groups * bits, dtype=np.uint8)
    whole[: len(packed)] = packed
    # A code may begin in the last byte but need no further one, which is 0 here.
    planes = np.zeros((bits + 2, groups), dtype=np.int32)
    planes[:bits] = whole.reshape(groups, bits).T
    codes = np.empty((groups, 8), dtype=np.int32)
    for k in range(8):
        byte, shift = divmod(k * bits, 8)
        words = planes[byte] | planes[byte + 1] << 8 | planes[byte + 2] << 16
        codes[:, k] = words >> shift
    codes &= (1 << bits) - 1
    # Two's complement: the highest bit counts downwards.
    sign = 1 << (bits - 1)
    codes ^= sign
    codes -= sign
    return codes.reshape(-1)


def packed_rows_size(n_columns: int, bits: int | np.ndarray, n_rows: int) -> int:
    """Return the number of bytes of a matrix, at one width or with one for each row.

    Examples
    --------
    >>> packed_rows_size(10, np.array([2, 8, 2]), 3)
    15
    """
    return sum(packed_size(n * n_columns, width) for width, n in _rows_of(bits, n_rows))


def pack_rows(codes: np.ndarray, bits: int | np.ndarray) -> bytes:
    """Pack a matrix of signed codes; rows of one width lie together, the narrowest first.

    Parameters
    ----------
    codes : integer ndarray of shape (n_rows, n_columns)
    bits : int or ndarray of shape (n_rows,)
    """
    if not np.ndim(bits):
        return pack_codes(codes, int(bits))
    return b"".join(
        pack_codes(codes[bits == width], width) for width, _ in _rows_of(bits, len(codes))
    )


def unpack_rows(data: memoryview, shape: tuple[int, int], bits: int | np.ndarray) -> np.ndarray:
    """Return a packed matrix as int8, or int16 where a row has more than 8 bits.

    Examples
    --------
    >>> codes, bits = np.array([[100, -100], [1, -2], [7, -8]]), np.array([8, 2, 4])
    >>> unpack_rows(memoryview(pack_rows(codes, bits)), (3, 2), bits).tolist()
    [[100, -100], [1, -2], [7, -8]]
    """
    codes = np.empty(shape, dtype=np.int8 if np.max(bits) <= 8 else np.int16)
    start = 0
    for width, n in _rows_of(bits, shape[0]):
        size = packed_size(n * shape[1], width)
        found = unpack_codes(data[start : start + size], n * shape[1], width)
        codes[bits == width if np.ndim(bits) else slice(None)] = found.reshape(n, shape[1])
        start += size
    return codes


def _rows_of(bits: int | np.ndarray, n_rows: int) -> list[tuple[int, int]]:
    """Return the widths, rising, and how many rows each has."""
    if not np.ndim(bits):
        return [(int(bits), n_rows)]
    widths, counts = np.unique(bits, return_counts=True)
    return list(zip(widths.tolist(), counts.tolist(), strict=True))
