"""The page of what is proved for which advice, in its version of a few seconds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PAPER = Path(__file__).parents[2] / "examples" / "paper"
pytestmark = pytest.mark.skipif(not PAPER.is_dir(), reason="no examples here")


@pytest.mark.filterwarnings("ignore::skcfq.exceptions.EmptyPopulationWarning")
def test_every_row_agrees_with_itself(capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(PAPER))
    spec = importlib.util.spec_from_file_location("guarantees", PAPER / "guarantees.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    page.main(["--smoke"])
    told = capsys.readouterr()
    rows = [line.split() for line in told.out.splitlines() if line[:3] in page.STUDENTS]
    assert [row[:3] for row in rows] == [[s, "4", m] for s in page.STUDENTS for m in ("0.0", "0.5")]
    assert [line.split()[:2] for line in told.err.splitlines()[1:]] == [
        ["generated:", student] for student in page.STUDENTS
    ]
    for row in rows:
        exact, sampled, product, misread, one_sided, *boxes, left, survive = map(float, row[3:])
        bound, robust = boxes[:3], boxes[3:]
        assert one_sided == survive >= exact >= sampled >= 0 and exact >= product
        assert survive >= robust[0] >= robust[1] >= robust[2] and left == 0
        assert all(proved <= decided for proved, decided in zip(bound, robust, strict=True))
        assert misread == int(misread)
    assert any(float(row[7]) > float(row[3]) for row in rows)
