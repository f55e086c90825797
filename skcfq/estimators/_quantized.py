"""Quantization-aware training of a network from a full-precision teacher."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skcfq.actions import ActionSet
from skcfq.estimators._deployable import DeployableClassifier
from skcfq.estimators._teacher import NETWORK_CONSTRAINTS, TeacherClassifier
from skcfq.estimators._torch_teacher import teacher_of_any_module
from skcfq.exceptions import InterruptedWarning, SpaceMismatchError, UnsupportedModelError
from skcfq.models import Predictor, RowHead, as_predictor, join_steps, resolve_target, split_model
from skcfq.nn import (
    LossWeights,
    QuantizedMLP,
    QuantizedNetwork,
    TrainingRows,
    activation_widths_of,
    check_quantizable,
)
from skcfq.quantization import GumbelBits
from skcfq.training import (
    BIT_POLICIES,
    BitPolicy,
    BitSample,
    BitSchedule,
    DistillationSet,
    FittedSteps,
    LearnedBits,
    Quantizer,
    Supervision,
    TrainingTable,
    Validation,
    bit_policy_of,
    calibration_rows,
    check_budget,
    draw_seed,
    epochs_for,
    faithful_module,
    first_inputs_suffice,
    fitted_model,
    fitted_or_clone,
    generator_on,
    goes_on,
    known_logits,
    objective_of,
    quantized_network,
    round_to_teacher,
    seeded_initialization,
    seeded_layers,
    start_policy,
    taken_over,
    train,
    training_device,
    visits_again,
    was_interrupted,
)
from skcfq.utils import HasMethods, Interval, StrOptions, warn_user

# Of Adam, for labels and for a teacher's logits, which a student is near from the start.
_RATE, _FOLLOWING_RATE = 0.004, 0.002

# Enough to see how large activations become.
_SOME_ROWS = 2048

QUANTIZED_CONSTRAINTS: dict = {
    **NETWORK_CONSTRAINTS,
    "budget": [Interval(Real, 0, None, closed="neither")],
    "action_set": [ActionSet, None],
    "target": "no_validation",
    "teacher": [HasMethods(["fit", "predict"]), nn.Module, None],
    "memory": [str, HasMethods(["cache"]), None],
    "bit_policy": [StrOptions(set(BIT_POLICIES)), BitPolicy],
    "quantizer": [Quantizer, None],
}


class QuantizedClassifier(DeployableClassifier):
    """Base of the classifiers that train a quantized network under a bit budget."""

    teacher_: Any
    logit_bias_: float
    quantizer: Quantizer | None

    def _default_object(self, name: str) -> BaseEstimator | None:
        makers: dict[str, Callable[[], BaseEstimator]] = {
            "action_set": ActionSet,
            "bit_policy": lambda: bit_policy_of(self.bit_policy),
            "quantizer": self._default_quantizer,
            "objective": lambda: objective_of(getattr(self, "objective", "faithful")),
            "teacher": self._default_teacher,
            "teacher_actions": lambda: objective_of(
                getattr(self, "objective", "faithful")
            ).default_actions(),
        }
        return makers[name]() if name in makers else None

    def _default_quantizer(self) -> Quantizer:
        """Return what ``quantizer=None`` stands for."""
        return Quantizer()

    @property
    def _quantizer(self) -> Quantizer:
        return self._default_quantizer() if self.quantizer is None else self.quantizer

    def _check_plan(self) -> None:
        """Refuse what cannot be trained before anything is."""
        training_device(self.device)
        bit_policy_of(self.bit_policy).check(self.budget)
        self._quantizer.check()
        if isinstance(self.module, nn.Module):
            check_quantizable(self.module)
        elif self.module is None:
            activation_widths_of(self._quantizer.activation_bits, len(self.hidden_layer_sizes))
        if self.target is not None and not callable(self.target):
            resolve_target(self.target, self.classes_, self.classes_[:1])

    def _default_teacher(self) -> TeacherClassifier:
        """Return the unfitted teacher that ``teacher=None`` stands for."""
        return TeacherClassifier(
            self.hidden_layer_sizes,
            module=self.module,
            max_iter=self.max_iter,
            batch_size=self.batch_size,
            alpha=self.alpha,
            class_weight=self.class_weight,
            early_stopping=self.early_stopping,
            validation_fraction=self.validation_fraction,
            n_iter_no_change=self.n_iter_no_change,
            device=self.device,
            verbose=self.verbose,
        )

    def _fit_teacher(self, table: TrainingTable, rng: np.random.RandomState) -> Predictor:
        """Fit, clone or adopt the teacher, and take over its feature space."""
        self._interrupted = False
        if isinstance(self.teacher, nn.Module):
            draw_seed(rng)
            return self._adopt_module(teacher_of_any_module, table)
        teacher = self._default_teacher() if self.teacher is None else self.teacher
        model, fitted = fitted_or_clone(teacher)
        seed = draw_seed(rng)
        if goes_on(self) and (not fitted or model is self.teacher_):
            return as_predictor(self.teacher_, space=self.feature_space_)
        if self.encoder is not None:
            _give_encoder(model, fitted, self.encoder)
        if not fitted:
            memory, y = getattr(self, "memory", None), self.classes_[table.labels]
            model = fitted_model(memory, model, table.X, y, table.sample_weight, seed)
            self._interrupted = was_interrupted(model)
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
        if goes_on(self) and predictor.space.fingerprint != self.feature_space_.fingerprint:
            raise SpaceMismatchError(
                "warm_start=True goes on behind the encoder of the previous fit, but `teacher` "
                f"({type(model).__name__}) has another one, or other training rows. Give the "
                "previous `teacher_`, or warm_start=False."
            )
        self.teacher_ = model
        self.feature_space_ = predictor.space
        self.encoder_ = _encoder_of(model)
        return predictor

    def _adopt_module(self, wrap: Callable[..., Any], table: TrainingTable) -> Predictor:
        """Take a trained torch module as the teacher, behind the encoder that was given."""
        self.teacher_ = wrap(
            self.teacher, self.encoder, table.X, self.classes_, table.labels, table.sample_weight
        )
        self.feature_space_, self.encoder_ = self.teacher_.feature_space_, self.teacher_.encoder_
        return as_predictor(self.teacher_)

    def _loss_weights(self) -> LossWeights:
        """Return the weights of the terms of the loss: the task alone."""
        return LossWeights()

    def _learning_rate(self, loss: LossWeights) -> float:
        """Return the rate that training starts with."""
        if self.learning_rate_init is not None:
            return self.learning_rate_init
        return _FOLLOWING_RATE if loss.of_teacher else _RATE

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
        rounding: bool = False,
        dither: bool = False,
        fitted_steps: bool = False,
        validation: tuple[TrainingTable, Supervision | None] | None = None,
    ) -> None:
        """Train the student, on the teacher's actions too where there are any."""
        own = table.rows(encoded)
        if supervision is not None and supervision.held is not None:
            # Whom the bias is read off must be as unknown to the network as anybody else.
            own = replace(own, weights=torch.where(supervision.held, 0.0, own.weights))
        policy = bit_policy_of(self.bit_policy)
        with seeded_initialization(draw_seed(rng)):
            network, starts_there = quantized_network(
                self.module,
                self.hidden_layer_sizes,
                encoded.shape[1],
                len(self.classes_),
                source=getattr(split_model(teacher.model)[1], "network_", None),
                dtype=table.dtype,
                rows=own.rows[:_SOME_ROWS],
                follows=loss.of_teacher,
                candidates=policy.candidates,
                **self._quantizer.network_options(),
            )
        generator = torch.Generator().manual_seed(draw_seed(rng))
        sample = _bit_sample(own, supervision, generator)
        rows, weights = sample.rows, sample.weights
        if loss.of_teacher:
            rows = torch.cat([rows, sample.points])
            weights = torch.cat([weights, sample.point_weights])
        gumbel = None
        if goes_on(self):
            network, starts_there = taken_over(self.network_, network), True
            check_budget(network, self.budget)
        else:
            network.calibrate(rows, weights)
            gumbel = start_policy(policy, network, self.budget, sample)
        if self._interrupted:
            self._finish_untrained(network, gumbel)
            return
        device = training_device(self.device)
        generator = generator_on(device, generator)
        module_of = partial(
            faithful_module,
            network.to(device),
            loss=loss,
            teacher=teacher,
            space=self.feature_space_,
            worst_group=worst_group,
            bit_penalty=getattr(policy, "penalty", 0.0),
            device=device,
        )
        quantized = first_inputs_suffice(network, loss)
        module = module_of(
            gumbel, supervision, generator, quantized_samples=quantized, dither=dither
        )
        again, trained_on = None, own
        if supervision is not None:
            known = None
            if loss.of_teacher:
                known = known_logits(teacher, own.rows, supervision.points)
            trained_on = supervision.added_to(own, known)
            if loss.of_teacher and (loss.at_points or supervision.matching is not None):
                again = visits_again(supervision.acted)
        if quantized:
            trained_on = trained_on.mapped(cast(QuantizedMLP, network).first_inputs)
        visits = len(table) + (0 if again is None else len(again))
        # Modules of one's own are not rounded.
        rounded = network if rounding and isinstance(network, QuantizedMLP) else None
        epochs = epochs_for(
            visits,
            self.batch_size,
            self.max_iter,
            follows_teacher=loss.of_teacher,
            starts_there=starts_there,
        )
        callbacks = list(self.callbacks or [])
        if gumbel is not None and isinstance(policy, LearnedBits):
            search = max(1, round(policy.search_fraction * epochs))
            rows, weights = rows.to(device), weights.to(device)
            callbacks.append(BitSchedule(rows, weights, search, policy.temperatures))
        if fitted_steps:
            callbacks.append(FittedSteps())
        with seeded_layers(self.module, rng):
            trained = train(
                module,
                trained_on,
                name=type(self).__name__,
                max_epochs=epochs,
                batch_size=self.batch_size,
                learning_rate=self._learning_rate(loss),
                # Decay would pull the student away from the logits that it follows.
                weight_decay=0.0 if loss.of_teacher else self.alpha,
                generator=generator,
                callbacks=callbacks,
                verbose=bool(self.verbose),
                again=again,
                validation=None if validation is None else self._validation(module_of, *validation),
                patience=self.n_iter_no_change,
                device=device,
            )
        self._finish(network, trained.history, interrupted=trained.interrupted)
        if rounded is not None and not trained.interrupted:
            generator = torch.Generator().manual_seed(draw_seed(rng))
            source = DistillationSet(
                own.rows, own.weights, supervision, loss, teacher, self.feature_space_, generator
            )
            round_to_teacher(
                rounded,
                source,
                len(trained.history) * math.ceil(visits / self.batch_size),
                dither=dither,
                whole=visits <= self.batch_size,
                verbose=bool(self.verbose),
            )
        if supervision is not None:
            self.logit_bias_ = supervision.calibrate(network)
        self._make_integers()

    def _validation(
        self, module_of: Callable, table: TrainingTable, supervision: Supervision | None
    ) -> Validation:
        """Return what judges every pass: the same loss, on held-out rows."""
        device = training_device(self.device)
        rows = table.rows(self.feature_space_.encode(table.X))
        people = None
        if supervision is not None:
            rows = supervision.added_to(rows)
            people = torch.where(supervision.promised, supervision.weights, 0.0).to(device)
        module = module_of(None, supervision, torch.Generator(device).manual_seed(0))
        return Validation(module, rows.to(device), people)

    def _finish_untrained(self, network: QuantizedNetwork, gumbel: GumbelBits | None) -> None:
        """Keep the teacher's network at the chosen widths: Ctrl-C came before the training."""
        if gumbel is not None:
            network.set_bit_widths(gumbel.allocate())
        bits = f"{network.average_bits:.3g} bits on average"
        kept = f"its teacher's, quantized to {bits} and not trained"
        warn_user(
            f"Interrupted before the training of {type(self).__name__}. The network can be used: "
            f"it is {'that of the previous fit' if goes_on(self) else kept}. Fit again; with "
            "`memory`, what was finished is not computed again.",
            InterruptedWarning,
        )
        self._finish(network, pd.DataFrame(columns=["epoch", "train_loss"]), interrupted=True)


def _bit_sample(
    own: TrainingRows, supervision: Supervision | None, generator: torch.Generator
) -> BitSample:
    """Draw the rows, and the recourse points, that quantizers and policies are set on."""
    chosen = calibration_rows(len(own), generator)
    rows, labels, weights = (one[chosen] for one in (own.rows, own.labels, own.weights))
    if supervision is None:
        return BitSample(rows, labels, weights, rows[:0], labels[:0], weights[:0])
    promised = supervision.promised.nonzero().squeeze(1)
    promised = promised[calibration_rows(len(promised), generator)]
    return BitSample(
        rows,
        labels,
        weights,
        supervision.points[promised],
        supervision.targets[promised],
        own.weights[promised],
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


def _encoder_of(model: Any) -> Any:
    """Return the fitted transformer between raw columns and what the teacher's head reads."""
    steps, final = split_model(model)
    if hasattr(final, "encoder_"):
        steps = [*steps, ("encoder", final.encoder_)]
    return join_steps(steps) if steps else FunctionTransformer()
