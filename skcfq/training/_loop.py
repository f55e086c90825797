"""The training loop: skorch over batches of rows. The one place that imports skorch."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, LRScheduler, PassthroughScoring
from skorch.utils import noop
from torch import Tensor, nn

from skcfq.exceptions import DivergenceWarning
from skcfq.nn import Batch, FaithfulModule, SampleTable, SupervisedModule, TrainingRows
from skcfq.training._batches import ShuffledBatches
from skcfq.training._bit_policies import LearnedBits
from skcfq.training._bit_search import BitSearch
from skcfq.training._interruption import tell_interruption
from skcfq.training._loop_settings import LoopSettings
from skcfq.training._task_groups import BoundedGroups, WorstGroup
from skcfq.training._validation import VALIDATION_COLUMNS, Validation
from skcfq.utils import HeldInterrupts, Progress, warn_user

# Updates between fits of the steps where these are not learned.
_UPDATES_OF_STEPS = 50
# Products of larger steps and clips would not be finite.
_LARGEST_LOG = 69.0
# The bit logits move in a few hundred updates, weights in thousands.
_POLICY_RATE = 0.02


@dataclass(frozen=True)
class Trained:
    """What a training has left, beside the module that it changed.

    Attributes
    ----------
    history : DataFrame of shape (n_passes, n_terms + 2)
        Mean of each loss term, validation figures and seconds of every complete pass.
    interrupted : bool
        Somebody has pressed Ctrl-C.
    """

    history: pd.DataFrame
    interrupted: bool = False


class _StopTraining(Exception):  # noqa: N818  (a signal, not an error)
    """A callback has ended the training."""


class _Diverged(Exception):  # noqa: N818  (a signal, not an error)
    """The loss, or a parameter, is no longer finite."""


class TensorNet(NeuralNet):
    """A skorch net whose module computes its own loss terms from a batch.

    The module's ``loss_terms(batch)`` returns a dict whose ``"loss"`` is minimized; every term is
    written to the history.
    """

    def __init__(
        self,
        module: Any,
        *,
        generator: torch.Generator,
        again: Tensor | None = None,
        **kwargs,
    ) -> None:
        super().__init__(module, criterion=nn.Identity, **kwargs)
        self.generator = generator
        self.again = again

    @property
    def _default_callbacks(self) -> list:
        loss = PassthroughScoring(name="train_loss", on_train=True)
        return [("epoch_timer", EpochTimer()), ("train_loss", loss)]

    def run(self, dataset: SampleTable) -> str:
        """Train until the last epoch, a callback's stop, Ctrl-C, or numbers that are not finite.

        Returns
        -------
        ended : {"done", "interrupted", "diverged"}
            After ``"diverged"`` the parameters are those after ``finite_passes`` passes.
        """
        ended = "done"
        self._keep_parameters()
        try:
            try:
                self.notify("on_train_begin", X=dataset, y=None)
                self.fit_loop(dataset)
            except _StopTraining:
                pass
            except KeyboardInterrupt:
                ended = "interrupted"
            except _Diverged:
                ended = "diverged"
            if ended == "diverged" or not self._usable():
                ended = "diverged"
                self._restore_parameters()
        finally:
            # Widths that are not chosen yet are chosen here, and the best pass is restored.
            with HeldInterrupts() as held:
                self._end()
        return "interrupted" if held.pressed and ended == "done" else ended

    def _end(self) -> None:
        with contextlib.suppress(_StopTraining):
            self.notify("on_train_end", X=None, y=None)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; a user's one may stop the training as skorch's early stopping does.

        That raises what Ctrl-C raises. In our own callbacks it can only be Ctrl-C.
        """
        getattr(self, method_name)(self, **kwargs)
        for _, callback in self.callbacks_:
            try:
                getattr(callback, method_name)(self, **kwargs)
            except KeyboardInterrupt as stop:
                if isinstance(callback, _NEVER_STOP):
                    raise
                raise _StopTraining from stop

    def on_epoch_begin(self, net: TensorNet, **kwargs: Any) -> None:
        # Before the callbacks: those that refit steps cannot do so from weights that are NaN.
        if not self._usable():
            raise _Diverged
        super().on_epoch_begin(net, **kwargs)

    def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
        if training:
            self._keep_parameters()
        super().run_single_epoch(iterator, training, *args, **kwargs)

    def get_iterator(self, dataset: SampleTable, training: bool = False) -> ShuffledBatches:
        return ShuffledBatches(dataset, self.batch_size, self.generator, self.again)

    def train_step_single(self, batch: Batch, **fit_params: Any) -> dict:
        self._set_training(True)
        terms = self.module_.loss_terms(batch)
        if not math.isfinite(terms["loss"].item()):
            raise _Diverged
        terms["loss"].backward()
        for name, value in terms.items():
            if name != "loss":
                self.history.record_batch(name, value.item())
        return {"loss": terms["loss"], "y_pred": None}

    def _parameters(self) -> Tensor:
        return torch.cat([one.detach().flatten() for one in self.module_.parameters()])

    def _usable(self) -> bool:
        """Tell whether all numbers are finite, steps and clips, kept as logarithms, among them."""
        logs = [one.detach() for name, one in self.module_.named_parameters() if "log_" in name]
        # Rounding divides by squares of steps.
        positive = [(one.exp() > 0) & ((2.0 * one.double()).exp() > 0) for one in logs]
        in_range = all(
            bool(((one < _LARGEST_LOG) & above).all())
            for one, above in zip(logs, positive, strict=True)
        )
        return in_range and bool(self._parameters().isfinite().all())

    def _keep_parameters(self) -> None:
        self.finite_passes = max(len(self.history) - 1, 0)
        self._kept = self._parameters()
        # Statistics of a user's normalization layers go wrong with the weights.
        self._kept_buffers = [one.clone() for one in self.module_.buffers()]

    @torch.no_grad()
    def _restore_parameters(self) -> None:
        parameters = list(self.module_.parameters())
        parts = self._kept.split([one.numel() for one in parameters])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.copy_(part.view_as(parameter))
        for buffer, kept in zip(self.module_.buffers(), self._kept_buffers, strict=True):
            buffer.copy_(kept)


