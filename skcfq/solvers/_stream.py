"""A table that comes in parts."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone

from skcfq.exceptions import BackgroundRequiredError
from skcfq.models import as_predictor
from skcfq.results import RecourseResult
from skcfq.utils import Interval, Progress, as_table

_TOTAL = Interval(Integral, 0, None, closed="left")


def check_stream(chunks: Any, total: Any) -> None:
    """Refuse what gives no tables one after the other, and a number of rows that is none.

    Raises
    ------
    ValueError
    """
    is_table = hasattr(chunks, "columns") or (isinstance(chunks, np.ndarray) and chunks.ndim != 3)
    no_list = isinstance(chunks, str | bytes | Mapping) or not isinstance(chunks, Iterable)
    if is_table or no_list:
        what = "one table" if is_table else f"{chunks!r}"
        raise ValueError(
            f"`chunks` is {what}: give tables one after the other, such as [X] or "
            "pandas.read_csv(path, chunksize=10_000)."
        )
    if total is not None and not _TOTAL.is_satisfied_by(total):
        raise ValueError(f"total={total!r}: give the number of rows of all chunks, or None.")


def model_of_stream(model: Any, background: Any) -> Any:
    """Read a model once, at once; return it as it is where the types of its table are needed."""
    try:
        return as_predictor(model, background=background)
    except BackgroundRequiredError:
        if background is not None:
            raise
        return model


def solve_stream(
    solver: Any,
    model: Any,
    chunks: Iterable[Any],
    variants: Sequence[Any],
    total: int | None,
) -> Iterator[RecourseResult]:
    """Yield the result of each chunk; one that was interrupted is the last."""
    quiet = clone(solver).set_params(verbose=0)
    with Progress("recourse", "row", total, shown=bool(solver.verbose)) as progress:
        for position, chunk in enumerate(chunks):
            _check_chunk(chunk, position)
            model = as_predictor(model, example=chunk)
            result = quiet.solve(model, chunk, variants=variants)
            progress.update(len(chunk))
            yield result
            if result.interrupted:
                return


def _check_chunk(chunk: Any, position: int) -> None:
    try:
        n_dims = np.ndim(as_table(chunk))
    except ValueError:  # lists of different lengths
        n_dims = 0
    if n_dims != 2:
        raise ValueError(
            f"`chunks` gave {reprlib.repr(chunk)} at position {position}: each of them must be a "
            "table of 2 dimensions."
        )
