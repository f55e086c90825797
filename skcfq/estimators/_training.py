"""The training loop: skorch over slices of tensors. The one place that imports skorch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, LRScheduler, PassthroughScoring
from torch import Tensor, nn
from torch.utils.data import TensorDataset
from tqdm.auto import tqdm

from skcfq.nn import FaithfulModule, SupervisedModule

# Small networks settle after about so many updates. On tiny tables that would be so many passes
# that the network learns the table by heart.
_UPDATES, _MIN_EPOCHS, _MAX_EPOCHS = 2500, 15, 30
_LONG_UPDATES, _LONG_EPOCHS = 5000, 300
# Visits of a row with an action in one pass, at most.
_MOST_VISITS = 8
# Times that the steps of unsampled widths are refitted while widths are searched.
_REFITS = 8
# Rows that clips are refitted on.
_CALIBRATION_ROWS = 2048
# The bit logits move in a few hundred updates, weights in thousands.
_POLICY_RATE = 0.02


class TensorBatches:
    """Shuffled slices of tensors: a loader without the per-row work of a loader."""

    def __init__(
        self,
        tensors: tuple[Tensor, ...],
        batch_size: int,
        generator: torch.Generator,
        again: Tensor | None = None,
    ):
        self.tensors = tensors
        self.batch_size = batch_size
        self.generator = generator
        # Positions of rows that every pass visits once more, for each time they are listed.
        self.again = torch.empty(0, dtype=torch.int64) if again is None else again

    def __len__(self) -> int:
        return math.ceil((len(self.tensors[0]) + len(self.again)) / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        n = len(self.tensors[0])
        if n <= self.batch_size:
            yield self.tensors
            return
        visits = torch.cat([torch.arange(n), self.again])
        order = visits[torch.randperm(len(visits), generator=self.generator)]
        # Batches of nearly equal size: a last batch of one row would be all noise.
        for rows in order.tensor_split(len(self)):
            yield tuple(tensor.index_select(0, rows) for tensor in self.tensors)


class _StopTraining(Exception):  # noqa: N818  (a signal, not an error)
    """A callback has ended the training."""


class TensorNet(NeuralNet):
    """A skorch net whose module computes its own loss terms from a batch.

    The module's ``loss_terms(*batch)`` returns a dict whose ``"loss"`` is minimized; every term is
    written to the history.
    """

    def __init__(
        self,
        module: Any,
        *,
        generator: torch.Generator,
        again: Tensor | None = None,
        **kwargs,
    ):
        super().__init__(module, criterion=nn.Identity, **kwargs)
        self.generator = generator
        self.again = again

    @property
    def _default_callbacks(self) -> list:
        loss = PassthroughScoring(name="train_loss", on_train=True)
        return [("epoch_timer", EpochTimer()), ("train_loss", loss)]

    def run(self, dataset: TensorDataset) -> None:
        """Train until the last epoch, or until a callback stops the training."""
        self.notify("on_train_begin", X=dataset, y=None)
        try:
            self.fit_loop(dataset)
        except _StopTraining:
            pass
        finally:
            self.notify("on_train_end", X=dataset, y=None)

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Call the callbacks; skorch's early stopping raises what Ctrl-C raises."""
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt as stop:
            raise _StopTraining from stop

    def get_iterator(self, dataset: Any, training: bool = False) -> TensorBatches:
        return TensorBatches(dataset.tensors, self.batch_size, self.generator, self.again)

    def train_step_single(self, batch: tuple[Tensor, ...], **fit_params: Any) -> dict:
        self._set_training(True)
        terms = self.module_.loss_terms(*batch)
        terms["loss"].backward()
        for name, value in terms.items():
            if name != "loss":
                self.history.record_batch(name, value.detach().item())
        return {"loss": terms["loss"], "y_pred": None}


class EpochBar(Callback):
    """Show the passes over the data as a progress bar."""

    def __init__(self, description: str):
        self.description = description

    def on_train_begin(self, net: TensorNet, **kwargs: Any) -> None:
        self.bar_ = tqdm(total=net.max_epochs, desc=self.description, unit="epoch")

    def on_epoch_end(self, net: TensorNet, **kwargs: Any) -> None:
        self.bar_.set_postfix(loss=f"{net.history[-1, 'train_loss']:.4f}")
        self.bar_.update(1)

    def on_train_end(self, net: TensorNet, **kwargs: Any) -> None:
        self.bar_.close()


