"""Quantization-aware training of a network from a full-precision teacher."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skcfq.actions import ActionSet
from skcfq.deploy import DeployedClassifier, IntegerNetwork, encode_rows, save, write_onnx
from skcfq.encoding import FeatureSpace
from skcfq.estimators._bit_policies import (
    BIT_POLICIES,
    BitPolicy,
    BitSample,
    LearnedBits,
    bit_policy_of,
)
from skcfq.estimators._inner_models import fit_model, fitted_or_clone
from skcfq.estimators._network_classifier import (
    NetworkClassifier,
    TrainingTable,
    draw_seed,
    seeded_initialization,
)
from skcfq.estimators._objective import objective_of
from skcfq.estimators._supervision import Supervision
from skcfq.estimators._teacher import NETWORK_CONSTRAINTS, TeacherClassifier
from skcfq.estimators._training import (
    BitSchedule,
    calibration_rows,
    epochs_for,
    train,
    visits_again,
)
from skcfq.exceptions import SpaceMismatchError, UnsupportedModelError
from skcfq.models import Predictor, RowHead, as_predictor, join_steps, resolve_target, split_model
from skcfq.nn import (
    DeployedNetwork,
    FaithfulModule,
    FullPrecisionMLP,
    LossWeights,
    QuantizedMLP,
    integers_of,
)
from skcfq.utils import validate_table
from skcfq.utils._sklearn_compat import HasMethods, Interval, StrOptions

QUANTIZED_CONSTRAINTS: dict = {
    **NETWORK_CONSTRAINTS,
    "budget": [Interval(Real, 0, None, closed="neither")],
    "action_set": [ActionSet, None],
    "target": "no_validation",
    "teacher": [HasMethods(["fit", "predict"]), None],
    "bit_policy": [StrOptions(set(BIT_POLICIES)), BitPolicy],
    "activation_bits": [Interval(Integral, 1, 32, closed="both"), None],
}


class QuantizedClassifier(NetworkClassifier):
    """Base of the classifiers that train a quantized network under a bit budget."""

    network_: QuantizedMLP

    def _default_object(self, name: str) -> BaseEstimator | None:
        makers: dict[str, Callable[[], BaseEstimator]] = {
            "action_set": ActionSet,
            "bit_policy": lambda: bit_policy_of(self.bit_policy),
            "objective": lambda: objective_of(getattr(self, "objective", "paper")),
            "teacher": self._default_teacher,
            "teacher_actions": lambda: objective_of(
                getattr(self, "objective", "paper")
            ).default_actions(),
        }
        return makers[name]() if name in makers else None

    @property
    def average_bits_(self) -> float:
        """Average weight bits per weight; at most ``budget``."""
        return self.network_.average_bits

    @property
    def bit_widths_(self) -> np.ndarray:
        """Weight bits of each layer, shape (n_layers,)."""
        return self.network_.bit_widths.numpy().copy()

    def _finish(self, network: nn.Module, history: pd.DataFrame) -> None:
        super()._finish(network, history)
        # Now, not in predict, which must not change the estimator.
        self._head()

    @property
    def integer_network_(self) -> IntegerNetwork:
        """The integers that decide, and that are shipped."""
        return self._head().network

    def _head(self) -> DeployedNetwork:
        """Return the network in integers; made anew after the network has changed."""
        tensors = [*self.network_.parameters(), *self.network_.buffers()]
        state = [(id(tensor), tensor._version) for tensor in tensors]
        if self.__dict__.get("_deployed", (None,))[0] != state:
            self._deployed = state, DeployedNetwork(integers_of(self.network_))
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
        return self._head()(Z)

    def _logits(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "network_")
        X = validate_table(self, X, reset=False)
        return self.integer_network_.logits(encode_rows(self.feature_space_, X))

    def deployed(self) -> DeployedClassifier:
        """Return the classifier as it is shipped: numpy alone, with the same decisions."""
        check_is_fitted(self, "network_")
        names = getattr(self, "feature_names_in_", None)
        target = getattr(self, "target_", self.target)
        rules = self.action_set
        return DeployedClassifier(
            self.integer_network_,
            self.feature_space_,
            self.classes_,
            columns=None if names is None else list(names),
            target=None if callable(target) else target,
            action_set=None if rules is None else rules.to_dict(),
            model=type(self).__name__,
        )

    def export(self, path: str | os.PathLike) -> dict[str, int]:
        """Write the model to one file, which :func:`skcfq.load` reads without torch.

        Parameters
        ----------
        path : str or path
            A file that is there is replaced.

        Returns
        -------
        sizes : dict of str to int
            Bytes of ``weights``, ``biases``, ``header`` and ``total``.

        Raises
        ------
        FeatureSpaceError
            A column goes through functions of the user, which cannot be written.
        """
        return save(path, self.deployed())

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
            A column cannot be read in ONNX without another rounding.
        """
        return write_onnx(self.deployed(), path, preprocessing=preprocessing, opset=opset)

    def _check_plan(self) -> None:
        """Refuse what cannot be trained before anything is."""
        bit_policy_of(self.bit_policy).check(self.budget)
        if self.target is not None and not callable(self.target):
            resolve_target(self.target, self.classes_, self.classes_[:1])

    def _default_teacher(self) -> TeacherClassifier:
        """Return the unfitted teacher that ``teacher=None`` stands for."""
        return TeacherClassifier(
            self.hidden_layer_sizes,
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            alpha=self.alpha,
            class_weight=self.class_weight,
            verbose=self.verbose,
        )

    def _fit_teacher(self, table: TrainingTable, rng: np.random.RandomState) -> Predictor:
        """Fit, clone or adopt the teacher, and take over its feature space."""
        teacher = self._default_teacher() if self.teacher is None else self.teacher
        model, fitted = fitted_or_clone(teacher)
        seed = draw_seed(rng)
        if self.encoder is not None:
            _give_encoder(model, fitted, self.encoder)
        if not fitted:
            fit_model(model, table.X, self.classes_[table.labels], table.sample_weight, seed)
        predictor = as_predictor(model, background=table.X, sample_weight=table.sample_weight)
        if isinstance(predictor.head, RowHead):
            raise UnsupportedModelError(
                f"`teacher` must give logits on encoded rows: {predictor.head.reason}. Give a "
                "linear model, an MLPClassifier or a TeacherClassifier behind an encoder."
            )
        if not np.array_equal(predictor.classes, self.classes_):
            raise ValueError(
                f"`teacher` knows the classes {predictor.classes.tolist()}, y has "
                f"{self.classes_.tolist()}. Fit the teacher on the same labels."
            )
        self.teacher_ = model
        self.feature_space_ = predictor.space
        self.encoder_ = _encoder_of(model)
        return predictor

    def _loss_weights(self) -> LossWeights:
        """Return the weights of the terms of the loss: the task alone."""
        return LossWeights()

    def _check_rules(self) -> None:
        """Tell wrong rules even where nobody is refused, or where training does not use them."""
        if self.action_set is not None:
            self.action_set.compile(self.feature_space_)

    def _fit_network(
        self,
        table: TrainingTable,
        encoded: np.ndarray,
        teacher: Predictor,
        rng: np.random.RandomState,
        loss: LossWeights,
        supervision: Supervision | None = None,
        *,
        worst_group: bool = False,
    ) -> None:
        """Train the student, on the teacher's actions too where there are any."""
        tensors: tuple[Tensor, ...] = table.tensors(encoded)
        policy = bit_policy_of(self.bit_policy)
        with seeded_initialization(draw_seed(rng)):
            network = QuantizedMLP(
                encoded.shape[1],
                self.hidden_layer_sizes,
                len(self.classes_),
                candidates=policy.candidates,
                activation_bits=self.activation_bits,
                start="mse",
            )
        network = network.to(table.dtype)
        _start_from(network, teacher)
        generator = torch.Generator().manual_seed(draw_seed(rng))
        sample = _bit_sample(tensors, supervision, generator)
        rows, weights = sample.rows, sample.weights
        if loss.of_teacher:
            rows = torch.cat([rows, sample.points])
            weights = torch.cat([weights, sample.point_weights])
        network.calibrate(rows, weights)
        if loss.of_teacher and network.log_input_step is not None:
            # It was chosen at the boundary; what is learned follows the rows far from it.
            network.log_input_step.requires_grad_(False)
        gumbel = policy.start(network, self.budget, sample)
        module = FaithfulModule(
            network,
            gumbel,
            loss=loss,
            bit_penalty=getattr(policy, "penalty", 0.0),
            generator=generator,
            teacher=teacher.logits_in(table.dtype) if loss.of_teacher else None,
            matching=None if supervision is None else supervision.matching,
            online=None if supervision is None else supervision.online,
            blocks=_block_columns(self.feature_space_, encoded.shape[1]),
            worst_group=worst_group,
            group_weights=None if supervision is None else supervision.group_weights,
        ).to(table.dtype)
        if supervision is not None:
            tensors += supervision.tensors()
        again = None
        if supervision is not None and loss.of_teacher:
            again = visits_again(supervision.acted)
        visits = len(table) + (0 if again is None else len(again))
        epochs = epochs_for(visits, self.batch_size, self.max_iter, follows_teacher=loss.of_teacher)
        callbacks = list(self.callbacks or [])
        if isinstance(policy, LearnedBits):
            search = max(1, round(policy.search_fraction * epochs))
            callbacks.append(BitSchedule(rows, weights, search, policy.temperatures))
        history = train(
            module,
            tensors,
            max_epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate_init,
            # Decay would pull the student away from the logits that it follows.
            weight_decay=0.0 if loss.of_teacher else self.alpha,
            generator=generator,
            callbacks=callbacks,
            progress=type(self).__name__ if self.verbose else None,
            again=again,
        )
        self._finish(network, history)
        if supervision is not None:
            supervision.calibrate(network)


