"""Quantization-aware training of a network from a full-precision teacher."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skcfq.actions import ActionSet
from skcfq.estimators._promised import PromisedClassifier
from skcfq.estimators._teacher import NETWORK_CONSTRAINTS, TeacherClassifier
from skcfq.estimators._trained import TrainedClassifier
from skcfq.exceptions import SpaceMismatchError
from skcfq.models import Predictor, as_predictor, carry, split_model
from skcfq.nn import (
    LossWeights,
    QuantizedMLP,
    QuantizedNetwork,
    activation_widths_of,
    check_quantizable,
)
from skcfq.quantization import GumbelBits
from skcfq.training import (
    BIT_POLICIES,
    BitPolicy,
    BitSchedule,
    Finish,
    FittedSteps,
    GroupUpdates,
    LearnedBits,
    LoopSettings,
    Quantizer,
    Trained,
    TrainingPlan,
    TrainingTable,
    bit_policy_of,
    check_kept_widths,
    draw_seed,
    epochs_for,
    faithful_module,
    first_inputs_suffice,
    fitted_model,
    generator_on,
    quantized_network,
    round_to_teacher,
    seeded_initialization,
    seeded_layers,
    start_policy,
    taken_over,
    train,
    training_device,
    validation_of,
)
from skcfq.utils import HasMethods, Interval, StrOptions

# Of Adam, for labels and for a teacher's logits, which a student is near from the start.
_RATE, _FOLLOWING_RATE = 0.004, 0.002

# Enough to see how large activations become.
_SOME_ROWS = 2048

STUDENT_CONSTRAINTS: dict = {
    **NETWORK_CONSTRAINTS,
    "budget": [Interval(Real, 0, None, closed="neither")],
    "action_set": [ActionSet, None],
    "target": "no_validation",
    "teacher": [HasMethods(["fit", "predict"]), nn.Module, None],
    "memory": [str, HasMethods(["cache"]), None],
    "bit_policy": [StrOptions(set(BIT_POLICIES)), BitPolicy],
    "quantizer": [Quantizer, None],
}


@dataclass(frozen=True, eq=False)
class _Start:
    """A student that is ready to be trained.

    Attributes
    ----------
    network : QuantizedNetwork
    near_teacher : bool
        Whether it has its teacher's weights, or those of a previous fit.
    policy : GumbelBits or None
        What learns the widths; None where they are chosen.
    calibration : tuple of two Tensors
        Rows that steps and clips were set on, and their weights.
    """

    network: QuantizedNetwork
    near_teacher: bool
    policy: GumbelBits | None
    calibration: tuple[Tensor, Tensor]


class StudentClassifier(TrainedClassifier, PromisedClassifier):
    """Base of the classifiers that train a quantized network under a bit budget."""

    budget: float
    bit_policy: Any
    hidden_layer_sizes: tuple[int, ...]
    module: Any
    max_iter: int | None
    batch_size: int
    learning_rate_init: float | None
    alpha: float
    n_iter_no_change: int
    callbacks: list | None
    device: str
    memory: Any
    verbose: int

    def _default_object(self, name: str) -> BaseEstimator | None:
        if name == "bit_policy":
            return self._policy
        return super()._default_object(name)

    @property
    def _policy(self) -> BitPolicy:
        """What chooses the widths."""
        return bit_policy_of(self.bit_policy)

    def _check_plan(self) -> None:
        """Refuse what cannot be trained before anything is."""
        training_device(self.device)
        self._quantizer.check()
        self._policy.check(self.budget)
        if isinstance(self.module, nn.Module):
            check_quantizable(self.module)
        elif self.module is None:
            activation_widths_of(self._quantizer.activation_bits, len(self.hidden_layer_sizes))
        if self.target is not None:
            self._check_target()

    def _default_teacher(self) -> TeacherClassifier:
        """Return the unfitted teacher that ``teacher=None`` stands for."""
        return TeacherClassifier(
            self._teacher_layers,
            module=self.module,
            batch_size=self.batch_size,
            alpha=self.alpha,
            class_weight=self.class_weight,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            device=self.device,
            verbose=self.verbose,
        )

    @property
    def _teacher_layers(self) -> tuple[int, ...]:
        """Hidden layers of the default teacher."""
        return self.hidden_layer_sizes

    def _adopt_model(self, model: Any, fitted: bool, table: TrainingTable, seed: int) -> Predictor:
        if self._goes_on and (not fitted or model is self.teacher_):
            if not fitted:
                carry(self.teacher_, self.action_set, self.target)
            return as_predictor(self.teacher_, space=self.feature_space_)
        return super()._adopt_model(model, fitted, table, seed)

    def _fit_model(self, model: Any, table: TrainingTable, seed: int) -> Any:
        y = self.classes_[table.labels]
        return fitted_model(self.memory, model, table.X, y, table.sample_weight, seed)

    def _check_teacher(self, predictor: Predictor) -> None:
        super()._check_teacher(predictor)
        if self._goes_on and predictor.space.fingerprint != self.feature_space_.fingerprint:
            raise SpaceMismatchError(
                "warm_start=True goes on behind the encoder of the previous fit, but `teacher` "
                f"({type(predictor.model).__name__}) has another one, or other training rows. "
                "Give the previous `teacher_`, or warm_start=False."
            )

    def _learning_rate(self, loss: LossWeights) -> float:
        """Return the rate that training starts with."""
        if self.learning_rate_init is not None:
            return self.learning_rate_init
        return _FOLLOWING_RATE if loss.of_teacher else _RATE

    def _fit_network(self, plan: TrainingPlan, rng: np.random.RandomState) -> Trained:
        """Make, calibrate and train the student."""
        network, near_teacher = self._make_network(plan, rng)
        generator = torch.Generator().manual_seed(draw_seed(rng))
        start = self._calibrate(plan, network, near_teacher, generator)
        trained = self._train(plan, start, generator, rng)
        self._finish(start.network, trained)
        return trained

    def _make_network(
        self, plan: TrainingPlan, rng: np.random.RandomState
    ) -> tuple[QuantizedNetwork, bool]:
        """Return the network, and whether it has its teacher's weights."""
        rows = plan.rows.rows
        with seeded_initialization(draw_seed(rng)):
            return quantized_network(
                self.module,
                self.hidden_layer_sizes,
                rows.shape[1],
                len(self.classes_),
                source=getattr(split_model(plan.teacher.model)[1], "network_", None),
                dtype=rows.dtype,
                rows=rows[:_SOME_ROWS],
                follows=plan.loss.of_teacher,
                candidates=self._policy.candidates,
                **self._quantizer.network_options(),
            )

    def _calibrate(
        self,
        plan: TrainingPlan,
        network: QuantizedNetwork,
        near_teacher: bool,
        generator: torch.Generator,
    ) -> _Start:
        """Set steps, clips and widths, or take over those of the previous fit."""
        sample = plan.bit_sample(generator)
        rows, weights = plan.calibration_sample(sample)
        if self._goes_on:
            network = taken_over(self.network_, network)
            check_kept_widths(network, self.budget)
            return _Start(network, True, None, (rows, weights))
        network.calibrate(rows, weights, plan.span)
        policy = start_policy(self._policy, network, self.budget, sample)
        return _Start(network, near_teacher, policy, (rows, weights))

    def _train(
        self,
        plan: TrainingPlan,
        start: _Start,
        generator: torch.Generator,
        rng: np.random.RandomState,
    ) -> Trained:
        """Train the network, in place and on the device, on the teacher's actions too."""
        device = training_device(self.device)
        generator = generator_on(device, generator)
        network, policy = start.network.to(device), self._policy
        quantized = first_inputs_suffice(network, plan.loss)
        module = faithful_module(
            plan,
            network,
            generator,
            device=device,
            policy=start.policy,
            bit_penalty=policy.penalty if isinstance(policy, LearnedBits) else 0.0,
            quantized_samples=quantized,
        )
        rows = plan.taught_rows()
        if quantized:
            rows = rows.mapped(cast(QuantizedMLP, network).first_inputs)
        with seeded_layers(self.module, rng):
            return train(
                module,
                rows,
                self._loop_settings(plan, start, device),
                generator=generator,
                again=plan.rows_again,
                validation=validation_of(plan, network, device),
            )

    def _loop_settings(
        self, plan: TrainingPlan, start: _Start, device: torch.device
    ) -> LoopSettings:
        epochs = epochs_for(
            plan.n_visits,
            self.batch_size,
            self.max_iter,
            follows_teacher=plan.loss.of_teacher,
            starts_there=start.near_teacher,
        )
        callbacks = [] if self.callbacks is None else list(self.callbacks)
        policy = self._policy
        if start.policy is not None and isinstance(policy, LearnedBits):
            rows, weights = (one.to(device) for one in start.calibration)
            search = max(1, round(policy.search_fraction * epochs))
            # Before those of users, who may stop the training wherever they are called.
            callbacks.insert(0, BitSchedule(policy, (rows, weights), search))
        if plan.fitted_steps:
            callbacks.append(FittedSteps())
        updates = plan.group_updates(device)
        if updates is not None:
            callbacks.insert(0, GroupUpdates(updates))
        return LoopSettings(
            name=type(self).__name__,
            max_epochs=epochs,
            batch_size=self.batch_size,
            learning_rate=self._learning_rate(plan.loss),
            # Decay would pull the student away from the logits that it follows.
            weight_decay=0.0 if plan.loss.of_teacher else self.alpha,
            callbacks=callbacks,
            patience=self.n_iter_no_change if self.early_stopping else None,
            device=device,
            verbose=bool(self.verbose),
        )

    def _round(
        self, plan: TrainingPlan, finish: Finish, trained: Trained, rng: np.random.RandomState
    ) -> None:
        """Round the integer weights again; those of modules of one's own are not."""
        network, asked = self.network_, finish.rounding and plan.loss.of_teacher
        if not asked or not isinstance(network, QuantizedMLP) or trained.interrupted:
            return
        try:
            round_to_teacher(
                network,
                plan,
                len(trained.history),
                self.batch_size,
                torch.Generator().manual_seed(draw_seed(rng)),
                n_rounds=finish.rounding,
                verbose=bool(self.verbose),
            )
        except KeyboardInterrupt:
            self._interrupted_in("in the rounding that follows it, after the last whole pass")
