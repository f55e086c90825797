"""Say of two records whether they hold the same."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from arrays import Arrays
from recording import case_file


class Difference(NamedTuple):
    """How two arrays differ; numbers only where both have one shape and type."""

    what: str
    n: int = 0
    size: int = 0
    absolute: float = np.inf
    relative: float = np.inf

    def __str__(self) -> str:
        if not self.size:
            return self.what
        text = f"{self.what}: {self.n} of {self.size} entries differ"
        if np.isfinite(self.absolute):
            text += f", max abs {self.absolute:.3g}, max rel {self.relative:.3g}"
        return text

    def is_rounding(self, rtol: float, atol: float) -> bool:
        """Tell whether the user calls this a difference of the last digits."""
        return (rtol > 0 and self.relative <= rtol) or (atol > 0 and self.absolute <= atol)


def difference(name: str, a: np.ndarray, b: np.ndarray) -> Difference | None:
    """Return how two arrays differ, or None where they are the same to the last bit."""
    if a.shape != b.shape:
        return Difference(f"{name}: shape {a.shape} and {b.shape}")
    if a.dtype != b.dtype and not (a.dtype.kind == b.dtype.kind == "U"):
        return Difference(f"{name}: type {a.dtype} and {b.dtype}")
    if a.dtype.kind != "f":
        return _of_labels(name, a, b)
    bits = f"u{a.dtype.itemsize}"
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    same = (a.view(bits) == b.view(bits)) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return None
    with np.errstate(all="ignore"):
        gap = np.abs(a[~same].astype(float) - b[~same])
        largest = np.maximum(np.abs(a[~same]), np.abs(b[~same])).astype(float)
        relative = np.where(gap == 0, 0.0, gap / largest)
    gap, relative = (np.where(np.isfinite(one), one, np.inf) for one in (gap, relative))
    return Difference(name, int((~same).sum()), a.size, float(gap.max()), float(relative.max()))


def _of_labels(name: str, a: np.ndarray, b: np.ndarray) -> Difference | None:
    """Return how arrays of labels or whole numbers differ; that is never rounding."""
    n = int((a != b).sum())
    if not n:
        return None
    if a.ndim == 0:
        return Difference(f"{name}: {str(a)[:120]!r} and {str(b)[:120]!r}")
    return Difference(name, n, a.size)


class Verdict(NamedTuple):
    """What is said about a case."""

    word: str
    fails: bool
    lines: tuple[str, ...] = ()


def judge(a: Arrays, b: Arrays, rtol: float, atol: float) -> Verdict:
    """Compare what two versions recorded for one case."""
    if "exception" in a or "exception" in b:
        return _of_exceptions(a, b)
    shared = sorted(set(a) & set(b))
    found = [one for one in (difference(name, a[name], b[name]) for name in shared) if one]
    renamed, gone, new = pair_renamed(a, b)
    notes = [f"renamed: {old} → {now}" for old, now in renamed.items()]
    notes += [f"only in B: {name}" for name in new]
    broken = [one for one in found if not one.is_rounding(rtol, atol)]
    lines = [*map(str, found), *(f"only in A: {name}" for name in gone), *notes]
    if broken or gone:
        return Verdict("DIFFERS", True, tuple(lines))
    if found:
        worst = max(one.relative for one in found)
        word = f"rounding in the last digits, at most {worst:.3g} of a value"
        return Verdict(word, False, tuple(lines))
    return Verdict(f"identical ({len(shared) + len(renamed)} arrays)", False, tuple(notes))


def _of_exceptions(a: Arrays, b: Arrays) -> Verdict:
    texts = [str(one.get("exception", "a result")) for one in (a, b)]
    kinds = [str(one.get("exception_type", "")) for one in (a, b)]
    if texts[0] == texts[1]:
        return Verdict("identical (raises)", False, (texts[0],))
    lines = (f"A: {texts[0]}", f"B: {texts[1]}")
    if kinds[0] == kinds[1]:
        return Verdict("raises as before, with another text", False, lines)
    return Verdict("DIFFERS", True, lines)


def pair_renamed(a: Arrays, b: Arrays) -> tuple[dict[str, str], list[str], list[str]]:
    """Pair arrays of one content under two names; return them, those gone, and the new ones."""
    gone = [name for name in a if name not in b]
    new = [name for name in b if name not in a]
    renamed = {}
    for old in list(gone):
        same = [one for one in new if difference(old, a[old], b[one]) is None]
        same.sort(key=lambda one: one.rsplit("/", 1)[-1] != old.rsplit("/", 1)[-1])
        if same:
            renamed[old] = same[0]
            gone.remove(old)
            new.remove(same[0])
    return renamed, gone, new


def read_case(path: Path) -> Arrays:
    """Read the arrays of one case."""
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def names_in(folder: Path, only: str) -> list[str]:
    """Return the cases of a record."""
    names = sorted(path.stem.replace("__", "/") for path in (folder / "cases").glob("*.npz"))
    return [name for name in names if only in name]


def compare(
    first: Path, second: Path, only: str, rtol: float, atol: float, shown: int, but: list[str]
) -> int:
    """Print one line a case, without the arrays in `but`, and return the exit status."""
    theirs = set(names_in(second, only))
    counts: dict[str, int] = {}
    fails = 0
    for name in [*names_in(first, only), *sorted(theirs - set(names_in(first, only)))]:
        paths = case_file(first, name), case_file(second, name)
        if not all(path.is_file() for path in paths):
            missing = "B" if paths[0].is_file() else "A"
            verdict = Verdict(f"missing in {missing}", missing == "B")
        else:
            kept = (
                {key: value for key, value in read_case(path).items() if key not in but}
                for path in paths
            )
            verdict = judge(*kept, rtol, atol)
        more = [f"    {line}" for line in verdict.lines[:shown]]
        if len(verdict.lines) > shown:
            more.append(f"    … and {len(verdict.lines) - shown} more")
        print("\n".join([f"{name}: {verdict.word}", *more]))
        kind = verdict.word.split(",")[0].split(" (")[0]
        counts[kind] = counts.get(kind, 0) + 1
        fails += verdict.fails
    print("; ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
    return int(fails > 0 or not counts)
