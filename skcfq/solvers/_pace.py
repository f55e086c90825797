"""How long people take: what an earlier batch or call about the same model has shown."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.solvers.problems import Method

# Share of a processor that this process has where some are free.
_OWN = 0.75
# By model and name of the method: people of a batch, and seconds for each of them.
_known: WeakKeyDictionary[Predictor, dict[str, tuple[int, float]]] = WeakKeyDictionary()
# Methods that have solved somebody.
_loaded: set[str] = set()


class Pace:
    """Seconds a person with some method on some model.

    Parameters
    ----------
    method : Method
    predictor : Predictor
    least : int
        People of a batch that tells how long others take: fewer take longer, each of them.

    Attributes
    ----------
    seconds : float or None
        None as long as nothing is known.
    """

    def __init__(self, method: Method, predictor: Predictor, least: int) -> None:
        self._name, self._of_model = method.name, _known.setdefault(predictor, {})
        # Where no processor is free, nothing is worth sharing; a model that is only asked may wait.
        self._computes = method.gradients
        self._least, self._had_torch = least, "torch" in sys.modules
        people, seconds = self._of_model.get(self._name, (0, 0.0))
        self.seconds = seconds if people >= least else None

    @contextmanager
    def timed(self, people: int) -> Iterator[None]:
        """Note how long it takes to solve some people."""
        clock, processor = time.perf_counter(), time.process_time()
        yield
        seconds = time.perf_counter() - clock
        if self._computes:
            used = time.process_time() - processor
            if used < _OWN * seconds:
                # Others work on this machine: more processes would only take turns.
                self.seconds = None
                self._of_model.pop(self._name, None)
                return
            seconds = min(seconds, used)
        # The first batch may have an import in it that says nothing about the others.
        if people >= self._least and (self._name in _loaded or self._had_torch):
            self.seconds = seconds / people
            self._of_model[self._name] = people, self.seconds
        _loaded.add(self._name)
