"""The models that were read last: advice for one more person need not read them again.

Nothing is believed that could be old. A model is known again only if it is the same object and
holds the same, down to the last weight, and so does its background; a model that was fitted again,
or whose weights were changed in place, is read again. Models with functions or classes of the
user's own, whose content says too little of what they do, are read each time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skcfq.models._heads import is_own_estimator
from skcfq.models._pipelines import split_model
from skcfq.models._predictor import Predictor
from skcfq.models._reading import as_predictor
from skcfq.utils import Content, KeptTable, content_of

# Predictors that are kept, and bytes of their models and backgrounds: they live so long.
_MOST, _LARGEST = 8, 1 << 28
# Bytes that a cell of a background takes.
_CELL = 16


def remembered_predictor(model: Any, background: Any, example: Any) -> Predictor:
    """Return what :func:`as_predictor` does, or what it has returned before for the same.

    Parameters
    ----------
    model : estimator, Predictor or function
    background : DataFrame, ndarray or None
    example : DataFrame or ndarray
        As in :func:`as_predictor`.

    Returns
    -------
    predictor : Predictor
        What it has worked out about the model is remembered with it.
    """
    content = content_of(model) if _can_be_known(model, background) else None
    if content is None:
        return as_predictor(model, background=background, example=example)
    found = _MEMORY.find(model, content, background)
    if found is None:
        found = as_predictor(model, background=background, example=example)
        _MEMORY.keep(_Entry(model, content, KeptTable(background), found))
    return found


def _can_be_known(model: Any, background: Any) -> bool:
    """Tell whether a reading follows from model and background, and these are not too large."""
    if isinstance(model, Predictor) or not hasattr(model, "predict"):
        return False
    if isinstance(background, (pd.DataFrame, np.ndarray)):
        return background.ndim == 2 and background.size * _CELL <= _LARGEST
    if background is not None:
        return False
    # Behind steps, the types of the rows that are asked about play a part.
    steps, final = split_model(model)
    return not (steps and is_own_estimator(final))


@dataclass(frozen=True, eq=False)
class _Entry:
    # It is held, so that no other object gets its address.
    model: Any
    content: Content
    background: KeptTable
    predictor: Predictor

    @property
    def size(self) -> int:
        return self.content.size + self.background.size


class _Memory:
    """Predictors and what they were read from, the one that was asked for last at the end."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._lock = threading.Lock()

    def find(self, model: Any, content: Content, background: Any) -> Predictor | None:
        with self._lock:
            # What the model was before, it will hardly be again.
            entries = [e for e in self._entries if e.model is not model or e.content == content]
            self._entries = entries
        for entry in reversed(entries):
            if entry.model is model and entry.background.holds(background):
                self._put_last(entry)
                return entry.predictor
        return None

    def keep(self, entry: _Entry) -> None:
        if entry.size <= _LARGEST and entry.background.is_settled:
            self._put_last(entry)

    def _put_last(self, entry: _Entry) -> None:
        with self._lock:
            entries = [*(other for other in self._entries if other is not entry), entry][-_MOST:]
            while sum(other.size for other in entries) > _LARGEST:
                del entries[0]
            self._entries = entries


_MEMORY = _Memory()
