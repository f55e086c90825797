"""Networks together with the loss that trains them: one call gives every term of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from skcfq.nn._batch import Batch
from skcfq.nn._feature_mixup import N_MIXUP, feature_mixup
from skcfq.nn._group_weights import GroupWeights
from skcfq.nn._losses import (
    cross_entropy,
    group_mean,
    logit_distance,
    margin_distance,
    target_margin,
    weighted_mean,
)
from skcfq.nn._quantized_mlp import QuantizedMLP
from skcfq.nn._quantized_network import QuantizedNetwork
from skcfq.nn._student_recourse import Matching
from skcfq.nn._term_sum import Part, TermSum, shares_of
from skcfq.quantization import GumbelBits


class SupervisedModule(nn.Module):
    """A network and its weighted cross-entropy.

    Parameters
    ----------
    network : Module
        Encoded rows to logits.
    """

    term_names: tuple[str, ...] = ()

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    needs_points = False

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return ``{"loss": ...}`` of one batch.

        Parameters
        ----------
        batch : Batch
            Its recourse points are not read.
        """
        logits = self.network(batch.rows)
        return {"loss": cross_entropy(logits, batch.labels, batch.row_weights)}


@dataclass(frozen=True)
class LossWeights:
    r"""Weight of every term of the objective; a term of weight 0 is not computed.

    Attributes
    ----------
    task : float
        Cross-entropy of the labels at x.
    distillation : float
        Distance to the teacher's logits at x.
    validity : float
        :math:`\eta`: cross-entropy of the target at x + δ.
    hinge, hinge_margin : float
        :math:`\beta` and :math:`\gamma`: shortfall of the target margin at x + δ.
    margins : float
        Distance to the teacher's target margin at x + δ.
    path : float
        Distance to the teacher's target margin at x + tδ, t uniform in (0, 1).
    mixup : float
        Distance to the teacher's logits at rows made by feature mixup.
    transition : float
        Logit distance at which the two distances turn from squared to absolute.
    """

    task: float = 1.0
    distillation: float = 0.0
    validity: float = 0.0
    hinge: float = 0.0
    hinge_margin: float = 0.1
    margins: float = 0.0
    path: float = 0.0
    mixup: float = 0.0
    transition: float = 0.5

    @property
    def at_points(self) -> bool:
        """Whether any term looks at the recourse points."""
        return max(self.validity, self.hinge, self.margins, self.path) > 0

    @property
    def of_teacher(self) -> bool:
        """Whether any term compares with the teacher's logits."""
        return max(self.distillation, self.margins, self.path, self.mixup) > 0


