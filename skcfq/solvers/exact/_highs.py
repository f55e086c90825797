"""The first HiGHS solver of a process, built without the banner that it prints."""

from __future__ import annotations

import ctypes
import os
import threading

_lock = threading.Lock()
_started = False


def start_highs_quietly() -> None:
    """Build one HiGHS solver with the standard output turned away, once in a process.

    From version 1.16 on, the constructor of the first solver of a process writes a banner to the
    file descriptor of the standard output, before any option can be set; it would end up between
    the lines of a program that prints JSON. What another thread writes there within the
    few milliseconds that this takes is lost.
    """
    global _started
    with _lock:
        if not _started:
            _build_one_unheard()
            _started = True


def _build_one_unheard() -> None:
    import highspy

    try:
        kept = os.dup(1)
    except OSError:
        # A process without a standard output has no line to spoil.
        highspy.Highs()
        return
    _flush_c_streams()
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        highspy.Highs()
        _flush_c_streams()
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _flush_c_streams() -> None:
    """Write out what the C library holds back, so that it goes where it belongs."""
    library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
    library.fflush(None)
