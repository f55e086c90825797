"""Work that is shared out, whatever it is worth."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from skcfq.solvers import _batches, _sharing


@pytest.fixture
def shared(monkeypatch):
    """Share any work out, and wait here until a worker has answered; return what workers say."""
    return share_and_wait(monkeypatch, lambda answer: True)


@pytest.fixture
def shared_until_death(monkeypatch):
    """Share any work out, and do nothing here before a worker has died."""
    return share_and_wait(monkeypatch, lambda answer: isinstance(answer, BaseException))


def share_and_wait(monkeypatch, suffices):
    waits, said = threading.Event(), []
    waits.set()
    enter, tell = _sharing.Sharing.__enter__, _sharing.Sharing._tell
    solved = _batches.Batches._solved

    def entered(self):
        if not said:
            waits.clear()
        return enter(self)

    def noted(self, rows, answer):
        said.append(answer)
        if suffices(answer):
            waits.set()
        tell(self, rows, answer)

    def later(self, rows):
        assert waits.wait(200)
        return solved(self, rows)

    slow = SimpleNamespace(seconds=100.0, timed=nullcontext)
    monkeypatch.setattr(_batches, "Pace", lambda *of: slow)
    monkeypatch.setattr(_sharing.Sharing, "__enter__", entered)
    monkeypatch.setattr(_sharing.Sharing, "_tell", noted)
    monkeypatch.setattr(_batches.Batches, "_solved", later)
    return said