class BitSchedule(Callback):
    """Cool the policy, keep the steps of unsampled widths fresh, and make the choice discrete.

    During the search widths are sampled at a falling temperature; afterwards the most probable
    widths that meet the budget exactly are fixed, and the network is tuned at them.

    Parameters
    ----------
    rows : Tensor of shape (n, n_encoded)
        Rows that clips are refitted on.
    weights : Tensor of shape (n,)
    search_epochs : int
    temperatures : tuple of (float, float)
    """

    def __init__(
        self,
        rows: Tensor,
        weights: Tensor,
        search_epochs: int,
        temperatures: tuple[float, float],
    ):
        self.rows = rows
        self.weights = weights
        self.search_epochs = search_epochs
        self.temperatures = temperatures

    def on_epoch_begin(self, net: TensorNet, **kwargs: Any) -> None:
        module = net.module_
        if not module.searching:
            return
        epoch = len(net.history) - 1
        if epoch >= self.search_epochs:
            self._settle(module)
            return
        widths = module.policy.allocate()
        changed = widths != module.network.bit_widths.tolist()
        if changed or epoch % max(self.search_epochs // _REFITS, 1) == 0:
            self._refresh(module, widths)
        first, last = self.temperatures
        share = epoch / max(self.search_epochs - 1, 1)
        module.temperature = first * (last / first) ** share

    def on_train_end(self, net: TensorNet, **kwargs: Any) -> None:
        # Also where the search took the whole training, or was stopped early.
        if net.module_.searching:
            self._settle(net.module_)

    def _settle(self, module: FaithfulModule) -> None:
        assert module.policy is not None
        self._refresh(module, module.policy.allocate())
        module.searching = False

    def _refresh(self, module: FaithfulModule, widths: list[int]) -> None:
        # First refit, then choose: a width that is chosen now has stale steps too.
        module.network.refit(unselected_only=True, x=self.rows, sample_weight=self.weights)
        module.network.set_bit_widths(widths)


def train(
    module: SupervisedModule | FaithfulModule,
    tensors: tuple[Tensor, ...],
    *,
    max_epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    generator: torch.Generator,
    callbacks: list,
    progress: str | None,
    again: Tensor | None = None,
) -> pd.DataFrame:
    """Minimize the module's loss with Adam and a cosine rate.

    Parameters
    ----------
    module : Module
        With ``loss_terms(*batch)``; trained in place.
    tensors : tuple of Tensor
        Rows, sliced together into batches.
    max_epochs, batch_size : int
    learning_rate, weight_decay : float
        Steps, clips and bit logits are never decayed.
    generator : torch.Generator
        Shuffles the rows.
    callbacks : list
        Skorch callbacks.
    progress : str or None
        Name of the progress bar; None shows none.
    again : Tensor of shape (k,), int64, optional
        Positions of rows that every pass visits once more, for each time they are listed.

    Returns
    -------
    history : DataFrame of shape (n_epochs, n_terms + 2)
        Mean of each loss term, and the seconds of each epoch.
    """
    names = module.term_names
    scores = [(name, PassthroughScoring(name=name, on_train=True)) for name in names]
    cosine = LRScheduler("CosineAnnealingLR", T_max=max_epochs, step_every="epoch")
    bar = [EpochBar(progress)] if progress else []
    net = TensorNet(
        module,
        generator=generator,
        again=again,
        max_epochs=max_epochs,
        batch_size=batch_size,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=learning_rate,
        optimizer__weight_decay=weight_decay,
        optimizer__param_groups=[
            ("*log_*", {"weight_decay": 0.0}),
            ("*policy.*", {"weight_decay": 0.0, "lr": _POLICY_RATE}),
        ],
        train_split=None,
        verbose=0,
        callbacks=[*scores, cosine, *bar, *callbacks],
    )
    net.initialize()
    net.run(TensorDataset(*tensors))
    columns = ["epoch", "train_loss", *names, "dur"]
    rows = [{key: row[key] for key in columns if key in row} for row in net.history]
    return pd.DataFrame(rows).rename(columns={"dur": "seconds"})


def epochs_for(
    n_rows: int, batch_size: int, max_iter: int | None, *, follows_teacher: bool = False
) -> int:
    """Return the number of passes: the one asked for, or enough for a few thousand updates.

    A student that follows its teacher's logits does not learn labels by heart: it may take more.
    """
    if max_iter is not None:
        return max_iter
    updates, most = (_LONG_UPDATES, _LONG_EPOCHS) if follows_teacher else (_UPDATES, _MAX_EPOCHS)
    wanted = round(updates / math.ceil(n_rows / batch_size))
    return min(max(wanted, _MIN_EPOCHS), most)


def visits_again(acted: Tensor) -> Tensor:
    """Return the rows that are visited again, so that half of all visits have an action."""
    rows = acted.nonzero().squeeze(1)
    times = round((len(acted) - len(rows)) / max(len(rows), 1)) - 1
    return rows.repeat(min(max(times, 0), _MOST_VISITS - 1))


def calibration_rows(n_rows: int, generator: torch.Generator) -> Tensor:
    """Draw the positions of the rows that clips are refitted on."""
    if n_rows <= _CALIBRATION_ROWS:
        return torch.arange(n_rows)
    return torch.randperm(n_rows, generator=generator)[:_CALIBRATION_ROWS]
