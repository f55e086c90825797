"""Networks together with the loss that trains them: one call gives every term of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from skcfq.nn._acted_rows import ActedRows
from skcfq.nn._losses import (
    cross_entropy,
    group_mean,
    logit_distance,
    margin_distance,
    target_margin,
    weighted_mean,
)
from skcfq.nn._mixtures import N_MIXTURES, mixtures
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

    def loss_terms(self, rows: Tensor, labels: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """Return ``{"loss": ...}`` of one batch.

        Parameters
        ----------
        rows : Tensor of shape (n, d)
        labels : Tensor of shape (n,), int64
        weights : Tensor of shape (n,)
        """
        return {"loss": cross_entropy(self.network(rows), labels, weights)}


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
    mixture : float
        Distance to the teacher's logits at mixtures of people, which nobody in the data is.
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
    mixture: float = 0.0
    transition: float = 0.5

    @property
    def at_points(self) -> bool:
        """Whether any term looks at the recourse points."""
        return max(self.validity, self.hinge, self.margins, self.path) > 0

    @property
    def of_teacher(self) -> bool:
        """Whether any term compares with the teacher's logits."""
        return max(self.distillation, self.margins, self.path, self.mixture) > 0


class FaithfulModule(nn.Module):
    r"""A quantized network and the CFQ objective (§4.2, Algorithm 2).

    Parameters
    ----------
    network : QuantizedNetwork
    policy : GumbelBits or None
        Learns the widths; None keeps those of ``network``.
    loss : LossWeights
    bit_penalty : float
        Weight :math:`\lambda` of the excess of the average bits over the budget.
    generator : torch.Generator
        Source of the Gumbel noise and of the places on the paths.
    teacher : callable, optional
        Encoded rows (n, d), in the precision of the network, to logits; for the terms that compare
        with them.
    matching : Matching, optional
        Compares the student's own actions with the teacher's.
    online : callable, optional
        Positions and targets of people to their recourse points and whether these are valid,
        computed for every batch; ``points`` are not read then.
    blocks : Tensor of shape (n_features, d), optional
        1 in the encoded columns of each raw feature, which mixtures take over together.
    worst_group : bool, default=False
        The terms at the recourse points are those of the worst group (Eq. 33), not of all.
    group_weights : Tensor of shape (n_groups,), optional
        Weight of each group in those terms; by default groups count by their rows.

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
        worst_group: bool = False,
        group_weights: Tensor | None = None,
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
        self.worst_group = worst_group
        self.group_weights = group_weights
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
        names += ["mixture_loss"] * (loss.mixture > 0)
        names += ["validity_loss"] * loss.at_points
        names += [f"{name}_loss" for name in ("hinge", "margins", "path") if getattr(loss, name)]
        names += ["matching_loss"] * (self.matching is not None)
        return (*names, "average_bits")

    def loss_terms(
        self,
        rows: Tensor,
        labels: Tensor,
        weights: Tensor,
        points: Tensor | None = None,
        targets: Tensor | None = None,
        acted: Tensor | None = None,
        groups: Tensor | None = None,
        positions: Tensor | None = None,
        known: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Return the terms of one batch, ``"loss"`` being their weighted sum.

        Parameters
        ----------
        rows : Tensor of shape (n, d)
        labels : Tensor of shape (n,), int64
        weights : Tensor of shape (n,)
        points : Tensor of shape (n, d), optional
            Teacher recourse points x + δ; read where ``acted``.
        targets : Tensor of shape (n,), int64, optional
        acted : Tensor of shape (n,), bool, optional
            Rows that have a teacher action.
        groups : Tensor of shape (n,), int64, optional
            Group of each row.
        positions : Tensor of shape (n,), int64, optional
            Place of each row among the training rows, for ``matching`` and ``online``.
        known : Tensor of shape (n, 2, n_classes), optional
            The teacher's logits at the rows and at ``points``, where they were computed before.
        """
        people = None
        if points is not None and targets is not None and acted is not None:
            people = ActedRows(
                points,
                targets,
                weights,
                rows if self.loss.path > 0 else None,
                groups if self.worst_group or self.group_weights is not None else None,
                positions,
                None if known is None else known[:, 1],
            ).where(acted)
            if self._online is not None and positions is not None:
                people = people.moved_by(self._online)
        policy = self.policy if self.searching else None
        selection = None if policy is None else policy.sample(self.temperature, self.generator)
        at_points = people if self.loss.at_points else None
        places = self._places(rows, weights, at_points)
        # One pass for all places: the quantization of the weights is paid once.
        logits = self.network(places, selection)
        total = TermSum()
        own = shares_of(weights)
        shares = (own, own)
        if at_points is not None and at_points.weights is not weights:
            shares = (own, shares_of(at_points.weights))
        self._add_entropies(total, logits, labels, shares, at_points)
        if self._teacher is not None and self.loss.of_teacher:
            wanted = self._teacher_logits(places, known, at_points)
            self._add_distances(total, logits, wanted, shares, at_points)
        if total.apart is not None and at_points is not None:
            assert at_points.groups is not None
            combine = partial(group_mean, group_weights=self.group_weights, worst=self.worst_group)
            total.plus(combine(total.apart, at_points.groups, at_points.weights))
        if self.matching is not None and people is not None and positions is not None:
            total.terms["matching_loss"] = self._matching_loss(people, selection)
            total.plus(total.terms["matching_loss"])
        terms = total.terms
        if policy is not None:
            assert selection is not None
            terms["average_bits"] = policy.expected_bits(selection.detach())
            total.plus(self.bit_penalty * policy.bit_cost())
        else:
            terms["average_bits"] = torch.tensor(self.network.average_bits)
        assert total.value is not None
        terms["loss"] = total.value
        return terms

    def _places(self, rows: Tensor, weights: Tensor, people: ActedRows | None) -> Tensor:
        """Return where the network is asked: x, x + δ, x + tδ and mixtures, below each other."""
        places = [rows]
        if people is not None:
            places.append(people.points)
            weights = torch.cat([weights, people.weights])
            if people.rows is not None:
                # One place for all: what is drawn must not depend on how many rows share a weight.
                places.append(torch.lerp(people.rows, people.points, self._uniform((), rows)))
        if self.loss.mixture > 0:
            uniform = partial(self._uniform, like=rows)
            places.append(mixtures(torch.cat(places[:2]), weights, self.blocks, uniform))
        return torch.cat(places) if len(places) > 1 else rows

    def _uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def _teacher_logits(
        self, places: Tensor, known: Tensor | None, people: ActedRows | None
    ) -> Tensor:
        """Return the teacher's logits; it is asked only where they are not known."""
        assert self._teacher is not None
        parts = [] if known is None else [known[:, 0]]
        if parts and people is not None and people.known is not None:
            parts.append(people.known)
        n_known = sum(len(part) for part in parts)
        if n_known < len(places):
            parts.append(self._teacher(places[n_known:]).to(places.dtype))
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _add_entropies(
        self,
        total: TermSum,
        logits: Tensor,
        labels: Tensor,
        shares: tuple[Tensor, Tensor],
        people: ActedRows | None,
    ) -> None:
        """Add what asks for a class: of the labels at x, of the targets at x + δ."""
        loss, n = self.loss, len(labels)
        parts = [Part("task_loss", loss.task, shares[0])]
        if people is not None:
            labels = torch.cat([labels, people.targets])
            parts.append(Part("validity_loss", loss.validity, shares[1], people.grouped))
        logits = logits if len(logits) == len(labels) else logits[: len(labels)]
        total.add(nn.functional.cross_entropy(logits, labels, reduction="none"), *parts)
        if people is not None and loss.hinge > 0:
            short = torch.relu(loss.hinge_margin - target_margin(logits[n:], people.targets))
            total.add(short, Part("hinge_loss", loss.hinge, shares[1], people.grouped))

    def _add_distances(
        self,
        total: TermSum,
        logits: Tensor,
        wanted: Tensor,
        shares: tuple[Tensor, Tensor],
        people: ActedRows | None,
    ) -> None:
        """Add what compares with the teacher's logits."""
        loss = self.loss
        at_points = []
        if people is not None:
            names = ["margins"] + ["path"] * (people.rows is not None)
            weights = {name: getattr(loss, name) for name in names}
            at_points = [
                Part(f"{name}_loss" * (weight > 0), weight, shares[1], people.grouped)
                for name, weight in weights.items()
            ]
        # Of two classes, the distance of the logits is that of either margin.
        by_margin = people is not None and logits.shape[1] > 2
        parts = [Part("distillation_loss" * (loss.distillation > 0), loss.distillation, shares[0])]
        parts += [Part("", 0.0, part.shares) for part in at_points] if by_margin else at_points
        if loss.mixture > 0:
            share = torch.full_like(logits[:N_MIXTURES, 0], 1.0 / N_MIXTURES)
            parts.append(Part("mixture_loss", loss.mixture, share.detach()))
        total.add(logit_distance(logits, wanted, loss.transition), *parts)
        if people is not None and by_margin:
            rows = slice(len(shares[0]), len(shares[0]) + len(at_points) * len(people))
            given = (logits[rows], wanted[rows], people.targets.repeat(len(at_points)))
            total.add(margin_distance(*given, loss.transition), *at_points)

    def _matching_loss(self, people: ActedRows, selection: Tensor | None) -> Tensor:
        assert self.matching is not None
        assert people.positions is not None
        weights = people.weights
        # Rules are on the CPU; the student may be elsewhere.
        losses = self.matching.losses(
            lambda points: self.network(points.to(weights), selection).to(points),
            people.positions.cpu(),
            people.targets.cpu(),
        )
        return weighted_mean(losses.to(weights), weights)
