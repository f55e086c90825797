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
from skcfq.nn._quantized_network import QuantizedNetwork
from skcfq.nn._student_recourse import Matching
from skcfq.quantization import GumbelBits

# Mixtures of a batch, and the share of their features that are those of somebody else.
_N_MIXTURES, _MIXED = 256, 0.3


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
        """
        people = None
        if points is not None and targets is not None and acted is not None:
            own = rows if self.loss.path > 0 else None
            people = ActedRows(points, targets, weights, own, groups, positions).where(acted)
            if self._online is not None and positions is not None:
                people = people.moved_by(self._online)
        policy = self.policy if self.searching else None
        selection = None if policy is None else policy.sample(self.temperature, self.generator)
        places = [rows]
        if people is not None and self.loss.at_points:
            moved = people.points
            places.append(moved)
            if people.rows is not None:
                own = people.rows
                # One place for all: what is drawn must not depend on how many rows share a weight.
                share = self._uniform((), own)
                places.append(own + share * (moved - own))
        n_points = len(places) - 1
        if self.loss.mixture > 0:
            shares = weights
            if people is not None and n_points > 0:
                shares = torch.cat([weights, people.weights])
            places.append(self._mixtures(torch.cat(places[:2]), shares))
        # One pass for all places: the quantization of the weights is paid once.
        everything = torch.cat(places) if len(places) > 1 else rows
        sizes = [len(place) for place in places]
        logits = self.network(everything, selection)
        parts = logits.split(sizes) if len(sizes) > 1 else (logits,)
        wanted = self._teacher_logits(everything)
        distances: Sequence[Tensor] = ()
        if wanted is not None:
            distances = logit_distance(logits, wanted, self.loss.transition).split(sizes)
        entropies = _entropies(logits, labels, people if n_points > 0 else None)
        terms = {"task_loss": weighted_mean(entropies[0], weights)}
        loss = _times(self.loss.task, terms["task_loss"])
        if self.loss.distillation > 0:
            terms["distillation_loss"] = weighted_mean(distances[0], weights)
            loss = loss + _times(self.loss.distillation, terms["distillation_loss"])
        if self.loss.mixture > 0:
            terms["mixture_loss"] = weighted_mean(distances[-1])
            loss = loss + _times(self.loss.mixture, terms["mixture_loss"])
        if people is not None and n_points > 0:
            of_points = {"validity_loss": (self.loss.validity, entropies[1])}
            references = () if wanted is None else wanted.split(sizes)[1:]
            of_points |= self._terms_at_points(parts[1:], references, distances[1:], people.targets)
            loss = loss + self._add_points(terms, of_points, people)
        if self.matching is not None and people is not None and positions is not None:
            terms["matching_loss"] = self._matching_loss(people, selection)
            loss = loss + terms["matching_loss"]
        if policy is not None:
            assert selection is not None
            terms["average_bits"] = policy.expected_bits(selection.detach())
            loss = loss + self.bit_penalty * policy.bit_cost()
        else:
            terms["average_bits"] = torch.tensor(self.network.average_bits)
        terms["loss"] = loss
        return terms

    def _mixtures(self, places: Tensor, weights: Tensor) -> Tensor:
        """Return people, some of whose features are those of somebody else.

        Both are drawn by weight along a random order of the rows, so that a row of weight 2 is
        the same as two rows, wherever they stand.
        """
        assert self.blocks is not None
        uniform = partial(self._uniform, like=places)
        order = (places * uniform(places.shape[1:])).sum(dim=1).sort(stable=True).indices
        shares = weights[order].cumsum(0)
        drawn = torch.searchsorted(shares, uniform((2, _N_MIXTURES)) * shares[-1])
        drawn = order[drawn.clamp_max(len(order) - 1)]
        own, other = (places.index_select(0, rows) for rows in drawn)
        mixed = (uniform((_N_MIXTURES, len(self.blocks))) < _MIXED).to(places.dtype)
        return torch.where(mixed @ self.blocks > 0, other, own)

    def _uniform(self, shape: Sequence[int], like: Tensor) -> Tensor:
        return torch.rand(shape, generator=self.generator, dtype=like.dtype, device=like.device)

    @torch.no_grad()
    def _teacher_logits(self, places: Tensor) -> Tensor | None:
        if self._teacher is None or not self.loss.of_teacher:
            return None
        return self._teacher(places).to(places.dtype)

    def _terms_at_points(
        self,
        logits: Sequence[Tensor],
        wanted: Sequence[Tensor],
        distances: Sequence[Tensor],
        target: Tensor,
    ) -> dict[str, tuple[float, Tensor]]:
        """Return the weight of each term but validity, and its losses, one a person."""
        loss = self.loss
        terms = {}
        if loss.hinge > 0:
            short = torch.relu(loss.hinge_margin - target_margin(logits[0], target))
            terms["hinge_loss"] = (loss.hinge, short)
        for name, place in (("margins", 0), ("path", 1)):
            weight = getattr(loss, name)
            if weight > 0:
                # Of two classes, the distance of the logits is that of either margin.
                distance = distances[place]
                if logits[place].shape[1] > 2:
                    given = (logits[place], wanted[place], target)
                    distance = margin_distance(*given, loss.transition)
                terms[f"{name}_loss"] = (weight, distance)
        return terms

    def _add_points(
        self,
        terms: dict[str, Tensor],
        of_points: dict[str, tuple[float, Tensor]],
        people: ActedRows,
    ) -> Tensor:
        """Record the means of the terms, and return what they add to the loss."""
        for name, (_, losses) in of_points.items():
            terms[name] = weighted_mean(losses, people.weights)
        groups = people.groups
        if groups is None or (self.group_weights is None and not self.worst_group):
            parts = [
                _times(weight, terms[name]) for name, (weight, _) in of_points.items() if weight > 0
            ]
            return sum(parts[1:], start=parts[0])
        losses = torch.stack([weight * losses for weight, losses in of_points.values()]).sum(dim=0)
        return group_mean(
            losses, groups, people.weights, self.group_weights, worst=self.worst_group
        )

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


def _entropies(logits: Tensor, labels: Tensor, people: ActedRows | None) -> tuple[Tensor, ...]:
    """Return the cross-entropies of the labels at x and of the targets at x + δ, in one pass."""
    if people is not None:
        labels = torch.cat([labels, people.targets])
    sizes = [len(labels)] if people is None else [len(labels) - len(people), len(people)]
    logits = logits if len(logits) == len(labels) else logits[: len(labels)]
    losses = nn.functional.cross_entropy(logits, labels, reduction="none")
    return losses.split(sizes) if people is not None else (losses,)


def _times(weight: float, term: Tensor) -> Tensor:
    """Return the product without a node of the graph for the usual weight."""
    return term if weight == 1 else weight * term
