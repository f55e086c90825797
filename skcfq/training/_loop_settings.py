"""How a module is trained, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, eq=False)
class LoopSettings:
    """How long, how fast and where a module is trained.

    Attributes
    ----------
    name : str
        Of what is trained, in warnings and on the progress bar.
    max_epochs, batch_size : int
    learning_rate, weight_decay : float
        Steps, clips and bit logits are never decayed.
    callbacks : sequence of skorch callbacks
    patience : int or None
        Passes without a lower validation loss after which the training stops, at the best one.
    device : torch.device or str
    verbose : bool
        Whether to show a progress bar.
    """

    name: str
    max_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    callbacks: Sequence[Any] = ()
    patience: int | None = None
    device: torch.device | str = "cpu"
    verbose: bool = False
