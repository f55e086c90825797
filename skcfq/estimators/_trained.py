"""What the classifiers share that train a network: warm starts, early stopping and a history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from skcfq.estimators._network_classifier import NetworkClassifier
from skcfq.nn import TrainingRows
from skcfq.training import (
    TaskGroups,
    Trained,
    TrainingTable,
    draw_seed,
    held_out,
    joined,
    strata_of,
    tell_interruption,
)
from skcfq.utils import HeldInterrupts


class TrainedClassifier(NetworkClassifier):
    """Base of the classifiers that train their network."""

    history_: pd.DataFrame
    n_iter_: int
    class_weight: Any
    early_stopping: bool
    validation_fraction: float
    warm_start: bool

    @property
    def _goes_on(self) -> bool:
        """Whether a fit starts from the network of the previous one; parameters are valid."""
        return self.warm_start and hasattr(self, "network_")

    def _training_table(self, X: Any, y: Any, sample_weight: Any) -> TrainingTable:
        return self._read_table(X, y, sample_weight, class_weight=self.class_weight)

    def _hold_out(
        self,
        table: TrainingTable,
        rng: np.random.RandomState,
        task_groups: TaskGroups | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the positions of the rows that are trained on, and of the validation share."""
        of_groups = task_groups is not None and task_groups.holds_out
        if not (self.early_stopping or of_groups):
            return np.arange(len(table)), None
        fraction = self.validation_fraction
        strata = strata_of(table, fraction) if of_groups else table.labels
        return held_out(strata, fraction, draw_seed(rng))

    def _encoded(self, table: TrainingTable) -> TrainingRows:
        """Return a table as the training loop takes it, behind the fitted encoder."""
        return table.rows(self._encode(table.X))

    def _finish(self, network: nn.Module, trained: Trained) -> None:
        """Keep the trained network and what is to be told about its training."""
        history = trained.history
        with HeldInterrupts() as held:
            self.history_ = joined(self.history_, history) if self._goes_on else history
            self.n_iter_ = len(history)
            self._keep(network)
        self.interrupted_ = trained.interrupted
        if held.pressed:
            self._interrupted_in("at the end of its training")

    def _interrupted_in(self, where: str) -> None:
        """Say that Ctrl-C came after the training; in a search, give the fit up."""
        tell_interruption(type(self).__name__, where)
        self.interrupted_ = True

    def __getstate__(self) -> dict[str, Any]:
        """Write the history as arrays: skops knows no DataFrame."""
        state = dict(super().__getstate__())
        if isinstance(state.get("history_"), pd.DataFrame):
            history = state["history_"]
            state["history_"] = {name: history[name].to_numpy() for name in history.columns}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if isinstance(state.get("history_"), dict):
            state = {**state, "history_": pd.DataFrame(state["history_"])}
        super().__setstate__(state)
