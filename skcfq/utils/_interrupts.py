"""Ctrl-C, and short work that it must not cut in two."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class HeldInterrupts:
    """Hold Ctrl-C back while something short is written, and tell afterwards whether it came.

    What the handler of the signal does is done at the end; ``pressed`` says whether that was to
    raise KeyboardInterrupt. Outside of the main thread, where Python raises none, nothing is held.

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

    def _note(self, number: int, frame: FrameType | None) -> None:
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
