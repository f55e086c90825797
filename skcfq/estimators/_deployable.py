"""What every quantized classifier can do once it is fitted: decide in integers, and be shipped."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skcfq.deploy import (
    DeployedClassifier,
    IntegerNetwork,
    Serving,
    UnusualRowsError,
    encode_rows,
    save,
    write_onnx,
)
from skcfq.estimators._network_classifier import NetworkClassifier
from skcfq.exceptions import UnsupportedModelError
from skcfq.nn import DeployedNetwork, QuantizedMLP, QuantizedNetwork, integers_of
from skcfq.utils import validate_table


class _Integers:
    """The network of an estimator in integers: as tensors, and as it serves raw rows."""

    def __init__(self, estimator: DeployableClassifier) -> None:
        self.network = integers_of(cast(QuantizedMLP, estimator.network_))
        self.head = DeployedNetwork(self.network)
        names = getattr(estimator, "feature_names_in_", None)
        self._columns = estimator.feature_space_, None if names is None else list(names)

    @cached_property
    def serving(self) -> Serving | None:
        """What serves raw rows; a fit makes many networks, and needs none of these."""
        return Serving.of(self.network, *self._columns)


class DeployableClassifier(NetworkClassifier):
    """Base of the classifiers whose network is quantized."""

    network_: QuantizedNetwork
    action_set: Any
    target: Any

    @property
    def average_bits_(self) -> float:
        """Average weight bits per weight; at most ``budget``."""
        return self.network_.average_bits

    @property
    def bit_widths_(self) -> np.ndarray:
        """Weight bits of each layer, shape (n_layers,): averages where units of a layer differ."""
        return self.network_.bit_widths.numpy()

    @property
    def unit_bit_widths_(self) -> list[np.ndarray]:
        """Weight bits of each unit, for each layer an array of shape (n_units,)."""
        return [widths.numpy() for widths in self.network_.unit_bit_widths]

    @property
    def bit_cost_(self) -> int:
        """Bits of all weights; biases and steps are not counted."""
        return self.network_.bit_cost

    @property
    def bops_(self) -> int:
        """Bit operations of one row: products times the bits of weight and of activation."""
        return self.network_.bops

    def _keep(self, network: nn.Module) -> None:
        super()._keep(network)
        self._make_integers()

    def _make_integers(self) -> None:
        """Make the integers now, not in predict, which must not change the estimator."""
        if self._has_integers:
            self._head()

    @property
    def integer_network_(self) -> IntegerNetwork:
        """The integers that decide, and that are shipped; missing where there is no such form."""
        try:
            return self._integers()
        except UnsupportedModelError as error:
            raise AttributeError(str(error)) from error

    def _integers(self) -> IntegerNetwork:
        check_is_fitted(self, "network_")
        if not self._has_integers:
            raise UnsupportedModelError(
                f"This {type(self).__name__} has no integer form, so it cannot be exported: "
                "integers exist for chains of Linear and ReLU. Fit it with `hidden_layer_sizes` "
                "or a `module` that is an nn.Sequential of Linear and ReLU."
            )
        return self._head().network

    @property
    def _has_integers(self) -> bool:
        return isinstance(self.network_, QuantizedMLP)

    def _head(self) -> DeployedNetwork:
        """Return the network in integers; made anew after the network has changed."""
        return self._made().head

    def _made(self) -> _Integers:
        tensors = [*self.network_.parameters(), *self.network_.buffers()]
        state = [(id(tensor), tensor._version) for tensor in tensors]
        if self.__dict__.get("_deployed", (None,))[0] != state:
            self._deployed = state, _Integers(self)
        return self._deployed[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is made on demand."""
        return {k: v for k, v in super().__getstate__().items() if k != "_deployed"}

    def logits_(self, Z: Tensor) -> Tensor:
        """Return the deployed logits of encoded rows, with straight-through gradients.

        Parameters
        ----------
        Z : Tensor of shape (n, n_encoded), float64

        Returns
        -------
        logits : Tensor of shape (n, n_classes), float64
        """
        return self._head()(Z) if self._has_integers else self.network_(Z)

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "network_")
        if not self._has_integers:
            return super()._logits(X)
        made = self._made()
        serving = made.serving
        if serving is None:
            X = validate_table(self, X, reset=False)
            return made.network.logits(encode_rows(self.feature_space_, X))
        # Where names are on one side alone, scikit-learn has something to say.
        is_quiet = isinstance(X, pd.DataFrame) == hasattr(self, "feature_names_in_")
        # What is served by itself would pass every check of a table.
        few = serving.few(X) if is_quiet else None
        if few is None:
            X = validate_table(self, X, reset=False)
            few = None if is_quiet else serving.few(X)
        if few is not None:
            return few
        try:
            return serving.logits(X)
        except UnusualRowsError:
            return made.network.logits(encode_rows(self.feature_space_, X))

    def deployed(self) -> DeployedClassifier:
        """Return the classifier as it is shipped: numpy alone, with the same decisions.

        Raises
        ------
        UnsupportedModelError
            The network has no integer form: another module than a chain of Linear and ReLU.
        NotFittedError
            The network was never trained: its training diverged, or a callback ended it, before the
            first pass was over.
        """
        check_is_fitted(self, "network_")
        if len(getattr(self, "history_", (None,))) == 0:
            raise NotFittedError(
                f"This {type(self).__name__} was never trained: its training ended before the "
                "first pass was over. Fit it again before it is shipped."
            )
        names = getattr(self, "feature_names_in_", None)
        # A guess is none: whoever asks the file is told that one is made.
        target = None if self.target is None else getattr(self, "target_", self.target)
        rules = self.action_set
        return DeployedClassifier(
            self._integers(),
            self.feature_space_,
            self.classes_,
            columns=None if names is None else list(names),
            target=None if callable(target) else target,
            action_set=None if rules is None else rules.to_dict(),
            model=type(self).__name__,
        )

    def export(self, path: str | os.PathLike, *, statistics: str = "bounds") -> dict[str, int]:
        """Write the model to one file, which :func:`skcfq.load` reads without torch.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced when the new one is complete.
        statistics : {"bounds", "none", "full"}, default="bounds"
            What the file tells of the training rows, beside what predictions need:

            - ``"bounds"``: the range and the encoded spread of every number, the share of every
              category. Enough for solvers with default costs and observed bounds.
            - ``"none"``: nothing. Solvers need ``background=``.
            - ``"full"``: mean, deviations and 101 quantiles too, which quantile bounds, the cost
              weights ``"mad"`` and percentiles need; of a small table, these are many of its
              values.

            Predictions are the same.

        Returns
        -------
        sizes : dict of str to int
            Bytes of ``weights``, ``biases``, ``header`` and ``total``.

        Raises
        ------
        FeatureSpaceError
            A column goes through functions of the user, which cannot be written.
        UnsupportedModelError
            The network has no integer form, or a column has thousands of one-hot categories.
        """
        return save(path, self.deployed(), statistics)

    def to_onnx(
        self,
        path: str | os.PathLike,
        *,
        preprocessing: bool = True,
        opset: int | None = None,
    ) -> dict[str, int]:
        """Write the model as an ONNX graph that onnxruntime runs with the same decisions.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced when the new one is complete.
        preprocessing : bool, default=True
            Whether the graph reads raw columns, one input each (see
            :func:`skcfq.deploy.onnx_inputs`); False makes it read the encoded matrix.
        opset : {21, 25}, default=None
            None takes 25 where a layer has 2 bits (INT2), and 21 elsewhere (INT4).

        Returns
        -------
        sizes : dict of str to int
            Bytes of ``weights`` as stored (3 bits take 4), and ``total``.

        Raises
        ------
        OptionalDependencyError
            The package onnx is not installed.
        UnsupportedModelError
            A column cannot be read in ONNX without another rounding, or the network has no
            integer form.
        """
        return write_onnx(self.deployed(), path, preprocessing=preprocessing, opset=opset)
