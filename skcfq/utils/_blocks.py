"""How large the blocks are that work on many rows is cut into, so that memory does not grow.

Rows do not see each other, so how they are cut changes no answer.
"""

from __future__ import annotations

from collections.abc import Iterator

# Bytes of an array of one block: it stays in the cache, and the memory of the last one is used
# again without asking the system for more.
BLOCK_BYTES = 4 * 2**20
# Bytes of an array about all points of the people who are solved together.
MOST_BYTES = 32 * 2**20
# How many times as large an array may be of what one person's proof keeps waiting.
_WAITING = 8
_NUMBER = 8


def rows_of_block(width: int) -> int:
    """Return how many rows of float64 an array of one block has.

    Parameters
    ----------
    width : int
        Numbers of a row.

    Examples
    --------
    >>> rows_of_block(512), rows_of_block(10**9)
    (1024, 1)
    """
    return _rows_of(BLOCK_BYTES, width)


def rows_in_memory(width: int) -> int:
    """Return how many rows of float64 an array may have that holds all points of some people.

    Parameters
    ----------
    width : int
        Numbers of a row.

    Examples
    --------
    >>> rows_in_memory(1024)
    4096
    """
    return _rows_of(MOST_BYTES, width)


def rows_waiting(width: int) -> int:
    """Return how many rows of float64 may wait until a proof comes to them.

    Parameters
    ----------
    width : int
        Numbers of a row.

    Examples
    --------
    >>> rows_waiting(1024)
    32768
    """
    return _rows_of(_WAITING * MOST_BYTES, width)


def _rows_of(n_bytes: int, width: int) -> int:
    return max(n_bytes // (_NUMBER * max(width, 1)), 1)


def blocks_of(n_rows: int, width: int) -> Iterator[slice]:
    """Cut rows into blocks that stay in the cache.

    Parameters
    ----------
    n_rows : int
    width : int
        Numbers of a row.

    Examples
    --------
    >>> [(block.start, block.stop) for block in blocks_of(1030, 512)]
    [(0, 1024), (1024, 1030)]
    """
    return _cut(n_rows, rows_of_block(width))


def parts_in_memory(n_rows: int, width: int) -> Iterator[slice]:
    """Cut rows into parts whose arrays are not too large.

    Parameters
    ----------
    n_rows : int
    width : int
        Numbers of a row.

    Examples
    --------
    >>> [(part.start, part.stop) for part in parts_in_memory(5000, 1024)]
    [(0, 4096), (4096, 5000)]
    """
    return _cut(n_rows, rows_in_memory(width))


def _cut(n_rows: int, step: int) -> Iterator[slice]:
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
