"""The table of the comparison, for the terminal and for the documentation."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_COLUMNS = (
    "library", "people", "people/s", "ours is faster by", "favorable", "breaks a rule",
    "found", "mean cost", "cost / ours", "cheaper than ours",
)  # fmt: skip

_VERSIONS = "Versions"

# Packages and their versions, by environment.
Versions = dict[str, dict[str, str]]

_PROTOCOL = """# Beside other libraries

```console
make bench-peers
```

wrote this page (`--rows {rows} --seconds {seconds:g} --rounds {rounds}`): every library solves the
same refused rows of the same models, in one run, each in an environment of its own with pinned
versions (`examples/benchmarks/peers/requirements`), on one thread.

**What is asked.** Rows are in units of one standard deviation. The cost is the plain sum of
absolute changes (ℓ1 in standard deviations). Numbers that a table's action set lets people change
may move inside its bounds, or the observed range where it has none; all other columns are held.
Generated features are normal, cut at ±1.5, which is also where the bounds are. Grids, categories
and `max_changes` are left out, because most of the others cannot express them. Weights are handed
over as numbers, so that everyone faces the same model.

**How it is judged.** *People/s* counts people asked for per processor second inside the library's
process, after imports, setup and one warm-up batch (compilation is off the clock; DiCE is not
warmed up); a run of all people at once that takes less than two seconds is repeated for as long,
and its median counts. Ours includes reading the rules and verifying every answer on the raw row.
*Ours is faster by* is taken between neighbors in time: a library that is done within three
seconds is run {rounds} times, each time but the first right after ours, and the median of the
ratios counts, because a shared machine can be twice as fast a minute later. People/s are medians of
all runs. *Favorable*
is the share of people asked for whose point the model accepts; *breaks a rule* is the share of
answers that the model accepts but that leave the bounds or move a held column, by more than 1e-5;
*found* is what remains, and only this is compared. *Cost / ours* is the mean of ratios on the rows
that both found; mean costs are of different people where the numbers of people differ. *Cheaper
than ours* counts found points that cost less than ours by more than 1e-6 of it and 1e-7, or where
ours found none: on linear models, where the first line is an exact method, it must be 0.
Forests read single precision, and ours lie on numbers of that precision: halfway to the next one a
cost may be lower by some 1e-7 of the number. *One by one*, each person is a call of its own, the
model's own calls included.

**How the others are used.** ceml has no bounds: once it is used as it is, once with bounds added
to its program and a more precise solver (ECOS, slack 1e-6). jax-relax: `VanillaCF` with its
defaults and the rules as its constraint function, once through its own entry point, which compiles
at every call, and once under one more `jax.jit`, compiled off the clock. actionable-recourse: its
grid of 1 % of a feature's range, its own costs replaced by the common one. DiCE: `random` on linear
models, `gradient` on networks, one counterfactual, defaults otherwise; it rounds its points. alibi:
`Counterfactual` on a TensorFlow copy of the model, accepting probabilities from 0.5 to 0.6. treecf:
its exact search on the same fitted model. ElliCE: its continuous method with its defaults, which
asks for points that all last layers of nearly the same loss accept; once with a set so small that
it is one model, once with the default set, a harder question. A library stops after {seconds:g}
seconds, with the person it is at; what it had by then counts.
"""


@dataclass
class Line:
    """What one library reached on one problem; shares are of the people asked for."""

    name: str
    rows: int = 0
    speed: float = np.nan
    ratio: float = np.nan
    valid: float = np.nan
    outside: float = np.nan
    found: float = np.nan
    cost: float = np.nan
    excess: float = np.nan
    cheaper: int = 0
    note: str = ""

    def cells(self) -> list[str]:
        if not self.rows:
            return [self.name] + ["skipped"] + [""] * (len(_COLUMNS) - 2)
        return [
            self.name, f"{self.rows:,}", f"{self.speed:,.3g}" if self.speed < 100 else
            f"{self.speed:,.0f}", f"{self.ratio:,.3g}" if self.ratio < 100 else
            f"{self.ratio:,.0f}", f"{self.valid:.1%}", f"{self.outside:.1%}", f"{self.found:.1%}",
            f"{self.cost:.4f}", f"{self.excess:.6f}", f"{self.cheaper}",
        ]  # fmt: skip


def as_table(lines: list[Line]) -> str:
    """Return a Markdown table that is also aligned for a terminal."""
    rows = [list(_COLUMNS)] + [line.cells() for line in lines]
    widths = [max(len(row[j]) for row in rows) for j in range(len(_COLUMNS))]
    rows.insert(1, ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]])
    text = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        text.append(f"| {' | '.join(cells)} |")
    for line in lines:
        if line.note:
            what = f"stopped after {line.rows} people" if line.rows else "skipped"
            text += ["", f"{line.name} {what}: {line.note}"]
    return "\n".join(text)


def write_page(
    path: Path, tables: dict[str, list[Line]], versions: Versions, options: dict[str, float]
) -> None:
    """Write protocol, tables and versions as a page of the documentation."""
    sections = {title_of(name): as_table(lines) for name, lines in tables.items()}
    sections[_VERSIONS] = "\n".join(lines_of(versions).values())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_page(_PROTOCOL.format(**options), sections))


def update_page(
    path: Path, tables: dict[str, list[Line]], versions: Versions, options: dict[str, Any]
) -> None:
    """Put what a run of some problems gave onto the page, in the place of what stands there."""
    protocol, *rest = re.split("^## ", path.read_text(), flags=re.MULTILINE)
    parts = (section.split("\n", 1) for section in rest)
    sections = {title: text.strip() for title, text in parts}
    before = {line.split(":")[0]: line for line in sections.pop(_VERSIONS).splitlines()}
    said = {n: o if isinstance(o, str) else f"{o:g}" for n, o in options.items()}
    words = " ".join(f"--{name} {shlex.quote(option)}" for name, option in said.items())
    for name, lines in tables.items():
        note = f"That table is of a run of its own: `{words}`."
        sections[title_of(name)] = f"{as_table(lines)}\n\n{note}"
    now = dict(sorted((before | lines_of(versions)).items()))
    path.write_text(_page(protocol, sections | {_VERSIONS: "\n".join(now.values())}))


def title_of(name: str) -> str:
    return name[0].upper() + name[1:]


def lines_of(versions: Versions) -> dict[str, str]:
    """Return what every environment held, line by line; they differ in numpy and jax."""
    return {
        f"- {environment}": f"- {environment}: "
        + ", ".join(f"{name} {number}" for name, number in packages.items())
        for environment, packages in sorted(versions.items())
    }


def _page(protocol: str, sections: dict[str, str]) -> str:
    parts = [f"## {title}\n\n{text}\n" for title, text in sections.items()]
    return "\n".join([f"{protocol.strip()}\n", *parts])