class FaithfulModule(nn.Module):
    r"""A quantized network and the CFQ objective (§4.2, Algorithm 2).

    Parameters
    ----------
    network : QuantizedNetwork
    policy : GumbelBits or None
        Learns the widths; None keeps those of ``network``.
    loss : LossWeights
    bit_penalty : float
        Weight :math:`\lambda` of the policy's ``bit_cost``.
    generator : torch.Generator
        Source of the Gumbel noise and of the samples on the paths.
    teacher : callable, optional
        Encoded rows (n, d), in the precision of the network, to logits; for the terms that compare
        with them.
    matching : Matching, optional
        Compares the student's own actions with the teacher's.
    online : callable, optional
        Positions and targets of people to what stands for their recourse points, and whether
        these are valid, computed for every batch; ``points`` are not read then.
    blocks : Tensor of shape (n_features, d), optional
        1 in the encoded columns of each raw feature, which feature mixup takes over together.
    quantized_samples : bool, default=False
        Batches hold what the network's ``first_inputs`` gave for the samples, which is paid once
        instead of in every batch; only where nothing else reads these.
    dither : bool, default=False
        In training mode, thresholds between coarse codes of a
        :class:`~skcfq.nn.QuantizedMLP` are drawn anew in every batch.
    worst_group : bool, default=False
        The terms at the recourse points are those of the worst group (Eq. 33), not of all.
    group_weights : Tensor of shape (n_groups,), optional
        Weight of each group in those terms; by default groups count by their rows.
    row_groups : GroupWeights, optional
        What each group counts in the terms at x; batches have ``row_groups`` then.

    Notes
    -----
    The terms at recourse points are weighted means over the rows that have a teacher action, so
    that their weight does not depend on how many people the teacher refuses.
    """

    blocks: Tensor | None

    def __init__(
        self,
        network: QuantizedNetwork,
        policy: GumbelBits | None,
        *,
        loss: LossWeights,
        bit_penalty: float,
        generator: torch.Generator,
        teacher: Callable[[Tensor], Tensor] | None = None,
        matching: Matching | None = None,
        online: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
        blocks: Tensor | None = None,
        quantized_samples: bool = False,
        dither: bool = False,
        worst_group: bool = False,
        group_weights: Tensor | None = None,
        row_groups: GroupWeights | None = None,
    ):
        super().__init__()
        self.network = network
        self.policy = policy
        self.searching = policy is not None
        self.temperature = 1.0
        self.loss = loss
        self.bit_penalty = bit_penalty
        self.generator = generator
        self.matching = matching
        self.quantized_samples = quantized_samples
        self.dither = dither
        self.worst_group = worst_group
        self.group_weights = group_weights
        self.row_groups = row_groups
        # Functions are no parameters: they stay out of the module's state.
        self._teacher = teacher
        self._online = online
        if blocks is not None and torch.equal(blocks, torch.eye(*blocks.shape).to(blocks)):
            blocks = None
        self.register_buffer("blocks", blocks, persistent=False)

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms beside the whole loss."""
        loss = self.loss
        names = ["task_loss"]
        names += ["distillation_loss"] * (loss.distillation > 0)
        names += ["mixup_loss"] * (loss.mixup > 0)
        names += ["validity_loss"] * loss.at_points
        names += [f"{name}_loss" for name in ("hinge", "margins", "path") if getattr(loss, name)]
        names += ["matching_loss"] * (self.matching is not None)
        return (*names, "average_bits")

    @property
    def needs_points(self) -> bool:
        """Whether batches need the recourse points that were computed before."""
        return self.loss.at_points and self._online is None

    def loss_terms(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of one batch, ``"loss"`` being their weighted sum.

        Parameters
        ----------
        batch : Batch
            With the recourse points if it ``needs_points``.
        """
        return self._terms(self.with_points(batch))

    def with_points(self, batch: Batch) -> Batch:
        """Return a batch with the recourse points that are computed when it comes, if any are.

        Parameters
        ----------
        batch : Batch
        """
        if self._online is None or batch.positions is None:
            return batch
        return batch.moved_by(self._online)

    def loss_at(self, bit_widths: Sequence[int], batch: Batch) -> float:
        """Return the loss of a batch at fixed widths, as in evaluation, without a bit penalty.

        What the loss draws at random is the same in every call, so that widths can be compared.

        Parameters
        ----------
        bit_widths : sequence of int of shape (L,)
        batch : Batch
            Of :meth:`with_points`.
        """
        network, searching = self.network, self.searching
        training, kept = network.training, network.unit_bit_widths
        drawn = self.generator.get_state()
        network.eval()
        network.set_bit_widths(bit_widths)
        self.searching = False
        self.generator.manual_seed(0)
        try:
            # The matching term alone needs gradients: those of the student's own steps.
            with torch.set_grad_enabled(self.matching is not None):
                return self._terms(batch)["loss"].item()
        finally:
            self.generator.set_state(drawn)
            self.searching = searching
            network.set_bit_widths(kept)
            network.train(training)

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        at_points = self.loss.at_points and batch.positions is not None
        policy = self.policy if self.searching else None
        selection = None if policy is None else policy.sample(self.temperature, self.generator)
        samples = self._samples(batch, at_points)
        # One pass for all samples: the quantization of the weights is paid once.
        logits = self._logits(samples, selection)
        total = TermSum()
        own = points = shares_of(batch.row_weights)
        if self.row_groups is not None:
            own = self.row_groups.shares(batch)
        shares = (own, points)
        if at_points and batch.acted is not None:
            shares = (own, shares_of(batch.point_weights))
        self._add_entropies(total, logits, batch, shares, at_points)
        if self._teacher is not None and self.loss.of_teacher:
            known = batch.known
            if known is not None and not at_points:
                known = known[: len(batch)]
            wanted = self._teacher_logits(samples, known)
            self._add_distances(total, logits, wanted, batch, shares, at_points)
        if total.apart is not None:
            assert batch.groups is not None
            combine = partial(group_mean, group_weights=self.group_weights, worst=self.worst_group)
            total.plus(combine(total.apart, batch.groups, batch.point_weights))
        if self.matching is not None and batch.positions is not None:
            total.terms["matching_loss"] = self._matching_loss(batch, selection)
            total.plus(total.terms["matching_loss"])
        terms = total.terms
        if policy is not None:
            assert selection is not None
            terms["average_bits"] = policy.expected_bits(selection.detach())
            total.plus(self.bit_penalty * policy.bit_cost(selection))
        else:
            terms["average_bits"] = torch.tensor(self.network.average_bits)
        assert total.value is not None
        terms["loss"] = total.value
        return terms

    def _logits(self, samples: Tensor, selection: Tensor | None) -> Tensor:
        network = self.network
        if not isinstance(network, QuantizedMLP):
            return network(samples, selection)
        moves = self.dither and network.training
        dither = partial(self._uniform, like=samples) if moves else None
        if self.quantized_samples:
            return network.from_first_inputs(samples, selection, dither)
        return network(samples, selection, dither)

    def _samples(self, batch: Batch, at_points: bool) -> Tensor:
        """Return where the network is asked: x, x + δ, x + tδ and mixed rows, below each other."""
        known, weights = batch.rows, batch.row_weights
        if at_points:
            known, weights = batch.samples, batch.weights
        samples = [known]
        if at_points and self.loss.path > 0:
            # One share for all: what is drawn must not depend on how many rows share a weight.
            share = self._uniform((), known)
            samples.append(torch.lerp(batch.moved_rows, batch.points, share))
        if self.loss.mixup > 0:
            uniform = partial(self._uniform, like=known)
            samples.append(feature_mixup(known, weights, self.blocks, uniform))
        return torch.cat(samples) if len(samples) > 1 else known

    def _uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def _teacher_logits(self, samples: Tensor, known: Tensor | None) -> Tensor:
        """Return the teacher's logits; it is asked only where they are not known."""
        assert self._teacher is not None
        if known is None:
            return self._teacher(samples).to(samples.dtype)
        if len(known) == len(samples):
            return known
        return torch.cat([known, self._teacher(samples[len(known) :]).to(samples.dtype)])

    def _add_entropies(
        self,
        total: TermSum,
        logits: Tensor,
        batch: Batch,
        shares: tuple[Tensor, Tensor],
        at_points: bool,
    ) -> None:
        """Add what asks for a class: of the labels at x, of the targets at x + δ."""
        loss, classes = self.loss, batch.labels
        parts = [Part("task_loss", loss.task, shares[0])]
        if at_points:
            classes = batch.classes
            parts.append(Part("validity_loss", loss.validity, shares[1], self._grouped))
        logits = logits if len(logits) == len(classes) else logits[: len(classes)]
        losses = nn.functional.cross_entropy(logits, classes, reduction="none")
        if self.row_groups is not None and self.network.training:
            self.row_groups.note(losses.detach()[: len(batch)], batch)
        total.add(losses, *parts)
        if at_points and loss.hinge > 0:
            reached = target_margin(logits[len(batch) :], batch.targets)
            short = torch.relu(loss.hinge_margin - reached)
            total.add(short, Part("hinge_loss", loss.hinge, shares[1], self._grouped))

    def _add_distances(
        self,
        total: TermSum,
        logits: Tensor,
        wanted: Tensor,
        batch: Batch,
        shares: tuple[Tensor, Tensor],
        at_points: bool,
    ) -> None:
        """Add what compares with the teacher's logits."""
        loss = self.loss
        of_points = []
        if at_points:
            names = ["margins"] + ["path"] * (loss.path > 0)
            weights = {name: getattr(loss, name) for name in names}
            of_points = [
                Part(f"{name}_loss" * (weight > 0), weight, shares[1], self._grouped)
                for name, weight in weights.items()
            ]
        # Of two classes, the distance of the logits is that of either margin.
        by_margin = at_points and logits.shape[1] > 2
        parts = [Part("distillation_loss" * (loss.distillation > 0), loss.distillation, shares[0])]
        parts += [Part("", 0.0, part.shares) for part in of_points] if by_margin else of_points
        if loss.mixup > 0:
            share = torch.full_like(logits[:N_MIXUP, 0], 1.0 / N_MIXUP)
            parts.append(Part("mixup_loss", loss.mixup, share.detach()))
        total.add(logit_distance(logits, wanted, loss.transition), *parts)
        if by_margin:
            targets = batch.targets.repeat(len(of_points))
            rows = slice(len(batch), len(batch) + len(targets))
            losses = margin_distance(logits[rows], wanted[rows], targets, loss.transition)
            total.add(losses, *of_points)

    @property
    def _grouped(self) -> bool:
        """Whether groups are weighed against each other."""
        return self.worst_group or self.group_weights is not None

    def _matching_loss(self, batch: Batch, selection: Tensor | None) -> Tensor:
        assert self.matching is not None
        assert batch.positions is not None
        weights = batch.point_weights
        # Rules are on the CPU; the student may be elsewhere.
        losses = self.matching.losses(
            lambda points: self.network(points.to(weights), selection).to(points),
            batch.positions.cpu(),
            batch.targets.cpu(),
        )
        return weighted_mean(losses.to(weights), weights)
