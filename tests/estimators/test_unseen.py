"""The protocol on tables that no default was chosen on: it runs, and says what it measures."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

PAPER = Path(__file__).parents[2] / "examples" / "paper"
pytestmark = pytest.mark.skipif(not PAPER.is_dir(), reason="no examples here")


def test_one_line_a_table_and_their_means(monkeypatch, capsys, short_teachers):
    """A fit and four solves: what else would notice that an example no longer runs?"""
    monkeypatch.setattr(sys, "argv", ["unseen.py", "--quick"])
    monkeypatch.syspath_prepend(PAPER)
    runpy.run_path(str(PAPER / "unseen.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    header, first = lines[0].split(), lines[1].split()
    means = [cell.strip() for cell in lines[-1].strip("|").split("|")]
    assert header[:2] == ["table", "seed"] and first[:2] == ["quick", "0"]
    assert means[:2] == ["quick", "1"]
    assert [float(cell.split()[0]) for cell in means[2:]] == pytest.approx(
        [float(cell) for cell in first[2:]], abs=5e-4, nan_ok=True
    )
    assert float(first[header.index("VD") - 1]) <= 1
