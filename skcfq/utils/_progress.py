"""How far work is: a bar where somebody watches, one line a phase in a log, or nothing."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class Progress:
    """Tell on standard error how far a phase is.

    In a terminal or a notebook that is a bar. Elsewhere it is one line at the end of the phase,
    with the time that it took, so that a log has nothing else.

    Parameters
    ----------
    phase : str
    unit : str
        What is counted, in the singular.
    total : int, optional
    shown : bool, default=True
        False tells nothing.

    Examples
    --------
    >>> with Progress("recourse", "person", 10, shown=False) as progress:
    ...     progress.update(4)
    """

    def __init__(self, phase: str, unit: str, total: int | None = None, *, shown: bool = True):
        self._phase, self._unit, self._total, self._shown = phase, unit, total, shown
        self._count = 0
        self._figures = ""
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._shown:
            self._bar = _bar(self._phase, self._unit, self._total)
            self._begin = time.monotonic()
        return self

    def update(self, count: int = 1, figures: str = "") -> None:
        """Count what was done, and tell figures beside it."""
        self._count += count
        self._figures = figures
        if self._bar is not None:
            if figures:
                self._bar.set_postfix_str(figures, refresh=False)
            self._bar.update(count)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._shown:
            print(self._line(time.monotonic() - self._begin), file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        total = self._count if self._total is None else self._total
        of = "" if self._count == total else f" of {total}"
        unit = self._unit if total == 1 else _PLURALS.get(self._unit, f"{self._unit}s")
        figures = f", {self._figures}" if self._figures else ""
        return f"{self._phase}: {self._count}{of} {unit} in {seconds:.1f} s{figures}"


_PLURALS = {"person": "people", "pass": "passes"}


def _bar(phase: str, unit: str, total: int | None) -> Any:
    """Return a bar where it can be drawn over and over, and None elsewhere."""
    if not (sys.stderr.isatty() or "ipykernel" in sys.modules):
        return None
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=phase, unit=unit)
