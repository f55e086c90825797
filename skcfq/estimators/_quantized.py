"""Quantization-aware training of a network from a full-precision teacher."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor, nn

from skcfq.actions import ActionSet
from skcfq.encoding import TableEncoder
from skcfq.estimators._bit_policies import BIT_POLICIES, LearnedBits, UniformBits, bit_policy_of
from skcfq.estimators._network_classifier import (
    NetworkClassifier,
    TrainingTable,
    draw_seed,
    fitted_or_clone,
    seeded_initialization,
)
from skcfq.estimators._objective import CFQObjective
from skcfq.estimators._teacher import NETWORK_CONSTRAINTS, TeacherClassifier
from skcfq.estimators._teacher_actions import TeacherActions
from skcfq.estimators._training import BitSchedule, calibration_rows, epochs_for, train
from skcfq.exceptions import EmptyPopulationWarning, SpaceMismatchError
from skcfq.models import Predictor, as_predictor, default_target, resolve_target
from skcfq.nn import FaithfulModule, FullPrecisionMLP, QuantizedMLP
from skcfq.utils import take_rows
from skcfq.utils._sklearn_compat import HasMethods, Interval, StrOptions

QUANTIZED_CONSTRAINTS: dict = {
    **NETWORK_CONSTRAINTS,
    "budget": [Interval(Real, 0, None, closed="neither")],
    "action_set": [ActionSet, None],
    "target": "no_validation",
    "teacher": [HasMethods(["fit", "predict"]), None],
    "bit_policy": [StrOptions(set(BIT_POLICIES)), UniformBits, LearnedBits],
    "activation_bits": [Interval(Integral, 1, 32, closed="both"), None],
}


@dataclass(frozen=True, eq=False)
class Supervision:
    """Teacher recourse points of the training rows, and the weights of the terms on them."""

    points: Tensor
    targets: Tensor
    acted: Tensor
    eta: float
    objective: CFQObjective


class QuantizedClassifier(NetworkClassifier):
    """Base of the classifiers that train a quantized network under a bit budget."""

    network_: QuantizedMLP

    def _default_object(self, name: str) -> BaseEstimator | None:
        if name == "bit_policy":
            return bit_policy_of(self.bit_policy)
        defaults = {
            "action_set": ActionSet,
            "encoder": TableEncoder,
            "objective": CFQObjective,
            "teacher": TeacherClassifier,
            "teacher_actions": TeacherActions,
        }
        return defaults[name]() if name in defaults else None

    @property
    def average_bits_(self) -> float:
        """Average weight bits per weight; at most ``budget``."""
        return self.network_.average_bits

    @property
    def bit_widths_(self) -> np.ndarray:
        """Weight bits of each layer, shape (n_layers,)."""
        return self.network_.bit_widths.numpy().copy()

    def _check_budget(self) -> None:
        """Refuse a budget that no choice can meet before anything is trained."""
        UniformBits(bit_policy_of(self.bit_policy).candidates).width(self.budget)

    def _fit_teacher(self, table: TrainingTable, rng: np.random.RandomState) -> Predictor:
        """Fit, clone or adopt the teacher, and take over its feature space."""
        seed = draw_seed(rng)
        if self.teacher is None:
            model: Any = TeacherClassifier(
                self.hidden_layer_sizes,
                encoder=self.encoder,
                max_iter=self.max_iter,
                batch_size=self.batch_size,
                alpha=self.alpha,
                random_state=seed,
                verbose=self.verbose,
            )
            fitted = False
        else:
            model, fitted = fitted_or_clone(self.teacher)
            self._check_encoder(model)
        if not fitted:
            if "random_state" in model.get_params() and model.random_state is None:
                model.set_params(random_state=seed)
            # Class weights are the student's own business; the teacher is as it was asked for.
            weighted = {} if isinstance(model, Pipeline) else {"sample_weight": table.weights}
            model.fit(table.X, self.classes_[table.labels], **weighted)
        if not np.array_equal(model.classes_, self.classes_):
            raise ValueError(
                f"The teacher knows the classes {list(model.classes_)}, y has "
                f"{self.classes_.tolist()}. Fit the teacher on the same labels."
            )
        predictor = as_predictor(model, background=table.X)
        self.teacher_ = FrozenEstimator(model) if isinstance(model, Pipeline) else model
        self.feature_space_ = predictor.space
        self.encoder_ = _encoder_of(model)
        return predictor

    def _check_encoder(self, teacher: Any) -> None:
        if self.encoder is None or not isinstance(teacher, TeacherClassifier):
            if self.encoder is not None:
                raise SpaceMismatchError(
                    "`encoder` and a `teacher` with preprocessing of its own were both given. The "
                    "student reads what its teacher reads: give `encoder=None`."
                )
            return
        if not hasattr(teacher, "feature_space_"):
            teacher.set_params(encoder=self.encoder)
        elif getattr(teacher, "encoder_", None) is not self.encoder:
            raise SpaceMismatchError(
                "`teacher` is fitted and `encoder` is not its `encoder_`. The student reads what "
                "its teacher reads: give `encoder=None`."
            )

    def _resolve_target(self, table: TrainingTable, teacher: Predictor) -> np.ndarray:
        """Return each row's target, and remember the label if there is one for all."""
        if callable(self.target):
            rule = np.asarray(self.target(table.X, self.classes_[table.labels]))
            self.target_ = None
            return resolve_target(rule, self.classes_, rule)
        if self.target is None:
            self.target_ = self.classes_[default_target(self.classes_)]
        else:
            self.target_ = self.target
        return resolve_target(self.target_, self.classes_, teacher.predict(table.X))

    def _supervise(
        self, table: TrainingTable, encoded: np.ndarray, target: np.ndarray, teacher: Predictor
    ) -> Supervision | None:
        """Compute the teacher's actions for the people whom it refuses."""
        denied = np.flatnonzero(teacher.predict(table.X) != self.classes_[target])
        if len(denied) == 0:
            warnings.warn(
                "The teacher refuses nobody, so there is no recourse to preserve: the training is "
                "plain quantization-aware training. Check `target`.",
                EmptyPopulationWarning,
                stacklevel=3,
            )
            return None
        actions = self.teacher_actions if self.teacher_actions is not None else TeacherActions()
        rules = self.action_set if self.action_set is not None else ActionSet()
        points = torch.from_numpy(encoded).clone()
        points[denied], valid = actions.points(
            teacher, rules, take_rows(table.X, denied), target[denied]
        )
        # Where the teacher itself refuses the point, there is no promise that could be kept.
        acted = torch.zeros(len(table), dtype=torch.bool)
        acted[denied] = valid
        objective = self.objective if self.objective is not None else CFQObjective()
        objective.check()
        return Supervision(
            points.to(table.dtype), torch.from_numpy(target), acted, float(self.eta), objective
        )

    def _fit_network(
        self,
        table: TrainingTable,
        encoded: np.ndarray,
        teacher: Predictor,
        supervision: Supervision | None,
        rng: np.random.RandomState,
    ) -> None:
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
        network.calibrate(tensors[0], tensors[2])
        gumbel = policy.start(network, self.budget)
        generator = torch.Generator().manual_seed(draw_seed(rng))
        terms = CFQObjective() if supervision is None else supervision.objective
        module = FaithfulModule(
            network,
            gumbel,
            eta=0.0 if supervision is None else supervision.eta,
            hinge=0.0 if supervision is None else terms.hinge,
            hinge_margin=terms.hinge_margin,
            bit_penalty=getattr(policy, "penalty", 0.0),
            generator=generator,
        ).to(table.dtype)
        if supervision is not None:
            tensors += (supervision.points, supervision.targets, supervision.acted)
        epochs = epochs_for(len(table), self.batch_size, self.max_iter)
        callbacks = list(self.callbacks or [])
        if isinstance(policy, LearnedBits):
            rows = calibration_rows(tensors[0], generator)
            search = max(1, round(policy.search_fraction * epochs))
            callbacks.append(("bits", BitSchedule(rows, search, policy.temperatures)))
        history = train(
            module,
            tensors,
            max_epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate_init,
            weight_decay=self.alpha,
            generator=generator,
            callbacks=callbacks,
            progress=type(self).__name__ if self.verbose else None,
        )
        if gumbel is not None and module.searching:
            network.set_bit_widths(gumbel.allocate())
        self._finish(network, history)


def _start_from(network: QuantizedMLP, teacher: Predictor) -> None:
    """Start from the teacher's weights where it has the same layers."""
    source = getattr(teacher.model, "network_", None)
    if isinstance(source, FullPrecisionMLP) and _shapes(source) == _shapes(network):
        network.load_from(source)


def _shapes(network: nn.Module) -> list[torch.Size]:
    return [weight.shape for name, weight in network.named_parameters() if "weight" in name]


def _encoder_of(model: Any) -> Any:
    """Return the fitted transformer between raw columns and what the teacher's head reads."""
    if hasattr(model, "encoder_"):
        return model.encoder_
    if isinstance(model, Pipeline):
        return model[:-1]
    return FunctionTransformer()
