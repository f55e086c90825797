"""Both models are asked about everybody, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.audit._batches import Batch, changes_by_person, joined
from skcfq.audit._checkpoint import Checkpoint
from skcfq.audit._loss_record import with_steps
from skcfq.audit._models import environment_record
from skcfq.audit._people import people_table
from skcfq.results import IssuedAdvice
from skcfq.utils import Progress, take_rows

if TYPE_CHECKING:
    from skcfq.models import Predictor
    from skcfq.solvers import RecourseSolver

ROLES = ("reference", "deployed")


@dataclass(frozen=True, eq=False)
class People:
    """Everybody, and who is asked about them.

    Attributes
    ----------
    models : (Predictor, Predictor)
    solver : RecourseSolver
    X : DataFrame or ndarray of shape (n, p)
    y : ndarray of shape (n,) or None
    background : DataFrame or ndarray
    control : Predictor or None
        The training of the second, in full precision.
    """

    models: tuple[Predictor, Predictor]
    solver: RecourseSolver
    X: Any
    y: np.ndarray | None
    background: Any
    control: Predictor | None = None

    def ask(self, size: int, checkpoint: Checkpoint | None, shown: bool) -> Batch:
        """Return all batches as one; what the checkpoint has is taken from there.

        Raises
        ------
        KeyboardInterrupt
            Ctrl-C: it says what was finished, and how to go on.
        """
        batches, n = [], 0
        try:
            with Progress("audit", "person", len(self.X), shown=shown) as progress:
                for batch, kept in self._batches(size, checkpoint):
                    batches.append(batch)
                    n += len(batch.table)
                    progress.update(len(batch.table), "from the checkpoint" if kept else "")
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_stopped(n, len(self.X), checkpoint)) from None
        return joined(batches)

    def _batches(self, size: int, checkpoint: Checkpoint | None) -> Iterator[tuple[Batch, bool]]:
        for start in range(0, len(self.X), size):
            kept = None if checkpoint is None else checkpoint.read(start)
            batch = self._solved(slice(start, start + size)) if kept is None else kept
            if kept is None and checkpoint is not None:
                checkpoint.write(start, batch)
            yield batch, kept is not None

    def _solved(self, rows: slice) -> Batch:
        results = self.solver.compare(
            *self.models, take_rows(self.X, rows), background=self.background, keep_partial=False
        )
        advice = IssuedAdvice.of(results[0])
        provenance = advice.provenance or {}
        table = people_table(*self.models, results, None if self.y is None else self.y[rows])
        return Batch(
            with_steps(table, self.models, self.control, results[0]),
            changes_by_person(advice),
            {
                "action_set": provenance.get("action_set"),
                "cost": advice.cost_definition,
                "feature_space": advice.space_fingerprint,
            },
            {role: one.protocol for role, one in zip(ROLES, results, strict=True)},
            environment_record(),
        )


def _stopped(n: int, of: int, checkpoint: Checkpoint | None) -> str:
    how = (
        "Nothing of it is kept: with checkpoint='FOLDER' (--checkpoint FOLDER in a shell), the "
        "same call goes on where it was stopped."
        if checkpoint is None
        else f"The same call with checkpoint={str(checkpoint.folder)!r} goes on from there."
    )
    return f"the audit was stopped after {n} of {of} people. {how}"
