"""What reading a file may take of the memory, decided before anything is built."""

from __future__ import annotations

from skcfq.exceptions import ArtefactDamagedError

# Together below 20 times the file and 50 MB, what numpy and Python add on top included.
_FREE = 28 << 20
_TIMES_THE_FILE = 14


class Allowance:
    """Bytes that may still be allocated for the content of one file.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    file_size : int
        In bytes.
    """

    def __init__(self, name: str, file_size: int) -> None:
        self.name = name
        self.left = _FREE + _TIMES_THE_FILE * file_size

    def take(self, n_bytes: int, what: str) -> None:
        """Count bytes that are about to be allocated; ``what`` is the subject of the message."""
        if n_bytes > self.left:
            raise ArtefactDamagedError(
                f"{self.name} asks for more memory than a file of its size may: {what} would take "
                f"{n_bytes:,} bytes, and {self.left:,} are left."
            )
        self.left -= n_bytes
