"""What the recourse of a teacher is remembered by."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skcfq import ActionSet
from skcfq.estimators import TeacherActions
from skcfq.training._memory import teacher_points

X, TARGET = np.arange(6.0).reshape(3, 2), np.zeros(3, dtype=np.int64)
GIVEN = {
    "actions": TeacherActions(),
    "teacher": SimpleNamespace(fingerprint="one", model=None),
    "action_set": ActionSet(),
    "X": X,
    "target": TARGET,
    "seed": 0,
}


@pytest.fixture
def computed(monkeypatch):
    calls = []

    def points(self, teacher, action_set, X, target, seed, *, verbose=False):
        calls.append(seed)
        return torch.zeros(len(X), 2, dtype=torch.float64), torch.ones(len(X), dtype=torch.bool)

    monkeypatch.setattr(TeacherActions, "points", points)
    return calls


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ({}, False),
        ({"actions": TeacherActions()}, False),
        ({"teacher": SimpleNamespace(fingerprint="one", model=None)}, False),
        ({"verbose": True}, False),
        ({"actions": TeacherActions(2)}, True),
        ({"teacher": SimpleNamespace(fingerprint="two", model=None)}, True),
        ({"action_set": ActionSet(max_changes=1)}, True),
        ({"X": X + 1}, True),
        ({"target": TARGET + 1}, True),
        ({"seed": 1}, True),
    ],
    ids=str,
)
def test_everything_that_matters_is_a_key(changed, anew, computed, tmp_path):
    first = teacher_points(str(tmp_path), **GIVEN)
    again = teacher_points(str(tmp_path), **{**GIVEN, **changed})
    assert len(computed) == (2 if anew else 1)
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one, other)
