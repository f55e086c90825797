"""Choose the integer weights by what the logits lose, once the training is over.

Straight-through training ends with many weights that swing between two codes, and rounding each to
its nearest code is blind to what the others lose. Here the codes move between the two neighbors
of their weight, one at a time, as long as the logits come nearer to the teacher's; then biases and
steps are fitted to the codes, and all of it is repeated after a little training. A change stays
where it lowers the loss on the validation samples. These should hold some that nothing was fitted
to: a wide network has more codes than samples, and overfits to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from skcfq.nn._losses import logit_distance
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.nn._samples import Samples
from skcfq.nn._straight_through import Tuning, tune
from skcfq.quantization import quantize_activation, step_position
from skcfq.utils import HeldInterrupts

_PASSES = 8
# Of the shorter descents between rounds of straight-through training.
_PASSES_OF_ROUND = 2
# A pass that lowers the loss by less than this share is the last one.
_WORTHWHILE = 0.001
# Columns whose codes move before the network is asked again; until then, changes are linear.
_COLUMNS = 8
# With fewer values other than 0 than this share, a column is worth a copy of its rows.
_SPARSE = 0.3
# A change of one code must lower the loss by this share of it; less is rounding.
_LEAST_GAIN = 1e-7
# Levenberg's damping of the fit of biases and steps, and how often a step is halved.
_DAMPING, _HALVINGS = 1e-3, 4
_SMALLEST_TRANSITION = 1e-3


@torch.no_grad()
def reconstruct_logits(
    network: QuantizedMLP,
    samples: Samples,
    tuning: Tuning | None = None,
    validation: Samples | None = None,
) -> Iterator[float]:
    r"""Lower :math:`\sum_i \omega_i\,d(f_q(x_i), f(x_i))` over codes, steps and biases.

    Parameters
    ----------
    network : QuantizedMLP
        float64, at its fixed widths. It changes whenever a loss is yielded, and is never worse
        than before on the validation samples.
    samples : Samples
        What the codes are fitted to.
    tuning : Tuning, optional
        Straight-through training between one descent and the next.
    validation : Samples, optional
        Where a change must lower the loss to be kept; ``samples`` by default.

    Yields
    ------
    loss : float
        Mean :func:`logit_distance` on the validation samples: before the first pass, after every
        pass of the first descent, and after every round that follows.

    Notes
    -----
    Coordinate descent, so a heuristic. Of one input column after the other, the code whose change
    lowers the loss most goes to its other neighbor, until no change lowers it; the loss is taken
    as quadratic in the logits, iteratively reweighted, and the logits as linear in the codes of
    few columns. Biases and steps take damped Gauss-Newton steps. A layer whose new codes turn out
    to be worse on the network itself gets its old ones back. All of it in the precision of
    ``tuning``; without, in double.

    Where no single code is left to move, straight-through training moves many, and the next
    descent starts from there. A round that ends worse than it began is taken back.

    References
    ----------
    Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020, which
    reconstructs one layer after the other.
    """
    validation = samples if validation is None else validation
    if tuning is None:
        yield from _descend(network, samples, validation, _PASSES)
        return
    least = math.inf
    for least in _descend(network, samples, validation, _PASSES_OF_ROUND, tuning.dtype):
        yield least
    for _ in range(tuning.n_rounds):
        other = deepcopy(network)
        tune(other, tuning)
        *_, loss = _descend(other, samples, validation, _PASSES_OF_ROUND, tuning.dtype)
        if loss < least:
            with HeldInterrupts() as held:
                network.load_state_dict(other.state_dict())
            if held.pressed:
                raise KeyboardInterrupt
            least = loss
        yield least


def _descend(
    network: QuantizedMLP,
    samples: Samples,
    validation: Samples,
    n_passes: int,
    dtype: torch.dtype = torch.float64,
) -> Iterator[float]:
    student = _Student(network, samples, validation, dtype)
    changes: list[Callable[[], None]] = [
        partial(student.descend, position) for position in range(len(student.codes))
    ]
    changes.append(student.fit_scales)
    loss = student.validation_loss()
    yield loss
    for _ in range(n_passes):
        for change in changes:
            student.keep_if_better(change)
        student.write()
        before, loss = loss, student.validation_loss()
        yield loss
        if loss > (1 - _WORTHWHILE) * before:
            return


class _Compared(NamedTuple):
    """First inputs of the network at samples, the logits that are wanted there, and shares of 1."""

    inputs: Tensor
    wanted: Tensor
    shares: Tensor

    @classmethod
    def at(cls, samples: Samples, network: QuantizedMLP, dtype: torch.dtype) -> _Compared:
        shares = samples.weights / samples.weights.sum()
        given = (network.first_inputs(samples.rows), samples.wanted, shares)
        return cls(*(one.to(dtype) for one in given))

    def loss(self, logits: Tensor, transition: float) -> float:
        return float(self.shares @ logit_distance(logits, self.wanted, transition))


class _Effects(NamedTuple):
    """What the codes of one input column do to a loss that is quadratic in the differences.

    Slopes of shape (n D, n_out), inputs and weights of shape (n D), the loss, and its derivatives
    by the codes, shape (n_out). The products of inputs and slopes are never laid out.
    """

    slopes: Tensor
    inputs: Tensor
    weights: Tensor
    loss: float
    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, slopes: Tensor, inputs: Tensor, gap: Tensor, weights: Tensor) -> _Effects:
        inputs = inputs.unsqueeze(1).expand_as(gap).reshape(-1)
        slopes, gap = slopes.flatten(0, 1), gap.reshape(-1)
        pull = weights.reshape(-1) * gap
        weights = weights.reshape(-1) * inputs.square()
        first, second = slopes.T @ (pull * inputs), slopes.square().T @ weights
        return cls(slopes, inputs, weights, float(pull @ gap), first, second)

    def mixed(self, unit: int) -> Tensor:
        """Return the second derivatives by one code and each of all, shape (n_out,)."""
        return self.slopes.T @ (self.weights * self.slopes[:, unit])

    def of_moves(self, moves: Tensor) -> Tensor:
        """Return by how much the differences change, shape (n D,)."""
        return self.slopes @ moves * self.inputs


class _Student:
    """A network taken apart: codes, steps and biases of every layer, which change in place."""

    def __init__(
        self, network: QuantizedMLP, samples: Samples, validation: Samples, dtype: torch.dtype
    ):
        self.transition = samples.transition
        self.samples = _Compared.at(samples, network, dtype)
        self.validation = (
            self.samples if validation is samples else _Compared.at(validation, network, dtype)
        )
        self.layers = network.quantized_layers
        chosen = [(layer, layer.choice) for layer in self.layers]
        # Of each layer, or of each of its units, as its steps are.
        self.ranges = [
            [torch.as_tensor(ends, dtype=dtype) for ends in layer.codes_at(choice)]
            for layer, choice in chosen
        ]
        self.steps = [layer.steps_at(choice).to(dtype, copy=True) for layer, choice in chosen]
        self.biases = [layer.bias.to(dtype, copy=True) for layer in self.layers]
        self.clips = [layer.clip_at(choice) for layer, choice in chosen]
        # Weights in units of a step, as they were before any code moved.
        self.exact = [
            layer.weight.to(dtype) / _column(steps)
            for layer, steps in zip(self.layers, self.steps, strict=True)
        ]
        self.codes = [
            exact.round().clamp(*map(_column, ends))
            for exact, ends in zip(self.exact, self.ranges, strict=True)
        ]
        n_classes = samples.wanted.shape[1]
        # What `logit_distance` compares: the margin of two classes, or centered logits.
        centered = torch.eye(n_classes, dtype=dtype) - 1.0 / n_classes
        self.contrasts = (
            torch.tensor([[-1.0], [1.0]], dtype=dtype) if n_classes == 2 else 2 * centered
        )

    def weight(self, position: int) -> Tensor:
        return self.codes[position] * _column(self.steps[position])

    def forward(self, inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return what enters every layer, and what leaves it before its rectifier."""
        entering, leaving = [inputs], [self.leaving(0, inputs)]
        self.go_on(entering, leaving)
        return entering, leaving

    def go_on(self, entering: list[Tensor], leaving: list[Tensor]) -> None:
        """Add what enters and leaves the layers that follow."""
        for position in range(len(leaving), len(self.codes)):
            entering.append(quantize_activation(leaving[-1], *self.clips[position - 1]))
            leaving.append(self.leaving(position, entering[-1]))

    def leaving(self, position: int, entering: Tensor) -> Tensor:
        return torch.addmm(self.biases[position], entering, self.weight(position).T)

    def loss(self, compared: _Compared) -> float:
        return compared.loss(self.forward(compared.inputs)[1][-1], self.transition)

    def validation_loss(self) -> float:
        return self.loss(self.validation)

    def gap(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the differences, shape (n, D), and the weight of the square of each."""
        gap = (logits - self.samples.wanted) @ self.contrasts
        transition = max(self.transition, _SMALLEST_TRANSITION)
        weights = transition / gap.abs().clamp_min(transition)
        return gap, weights * self.samples.shares.unsqueeze(1)

    def slopes(self, leaving: list[Tensor], position: int) -> Tensor:
        """Return the derivative of the differences by what leaves a layer, (n, D, n_out)."""
        slopes = self.contrasts.T.expand(len(leaving[0]), *self.contrasts.T.shape)
        for k in range(len(leaving) - 2, position - 1, -1):
            clip, _ = self.clips[k]
            passes = (leaving[k] > 0) & (leaving[k] < clip)
            # One product of two matrices: a batch of n small ones takes four times as long.
            slopes = (slopes.flatten(0, 1) @ self.weight(k + 1)).unflatten(0, (len(passes), -1))
            slopes *= passes.unsqueeze(1)
        return slopes

    def keep_if_better(self, change: Callable[[], None]) -> None:
        """Make a change, and take it back where it raises the loss on the validation samples."""
        before = self.validation_loss()
        state = [[one.clone() for one in part] for part in (self.codes, self.steps, self.biases)]
        change()
        if self.validation_loss() > before:
            self.codes, self.steps, self.biases = state

    def descend(self, position: int) -> None:
        """Move codes of one layer, one input column after another."""
        entering, leaving = self.forward(self.samples.inputs)
        inputs, codes = entering[position], self.codes[position]
        for columns in torch.arange(codes.shape[1]).split(_COLUMNS):
            gap, weights = self.gap(leaving[-1])
            slopes = self.slopes(leaving, position) * self.steps[position]
            before = codes[:, columns]
            for j in columns.tolist():
                rows = inputs[:, j].nonzero().squeeze(1)
                if len(rows) == 0:
                    continue
                parts = [slopes, inputs[:, j], gap, weights]
                is_sparse = len(rows) < _SPARSE * len(inputs)
                if is_sparse:
                    parts = [part.index_select(0, rows) for part in parts]
                effects = _Effects.of(*parts)
                moves = self._moves(position, j, effects)
                if moves.any():
                    codes[:, j] += moves
                    changes = effects.of_moves(moves).view_as(parts[2])
                    gap[rows if is_sparse else slice(None)] += changes
            changed = (codes[:, columns] - before) * _column(self.steps[position])
            leaving[position].addmm_(inputs[:, columns], changed.T)
            del entering[position + 1 :], leaving[position + 1 :]
            self.go_on(entering, leaving)

    def _moves(self, position: int, column: int, effects: _Effects) -> Tensor:
        """Return by how much the codes of one column move: -1, 0 or 1 each."""
        low, high = self.ranges[position]
        codes, exact = self.codes[position][:, column], self.exact[position][:, column]
        floor, ceil = exact.floor().clamp(low, high), exact.ceil().clamp(low, high)
        first, second = effects.first, effects.second
        moved = torch.zeros_like(codes)
        for _ in range(2 * len(codes)):
            now = codes + moved
            step = torch.where(now == ceil, floor, ceil) - now
            gains = -step * (first + 0.5 * step * second)
            best = int(gains.argmax())
            if not gains[best] > _LEAST_GAIN * effects.loss:
                break
            moved[best] += step[best]
            first = first + step[best] * effects.mixed(best)
        return moved

    def fit_scales(self) -> None:
        """Take one damped Gauss-Newton step of all biases and of the logarithms of all steps."""
        _, leaving = self.forward(self.samples.inputs)
        gap, weights = self.gap(leaving[-1])
        parts = []
        for position, bias in enumerate(self.biases):
            slopes = self.slopes(leaving, position)
            by_step = slopes * (leaving[position] - bias).unsqueeze(1)
            if self.steps[position].ndim == 0:
                by_step = by_step.sum(dim=2, keepdim=True)
            parts += [slopes, by_step]
        jacobian = torch.cat(parts, dim=2).flatten(0, 1)
        weighted = jacobian * weights.reshape(-1, 1)
        normal = weighted.T @ jacobian
        diagonal = normal.diagonal()
        # Units that nothing depends on have a diagonal of 0, and stay.
        diagonal += _DAMPING * (diagonal + diagonal.max().clamp_min(1e-12))
        wanted = torch.linalg.solve(normal, -(weighted.T @ gap.reshape(-1)))
        biases, steps, least = self.biases, self.steps, self.loss(self.samples)
        for halving in range(_HALVINGS):
            changes = (wanted / 2**halving).split([part.shape[2] for part in parts])
            self.biases = [one + by for one, by in zip(biases, changes[::2], strict=True)]
            self.steps = [
                one * by.exp().reshape(one.shape)
                for one, by in zip(steps, changes[1::2], strict=True)
            ]
            if self.loss(self.samples) < least:
                return
        self.biases, self.steps = biases, steps

    def write(self) -> None:
        """Give the network what was found, all of it or nothing."""
        with HeldInterrupts() as held:
            for position, layer in enumerate(self.layers):
                steps = self.steps[position].double()
                layer.log_steps[step_position(layer.choice)] = steps.log()
                layer.weight.copy_(self.codes[position] * _column(steps))
                layer.bias.copy_(self.biases[position])
        if held.pressed:
            raise KeyboardInterrupt


def _column(values: Tensor) -> Tensor:
    """Return one value a layer as it is, and one a unit as a column."""
    return values.unsqueeze(1) if values.ndim else values
