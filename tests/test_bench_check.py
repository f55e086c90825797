"""What `make bench-check` calls lost, and that its budget tells of every benchmark."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("bench_check", ROOT / "tools" / "bench_check.py")
bench_check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench_check)

BUDGET = {"a": 1.0, "b": 10.0}


@pytest.mark.parametrize(
    ("figures", "lost"),
    [
        ({"a": 1.2, "b": 12.0}, []),
        ({"a": 0.1, "b": 12.1}, ["b"]),
        ({"a": 1.0}, ["b"]),
        ({"a": 1.0, "b": 1.0, "c": 1.0}, ["c"]),
        ({"a": float("nan"), "b": 1.0}, ["a"]),
    ],
)
def test_a_fifth_is_allowed_and_nothing_is_left_out(figures, lost):
    assert bench_check.beyond(figures, BUDGET) == lost


def test_the_least_of_several_tries_counts():
    tries = iter([{"a": 2.0, "b": 9.0}, {"a": 3.0, "b": 20.0}, {"a": 1.1, "b": 30.0}])
    assert bench_check.best_of(lambda: next(tries), BUDGET, 3) == {"a": 1.1, "b": 9.0}
    tries = iter([{"a": 1.0, "b": 9.0}])
    assert bench_check.best_of(lambda: next(tries), BUDGET, 3) == {"a": 1.0, "b": 9.0}


def test_every_benchmark_that_takes_part_has_a_budget():
    budget = json.loads(bench_check.BUDGET.read_text())
    assert sorted(budget) == bench_check.taking_part()
    assert all(value > 0 for figures in budget.values() for value in figures.values())


def test_lost_speed_fails_the_command(monkeypatch, tmp_path, capsys):
    file = tmp_path / "some_benchmark.py"
    file.write_text("def ratios():\n    return {'slow': 3.0, 'fast': 0.5}\n")
    monkeypatch.setattr(bench_check, "BENCHMARKS", tmp_path)
    monkeypatch.setattr(bench_check, "BUDGET", tmp_path / "budget.json")
    told = {"some_benchmark": {"slow": 2.0, "fast": 0.5}}
    bench_check.BUDGET.write_text(json.dumps(told))
    assert bench_check.main([]) == 1
    assert "LOST some_benchmark: slow" in capsys.readouterr().out
    assert bench_check.main(["--write"]) == 0
    assert bench_check.main([]) == 0
