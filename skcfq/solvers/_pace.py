"""How long people take: what an earlier batch or call about the same model has shown."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.solvers.problems import Method

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
        self._least, self._had_torch = least, "torch" in sys.modules
        people, seconds = self._of_model.get(self._name, (0, 0.0))
        self.seconds = seconds if people >= least else None

    def note(self, began: float, people: int) -> None:
        """Note that some people were begun with at a time, and are finished now."""
        # The first batch may have an import in it that says nothing about the others.
        if people >= self._least and (self._name in _loaded or self._had_torch):
            self.seconds = (time.perf_counter() - began) / people
            self._of_model[self._name] = people, self.seconds
        _loaded.add(self._name)
