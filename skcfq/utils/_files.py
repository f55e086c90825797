"""Files that are replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

# Binary on systems that would otherwise translate line ends.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def atomic_write(
    path: str | os.PathLike, content: bytes | str | Callable[[BinaryIO], object]
) -> None:
    """Write a file so that its name holds the previous content or the new one, never a part.

    The content goes to a temporary file in the same folder, is flushed to the disk, and takes the
    name in one step. A full disk or an exception leaves the previous file as it was and nothing
    beside it; a process that is killed may leave the temporary file, whose name begins with
    ``.skcfq-``.

    Parameters
    ----------
    path : str or path
        A file that is there is replaced and its permissions are kept; a symbolic link stays, and
        the file that it points to is replaced. What is no regular file (a pipe, a device) is
        written to as it is.
    content : bytes, str or function
        Text is written as UTF-8, line ends as they are; a function gets the open binary file and
        writes to it.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError
        There is no such folder, the path is a folder, or the file is write-protected.
    OSError
        The file cannot be written, for example because the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "rules.txt"
    >>> atomic_write(path, "first")
    >>> def fail(file):
    ...     file.write(b"sec")
    ...     raise RuntimeError("interrupted")
    >>> atomic_write(path, fail)
    Traceback (most recent call last):
    RuntimeError: interrupted
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('first', ['rules.txt'])
    """
    target = Path(os.path.realpath(path))
    _check_place(path, target)
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            _fill(file, content)
        return
    temporary = target.with_name(f".skcfq-{secrets.token_hex(8)}.tmp")
    # Opened with the usual mode, so that the system applies the user's mask.
    handle = os.open(temporary, _NEW, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            _fill(file, content)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _flush_folder(target.parent)


def _fill(file: BinaryIO, content: bytes | str | Callable[[BinaryIO], object]) -> None:
    if callable(content):
        content(file)
    else:
        file.write(content.encode() if isinstance(content, str) else content)


def _check_place(path: str | os.PathLike, target: Path) -> None:
    name = os.fspath(path)
    if target.is_dir():
        raise IsADirectoryError(f"{name} is a folder. Give the name of a file, such as 'model'.")
    if not target.parent.exists():
        raise FileNotFoundError(
            f"{name} cannot be written: there is no folder {target.parent}. Create it first."
        )
    if not target.parent.is_dir():
        raise NotADirectoryError(f"{name} cannot be written: {target.parent} is no folder.")
    # A rename would replace what the system protects from being written to.
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(f"{name} is write-protected. Allow writing, or give another name.")


def _flush_folder(folder: Path) -> None:
    """Make the new name last, where the system lets a folder be flushed."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
