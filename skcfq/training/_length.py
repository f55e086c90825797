"""How long a network is trained that learns labels: until others' loss stops falling."""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from torch import nn

from skcfq.exceptions import SkcfqWarning
from skcfq.nn import SupervisedModule, TrainingRows
from skcfq.training._loop import train
from skcfq.training._loop_settings import LoopSettings
from skcfq.training._validation import Validation
from skcfq.utils import warn_user

# Share of the rows that the length is read off; the network is trained on all of them afterwards.
_SHARE = 0.2
# Updates, and passes at least, in which a loss that falls has fallen by this share of what knowing
# nothing but how frequent each label is would cost. Of few rows that are told apart the loss goes
# on falling for ever, by next to nothing.
_PATIENCE, _LEAST_PASSES, _FALL = 200, 3, 2e-3
# Updates of the trial at most, and of the training at least; large tables, a pass of which takes
# many, may have so many passes.
_MOST_UPDATES, _LEAST_UPDATES, _MOST_PASSES = 2500, 50, 30
# Updates where there are too few rows to hold some out.
_OF_FEW_ROWS = 200


def settled_passes(
    network: nn.Module, rows: TrainingRows, settings: LoopSettings, seed: int
) -> int:
    """Return the number of passes in which a network learns from rows what holds for others too.

    A copy of the network is trained on some of the rows, at a constant rate, until its loss on
    the others stops falling. The rate of the training itself falls to 0 along a cosine, so it
    takes twice as many updates to go as far.

    Parameters
    ----------
    network : Module
        Not changed.
    rows : TrainingRows
    settings : LoopSettings
        Of the training whose length is asked for; a user's callbacks are not called.
    seed : int

    Warns
    -----
    ConvergenceWarning
        The loss was still falling after as many updates as are allowed.

    Raises
    ------
    KeyboardInterrupt
    """
    batches = math.ceil(len(rows) / settings.batch_size)
    parts = _parts(rows, seed)
    if parts is None:
        return math.ceil(_OF_FEW_ROWS / batches)
    part, others = parts
    some = math.ceil(len(part) / settings.batch_size)
    most = max(math.ceil(_MOST_UPDATES / some), _MOST_PASSES)
    module = SupervisedModule(copy.deepcopy(network)).to(settings.device)
    trial = replace(
        settings,
        max_epochs=most,
        patience=max(math.ceil(_PATIENCE / some), _LEAST_PASSES),
        least_fall=(_FALL * _entropy(others), "abs"),
        anneal=False,
        callbacks=(),
        verbose=False,
    )
    with warnings.catch_warnings():
        # What is wrong shows again in the training itself.
        warnings.simplefilter("ignore", SkcfqWarning)
        trained = train(
            module,
            part,
            trial,
            generator=torch.Generator(settings.device).manual_seed(seed),
            validation=Validation(module, others.to(settings.device)),
        )
    if trained.interrupted:
        raise KeyboardInterrupt
    losses = trained.history["valid_loss"].to_numpy(dtype=float)
    if not np.isfinite(losses).any():
        return 1
    if len(losses) == most:
        warn_user(
            f"Training of {settings.name}: after {most * some} updates the loss on rows that were "
            "held out is still falling. Raise learning_rate_init, give max_iter, or standardize "
            "the columns.",
            ConvergenceWarning,
        )
    best = int(np.nanargmin(losses)) + 1
    return math.ceil(max(2 * best * some, _LEAST_UPDATES) / batches)


def _parts(rows: TrainingRows, seed: int) -> tuple[TrainingRows, TrainingRows] | None:
    """Split the rows, each label in the same shares; None where a label has too few of them."""
    labels = rows.labels.cpu().numpy()
    counts = np.unique(labels, return_counts=True)[1]
    if counts.min() < 2 or min(_SHARE * len(labels), (1 - _SHARE) * len(labels)) < len(counts):
        return None
    first, second = train_test_split(
        np.arange(len(labels)), test_size=_SHARE, random_state=seed, stratify=labels
    )
    return _take(rows, np.sort(first)), _take(rows, np.sort(second))


def _entropy(rows: TrainingRows) -> float:
    """Return the loss of a network that gives every row the frequencies of the labels."""
    totals = torch.bincount(rows.labels, weights=rows.weights.double())
    return float(torch.special.entr(totals / totals.sum()).sum())


def _take(rows: TrainingRows, positions: np.ndarray) -> TrainingRows:
    chosen = torch.from_numpy(positions)
    return TrainingRows(rows.rows[chosen], rows.labels[chosen], rows.weights[chosen])
