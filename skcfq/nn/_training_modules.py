"""Networks together with the loss that trains them: one call gives every term of a batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skcfq.nn._losses import cross_entropy, margin_hinge
from skcfq.nn._quantized_mlp import QuantizedMLP
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


class FaithfulModule(nn.Module):
    r"""A quantized network and the CFQ objective (§4.2, Algorithm 2).

    Parameters
    ----------
    network : QuantizedMLP
    policy : GumbelBits or None
        Learns the widths; None keeps those of ``network``.
    eta : float
        Weight :math:`\eta` of the validity loss.
    hinge : float
        Weight :math:`\beta` of the margin hinge.
    hinge_margin : float
        Margin :math:`\gamma` that the hinge asks for, in logit units.
    bit_penalty : float
        Weight :math:`\lambda` of the excess of the average bits over the budget.
    generator : torch.Generator
        Source of the Gumbel noise.

    Notes
    -----
    Validity and hinge are weighted means over the rows that have a teacher action, so that their
    weight does not depend on how many people the teacher refuses.
    """

    def __init__(
        self,
        network: QuantizedMLP,
        policy: GumbelBits | None,
        *,
        eta: float,
        hinge: float,
        hinge_margin: float,
        bit_penalty: float,
        generator: torch.Generator,
    ):
        super().__init__()
        self.network = network
        self.policy = policy
        self.searching = policy is not None
        self.temperature = 1.0
        self.eta = eta
        self.hinge = hinge
        self.hinge_margin = hinge_margin
        self.bit_penalty = bit_penalty
        self.generator = generator

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the terms beside the whole loss."""
        names = ["task_loss"]
        if self.eta > 0 or self.hinge > 0:
            names.append("validity_loss")
        if self.hinge > 0:
            names.append("hinge_loss")
        return (*names, "average_bits")

    def loss_terms(
        self,
        rows: Tensor,
        labels: Tensor,
        weights: Tensor,
        points: Tensor | None = None,
        targets: Tensor | None = None,
        acted: Tensor | None = None,
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
        """
        n = len(rows)
        policy = self.policy if self.searching else None
        selection = None if policy is None else policy.sample(self.temperature, self.generator)
        supervised = self.eta > 0 or self.hinge > 0
        if supervised and points is not None:
            # One pass for x and x + δ: the quantization of the weights is paid once.
            rows = torch.cat([rows, points[acted]])
        logits = self.network(rows, selection)
        terms = {"task_loss": cross_entropy(logits[:n], labels, weights)}
        loss = terms["task_loss"]
        if supervised and targets is not None:
            moved, wanted, share = logits[n:], targets[acted], weights[acted]
            terms["validity_loss"] = cross_entropy(moved, wanted, share)
            loss = loss + self.eta * terms["validity_loss"]
            if self.hinge > 0:
                terms["hinge_loss"] = margin_hinge(moved, wanted, self.hinge_margin, share)
                loss = loss + self.hinge * terms["hinge_loss"]
        if policy is not None:
            terms["average_bits"] = policy.expected_bits(selection)
            loss = loss + self.bit_penalty * policy.bit_cost()
        else:
            terms["average_bits"] = torch.tensor(self.network.average_bits)
        terms["loss"] = loss
        return terms
