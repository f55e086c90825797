"""Work that is shared out, whatever it is worth."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from skcfq.solvers import _batches, _sharing


@pytest.fixture
def shared(monkeypatch):
    """Share any work out, and wait here until a worker has answered; return what workers say."""
    begun, said = threading.Event(), []
    tell, solved = _sharing.Sharing._tell, _batches.Batches._solved

    def noted(self, rows, answer):
        said.append(answer)
        begun.set()
        tell(self, rows, answer)

    def later(self, rows):
        assert begun.wait(300)
        return solved(self, rows)

    slow = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(_batches, "Pace", lambda *of: slow)
    monkeypatch.setattr(_sharing.Sharing, "_tell", noted)
    monkeypatch.setattr(_batches.Batches, "_solved", later)
    return said