def _block_columns(space: FeatureSpace, width: int) -> Tensor:
    """Return which encoded columns belong to each raw feature, shape (n_features, width)."""
    filled = [block.columns for block in space.blocks if block.width]
    blocks = torch.zeros(len(filled), width)
    for row, columns in zip(blocks, filled, strict=True):
        row[torch.from_numpy(np.asarray(columns, dtype=np.int64))] = 1.0
    return blocks


def _bit_sample(
    tensors: tuple[Tensor, ...], supervision: Supervision | None, generator: torch.Generator
) -> BitSample:
    """Draw the rows, and the recourse points, that quantizers and policies are set on."""
    chosen = calibration_rows(len(tensors[0]), generator)
    rows, labels, weights = (tensor[chosen] for tensor in tensors[:3])
    if supervision is None:
        return BitSample(rows, labels, weights, rows[:0], labels[:0], weights[:0])
    acted = supervision.acted.nonzero().squeeze(1)
    acted = acted[calibration_rows(len(acted), generator)]
    return BitSample(
        rows,
        labels,
        weights,
        supervision.points[acted],
        supervision.targets[acted],
        tensors[2][acted],
    )


def _give_encoder(teacher: Any, fitted: bool, encoder: Any) -> None:
    """Let the teacher read what the student was told to read; the two share one space."""
    if not fitted and isinstance(teacher, TeacherClassifier) and teacher.encoder is None:
        teacher.set_params(encoder=encoder)
        return
    own = encoder.estimator if isinstance(encoder, FrozenEstimator) else encoder
    if not fitted or getattr(teacher, "encoder_", None) is not own:
        raise SpaceMismatchError(
            f"Both `encoder` and a `teacher` with preprocessing of its own "
            f"({type(teacher).__name__}) were given. The student reads what its teacher reads: "
            "give `encoder=None`, or leave the teacher's own `encoder` to this one."
        )


def _start_from(network: QuantizedMLP, teacher: Predictor) -> None:
    """Start from the teacher's weights where it has the same layers."""
    source = getattr(split_model(teacher.model)[1], "network_", None)
    if isinstance(source, FullPrecisionMLP) and _shapes(source) == _shapes(network):
        network.load_from(source)


def _shapes(network: nn.Module) -> list[torch.Size]:
    return [weight.shape for name, weight in network.named_parameters() if "weight" in name]


def _encoder_of(model: Any) -> Any:
    """Return the fitted transformer between raw columns and what the teacher's head reads."""
    steps, final = split_model(model)
    if hasattr(final, "encoder_"):
        steps = [*steps, ("encoder", final.encoder_)]
    return join_steps(steps) if steps else FunctionTransformer()
