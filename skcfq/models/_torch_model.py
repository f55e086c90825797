"""A torch module from elsewhere as a classifier: it is asked in its own precision."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from skcfq.exceptions import UnsupportedModelError
from skcfq.utils import take_rows

if TYPE_CHECKING:
    from skcfq.encoding import FeatureSpace

# Rows on which it is seen what a module returns.
_ROWS = 512
# Probabilities below this count as this: a logit must stay finite.
_SMALLEST = 1e-12


class ModuleClassifier:
    """A trained torch module with the interface of a fitted estimator.

    Parameters
    ----------
    module : Module
        From encoded rows, in the precision of its weights, to scores of shape (n, n_classes), or
        of shape (n,) or (n, 1) for the second of two classes. It is copied, and asked as in
        evaluation.
    space : FeatureSpace
        From raw rows to what the module reads.
    classes : ndarray of shape (n_classes,)
    output : {"auto", "probabilities", "logits"}
    example : DataFrame or ndarray
        Raw rows.

    Attributes
    ----------
    classes_, feature_space_, network_
    """

    def __init__(
        self, module: nn.Module, space: FeatureSpace, classes: np.ndarray, output: str, example: Any
    ) -> None:
        self.network_ = deepcopy(module).eval().requires_grad_(False)
        self.classes_ = classes
        self.feature_space_ = space
        self.name = type(module).__name__
        floats = [one for one in self.network_.state_dict().values() if one.is_floating_point()]
        self._dtype = floats[0].dtype if floats else torch.float32
        rows = take_rows(example, np.arange(min(len(example), _ROWS)))
        seen = self._checked(torch.from_numpy(space.encode(rows)))
        self._are_shares = output == "probabilities" or (output == "auto" and _are_shares(seen))

    def logits_(self, Z: Tensor) -> Tensor:
        """Return the logits of encoded rows, shape (n, n_classes), differentiable."""
        scores = self.network_(Z.to(self._dtype)).double()
        if scores.dim() == 1 or scores.shape[1] == 1:
            second = scores.reshape(-1)
            if self._are_shares:
                return _logarithms(torch.stack([1 - second, second], dim=1))
            return torch.stack([torch.zeros_like(second), second], dim=1)
        return _logarithms(scores) if self._are_shares else scores

    def predict(self, X: Any) -> np.ndarray:
        """Return the label of each raw row, shape (n,)."""
        return self.classes_[self._row_logits(X).argmax(dim=1).numpy()]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the softmax of the logits of raw rows, shape (n, n_classes)."""
        return self._row_logits(X).softmax(dim=1).numpy()

    def _row_logits(self, X: Any) -> Tensor:
        return self.logits_(torch.from_numpy(self.feature_space_.encode(X)))

    def _checked(self, Z: Tensor) -> Tensor:
        try:
            scores = self.network_(Z.to(self._dtype))
        except Exception as error:  # whatever a user's module raises
            raise UnsupportedModelError(
                f"{self.name} raised {type(error).__name__} on {Z.shape[1]} encoded columns "
                f"({error}). Give the FeatureSpace of the encoder that it was trained behind as "
                "`space=`."
            ) from error
        n, k = len(Z), len(self.classes_)
        fits = isinstance(scores, Tensor) and (
            scores.shape == (n, k) or (k == 2 and scores.shape in ((n,), (n, 1)))
        )
        if not fits:
            shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise UnsupportedModelError(
                f"{self.name} returned {shape} for {n} rows and {k} classes. It must return one "
                "score a class, or one for the second of two."
            )
        return scores.double()


def _are_shares(scores: Tensor) -> bool:
    within = bool(((scores >= 0) & (scores <= 1)).all())
    if scores.dim() == 1 or scores.shape[1] == 1:
        return within
    return within and bool(torch.allclose(scores.sum(dim=1), scores.new_ones(()), atol=1e-3))


def _logarithms(shares: Tensor) -> Tensor:
    return shares.clamp_min(_SMALLEST).log()
