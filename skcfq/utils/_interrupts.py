"""Ctrl-C, and short work that it must not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any


class HeldInterrupts:
    """Hold Ctrl-C back while something short is written, and tell afterwards whether it came.

    What the handler of the signal does is done at the end; ``pressed`` says whether that was to
    raise KeyboardInterrupt. Who presses twice does not wait for the end. Outside of the main
    thread, where Python raises no KeyboardInterrupt, nothing is held.

    Attributes
    ----------
    pressed : bool

    Examples
    --------
    >>> import signal
    >>> before = signal.signal(signal.SIGINT, signal.default_int_handler)
    >>> with HeldInterrupts() as held:
    ...     signal.raise_signal(signal.SIGINT)
    ...     whole = True
    >>> whole, held.pressed
    (True, True)
    >>> handler = signal.signal(signal.SIGINT, before)
    """

    def __init__(self) -> None:
        self.pressed = False
        self._handler: Any = None
        self._came: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> HeldInterrupts:
        handler = signal.getsignal(signal.SIGINT)
        # Not a function: the signal is ignored, or ends the process.
        if callable(handler):
            self._handler = handler
            try:
                signal.signal(signal.SIGINT, self._note)
            except ValueError:
                self._handler = None
        return self

    @property
    def came(self) -> bool:
        """Whether Ctrl-C was held back so far."""
        return self._came is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            self._handler(number, frame)
        self._came = number, frame

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._handler is None:
            return
        signal.signal(signal.SIGINT, self._handler)
        if self._came is not None:
            try:
                self._handler(*self._came)
            except KeyboardInterrupt:
                self.pressed = True


@contextmanager
def interrupts_heard() -> Iterator[None]:
    """Hear Ctrl-C inside, where it is held back around; at once, where it came before.

    Raises
    ------
    KeyboardInterrupt
    """
    holders = []
    handler: Any = signal.getsignal(signal.SIGINT)
    while type(getattr(handler, "__self__", None)) is HeldInterrupts:
        holders.append(handler.__self__)
        handler = handler.__self__._handler
    if not holders or threading.current_thread() is not threading.main_thread():
        yield
        return
    if any(one.came for one in holders):
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, holders[0]._note)


class NotedInterrupts(HeldInterrupts):
    """Let Ctrl-C through, and tell afterwards whether it came: some libraries swallow it.

    Attributes
    ----------
    pressed : bool

    Examples
    --------
    >>> import signal
    >>> before = signal.signal(signal.SIGINT, signal.default_int_handler)
    >>> with NotedInterrupts() as noted:
    ...     try:
    ...         signal.raise_signal(signal.SIGINT)
    ...     except KeyboardInterrupt:
    ...         pass
    >>> noted.pressed
    True
    >>> handler = signal.signal(signal.SIGINT, before)
    """

    def _note(self, number: int, frame: FrameType | None) -> None:
        try:
            self._handler(number, frame)
        except KeyboardInterrupt:
            self.pressed = True
            raise