class EpochProgress(Callback):
    """Tell how many passes over the data are done."""

    def __init__(self, phase: str) -> None:
        self.phase = phase

    def on_train_begin(self, net: TensorNet, **kwargs: Any) -> None:
        self.progress_ = Progress(self.phase, "epoch", net.max_epochs).__enter__()

    def on_epoch_end(self, net: TensorNet, **kwargs: Any) -> None:
        self.progress_.update(figures=f"loss={net.history[-1, 'train_loss']:.4f}")

    def on_train_end(self, net: TensorNet, **kwargs: Any) -> None:
        self.progress_.__exit__(None, None, None)


class ValidationScores(Callback):
    """Write what the network does on held-out rows into the history."""

    def __init__(self, validation: Validation) -> None:
        self.validation = validation

    def on_epoch_end(self, net: TensorNet, **kwargs: Any) -> None:
        for name, value in self.validation.figures().items():
            net.history.record(name, value)


class SettledStopping(EarlyStopping):
    """Early stopping that begins to count once the widths are chosen, and restores the best pass.

    A network whose widths still change has no best state: each pass is that of another network.
    """

    best_model_weights_: dict[str, Tensor] | None

    def on_epoch_end(self, net: TensorNet, **kwargs: Any) -> None:
        if not getattr(net.module_, "searching", False):
            super().on_epoch_end(net, **kwargs)

    def on_train_end(self, net: TensorNet, **kwargs: Any) -> None:
        # Also where the last pass was the best: it may have been interrupted since.
        if self.best_model_weights_ is not None:
            net.module_.load_state_dict(self.best_model_weights_)
            self.best_model_weights_ = None


class BitSchedule(Callback):
    """Search widths in the first passes, and tune the network at those that were found.

    Parameters
    ----------
    policy : LearnedBits
    calibration : tuple of two Tensors
        Rows that clips are refitted on, and their weights.
    n_passes : int
        Passes that search.
    """

    def __init__(
        self, policy: LearnedBits, calibration: tuple[Tensor, Tensor], n_passes: int
    ) -> None:
        self.policy = policy
        self.calibration = calibration
        self.n_passes = n_passes

    def on_train_begin(self, net: TensorNet, X: SampleTable | None = None, **kwargs: Any) -> None:
        assert X is not None
        given = self.policy, net.module_, X, self.calibration, self.n_passes
        self.search_ = BitSearch(*given)

    def on_epoch_begin(self, net: TensorNet, **kwargs: Any) -> None:
        if net.module_.searching:
            self.search_.begin(len(net.history) - 1)

    def on_train_end(self, net: TensorNet, **kwargs: Any) -> None:
        # Also where the search took the whole training, or was stopped early.
        if net.module_.searching:
            self.search_.settle()


class FittedSteps(Callback):
    """Weight steps of least squared error in the place of learned ones, as in PACT."""

    def on_train_begin(self, net: TensorNet, **kwargs: Any) -> None:
        self.updates = 0
        for layer in net.module_.network.quantized_layers:
            layer.log_steps.requires_grad_(False)

    def on_batch_begin(self, net: TensorNet, training: bool = False, **kwargs: Any) -> None:
        if training:
            if self.updates % _UPDATES_OF_STEPS == 0:
                net.module_.network.refit(unselected_only=False)
            self.updates += 1


