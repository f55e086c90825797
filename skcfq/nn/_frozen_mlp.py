"""A rectifier network whose weights stay as they are, without modules around them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skcfq.nn._lanes import product


@dataclass(frozen=True, eq=False)
class FrozenMLP:
    """A rectifier network of plain tensors, for a teacher that is asked often.

    Reaching weights through modules takes as long as a small product. Rows may come in tiles too
    (:func:`~skcfq.nn.to_lanes`), and each is then computed as if it were the only one.

    Attributes
    ----------
    hidden : list of (Tensor of shape (n_out, n_in), Tensor of shape (n_out,))
        Weights and biases of the layers that a ReLU follows.
    last : (Tensor of shape (n_classes, n_in), Tensor of shape (n_classes,))

    Examples
    --------
    >>> network = FrozenMLP([], (torch.eye(2), torch.ones(2)))
    >>> network.logits(torch.tensor([[1.0, 2.0]]))
    tensor([[2., 3.]])
    """

    hidden: list[tuple[Tensor, Tensor]]
    last: tuple[Tensor, Tensor]

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of rows, shape (n_samples, n_classes).

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
        """
        for weight, bias in self.hidden:
            x = torch.relu(product(x, weight, bias))
        return product(x, *self.last)

    def logits_after_first(self, sums: Tensor) -> Tensor:
        """Return the logits where the first of several layers adds up to some sums.

        Parameters
        ----------
        sums : Tensor of shape (n_samples, n_hidden)
        """
        x = torch.relu(sums)
        for weight, bias in self.hidden[1:]:
            x = torch.relu(product(x, weight, bias))
        return product(x, *self.last)

    def to(self, dtype: torch.dtype) -> FrozenMLP:
        """Return the same in a precision."""
        *hidden, last = ((w.to(dtype), b.to(dtype)) for w, b in (*self.hidden, self.last))
        return FrozenMLP(hidden, last)

    @torch.no_grad()
    def loss_gradient(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the summed cross entropy with respect to the rows.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_inputs)
            Encoded rows.
        target : Tensor of shape (n_samples,), int64

        Returns
        -------
        gradient : Tensor of shape (n_samples, n_inputs)
        logits : Tensor of shape (n_samples, n_classes)

        Notes
        -----
        In closed form: a graph costs more than the arithmetic of a small network.
        """
        logits, activations = self._forward(x)
        gradient = logits.softmax(dim=-1)
        gradient.scatter_(-1, target[..., None], -1.0, reduce="add")
        return self._backward(gradient, activations), logits

    @torch.no_grad()
    def margin_gradient(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradient of the target's logit less the highest other one, and the logits.

        Parameters
        ----------
        x, target
            As in :meth:`loss_gradient`.

        Returns
        -------
        gradient : Tensor of shape (n_samples, n_inputs)
        logits : Tensor of shape (n_samples, n_classes)
        """
        logits, activations = self._forward(x)
        column = target[..., None]
        rival = logits.scatter(-1, column, -torch.inf).argmax(dim=-1, keepdim=True)
        gradient = torch.zeros_like(logits).scatter_(-1, column, 1.0).scatter_(-1, rival, -1.0)
        return self._backward(gradient, activations), logits

    def _forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits, and what the rectifiers let through."""
        activations = []
        for weight, bias in self.hidden:
            x = torch.relu_(product(x, weight, bias))
            activations.append(x)
        return product(x, *self.last), activations

    def _backward(self, gradient: Tensor, activations: list[Tensor]) -> Tensor:
        """Take a gradient with respect to the logits back to the rows."""
        gradient = product(gradient, self.last[0].T)
        for (weight, _), values in zip(reversed(self.hidden), reversed(activations), strict=True):
            torch.ops.aten.threshold_backward(gradient, values, 0, grad_input=gradient)
            gradient = product(gradient, weight.T)
        return gradient