class GroupUpdates(Callback):
    """Move the weights of groups after every pass.

    Parameters
    ----------
    update : WorstGroup or BoundedGroups
        The trained module to what is to be told of it, in ``columns``.
    """

    def __init__(self, update: WorstGroup | BoundedGroups) -> None:
        self.update = update

    def on_epoch_end(self, net: TensorNet, **kwargs: Any) -> None:
        for name, value in self.update(net.module_).items():
            net.history.record(name, value)


_NEVER_STOP = (
    EpochTimer,
    PassthroughScoring,
    LRScheduler,
    EpochProgress,
    ValidationScores,
    BitSchedule,
    FittedSteps,
    GroupUpdates,
)


def train(
    module: SupervisedModule | FaithfulModule,
    rows: TrainingRows,
    settings: LoopSettings,
    *,
    generator: torch.Generator,
    again: Tensor | None = None,
    validation: Validation | None = None,
) -> Trained:
    """Minimize the module's loss with Adam.

    Parameters
    ----------
    module : Module
        With ``loss_terms(batch)``; trained in place.
    rows : TrainingRows
    settings : LoopSettings
    generator : torch.Generator
        Shuffles the rows; on the device of the settings.
    again : Tensor of shape (k,), int64, optional
        Positions of rows that every pass visits once more, for each time they are listed.
    validation : Validation, optional
        Held-out rows that every pass is judged on; on the same device.

    Returns
    -------
    trained : Trained

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C was pressed before the first pass was over, or the training is a part of a search.

    Warns
    -----
    InterruptedWarning
        Ctrl-C was pressed after the first pass; the module is as it was then, its widths chosen.
    DivergenceWarning
        A number was not finite; the module is as it was before that pass.
    """
    net = TensorNet(
        module,
        generator=generator,
        again=again,
        max_epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=settings.learning_rate,
        optimizer__weight_decay=settings.weight_decay,
        optimizer__param_groups=[
            ("*log_*", {"weight_decay": 0.0}),
            ("*policy.*", {"weight_decay": 0.0, "lr": _POLICY_RATE}),
        ],
        train_split=None,
        verbose=0,
        callbacks=_callbacks(module, settings, validation),
        device=str(settings.device),
    )
    net.initialize()
    ended = net.run(SampleTable(rows.to(settings.device), module.needs_points))
    columns = ["epoch", "train_loss", *module.term_names]
    columns += VALIDATION_COLUMNS if validation is not None else []
    for callback in settings.callbacks:
        columns += callback.update.columns if isinstance(callback, GroupUpdates) else []
    history = _complete(net, [*columns, "dur"], net.finite_passes if ended == "diverged" else None)
    _warn(ended, len(history), settings)
    return Trained(history.rename(columns={"dur": "seconds"}), interrupted=ended == "interrupted")


def _callbacks(
    module: SupervisedModule | FaithfulModule,
    settings: LoopSettings,
    validation: Validation | None,
) -> list:
    """Return the callbacks: those of a user read what is written before, and stopping is last."""
    names = module.term_names
    found: list = [(one, PassthroughScoring(name=one, on_train=True)) for one in names]
    if validation is not None:
        found.append(ValidationScores(validation))
    if settings.anneal:
        cosine = LRScheduler("CosineAnnealingLR", T_max=settings.max_epochs, step_every="epoch")
        found.append(cosine)
    if settings.verbose:
        found.append(EpochProgress(settings.name))
    found.extend(settings.callbacks)
    if validation is not None and settings.patience is not None:
        fall, mode = settings.least_fall
        how = {"threshold": fall, "threshold_mode": mode, "load_best": True, "sink": noop}
        found.append(SettledStopping("valid_loss", settings.patience, **how))
    return found


def _complete(net: TensorNet, columns: list[str], n_passes: int | None) -> pd.DataFrame:
    """Return the history of the passes that were finished, and kept."""
    rows = [{key: row[key] for key in columns if key in row} for row in net.history]
    # A term that nobody is there for is in no row; of an interrupted pass the last row lacks some.
    known = {"epoch", "train_loss", "dur", *(key for row in rows for key in row)}
    found = [one for one in columns if one in known or one == "valid_loss"]
    if rows and not set(found) <= set(rows[-1]):
        rows.pop()
    return pd.DataFrame(rows[:n_passes], columns=found)


def _warn(ended: str, n_passes: int, settings: LoopSettings) -> None:
    name, last = settings.name, settings.max_epochs
    where = f"in pass {min(n_passes + 1, last)} of {last}"
    if ended == "interrupted":
        if n_passes == 0:
            raise KeyboardInterrupt
        tell_interruption(name, where)
    if ended == "diverged":
        kept = f"that after pass {n_passes}" if n_passes else "the one it started from"
        warn_user(
            f"Training of {name}: the loss or a weight is no longer finite {where}. The network "
            f"is {kept}. Lower learning_rate_init, which is {settings.learning_rate:g}.",
            DivergenceWarning,
        )
