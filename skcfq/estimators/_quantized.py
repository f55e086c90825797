"""What every quantized classifier has of its teacher: the fit, the encoder and the rules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skcfq.actions import ActionSet
from skcfq.encoding import warn_of_one_hot_groups
from skcfq.estimators._deployable import DeployableClassifier
from skcfq.estimators._teacher import TeacherClassifier
from skcfq.estimators._torch_teacher import teacher_of_network
from skcfq.exceptions import (
    SpaceMismatchError,
    TargetError,
    UnsupportedModelError,
)
from skcfq.models import (
    Predictor,
    RowHead,
    as_predictor,
    carry,
    encoding_hint,
    join_steps,
    resolve_target,
    split_model,
)
from skcfq.training import (
    Quantizer,
    TrainingTable,
    draw_seed,
    fit_model,
    fitted_or_clone,
    network_of_module,
)
from skcfq.utils import is_list


class QuantizedClassifier(DeployableClassifier):
    """Base of the classifiers that are quantized forms of a teacher."""

    teacher_: Any
    teacher: Any
    encoder: Any
    quantizer: Quantizer | None
    _made_teacher: bool

    def _default_object(self, name: str) -> BaseEstimator | None:
        makers: dict[str, Callable[[], BaseEstimator]] = {
            "action_set": ActionSet,
            "quantizer": Quantizer,
            "teacher": self._default_teacher,
        }
        return makers[name]() if name in makers else None

    def _default_teacher(self) -> TeacherClassifier:
        """Return the unfitted teacher that ``teacher=None`` stands for."""
        return TeacherClassifier()

    @property
    def _quantizer(self) -> Quantizer:
        return Quantizer() if self.quantizer is None else self.quantizer

    @property
    def _uses_recourse(self) -> bool:
        """Whether the fit asks what people can do."""
        return False

    def _check_rules(self, table: TrainingTable) -> None:
        """Tell wrong rules even where nobody is refused, or where they are not used."""
        if self.action_set is not None:
            self.action_set.compile(self.feature_space_)
        elif self._uses_recourse:
            warn_of_one_hot_groups(table.X)

    def _check_target(self) -> None:
        """Refuse what is no label, or a label that y does not have."""
        if is_list(self.target):
            raise TargetError(
                f"`target` is {self.target!r}: give one label of {self.classes_.tolist()}, which "
                "all people want, or 'opposite'."
            )
        resolve_target(self.target, self.classes_, self.classes_[:1])

    def _fit_teacher(self, table: TrainingTable, rng: np.random.RandomState) -> Predictor:
        """Fit, clone or adopt the teacher, and take over its feature space."""
        seed = draw_seed(rng)
        if isinstance(self.teacher, nn.Module):
            _check_finite(self.teacher)
            return self._adopt_module(self.teacher, table)
        teacher = self._default_teacher() if self.teacher is None else self.teacher
        model, fitted = fitted_or_clone(teacher)
        return self._adopt_model(model, fitted, table, seed)

    def _network_of(self, module: nn.Module) -> nn.Module:
        """Return a trained module as a network that can be this classifier's teacher."""
        return network_of_module(module)

    def _adopt_module(self, module: nn.Module, table: TrainingTable) -> Predictor:
        """Take a trained torch module as the teacher, behind the encoder that was given."""
        self.teacher_ = teacher_of_network(
            self._network_of(module),
            self.encoder,
            table.X,
            self.classes_,
            table.labels,
            table.sample_weight,
        )
        self.feature_space_, self.encoder_ = self.teacher_.feature_space_, self.teacher_.encoder_
        carry(self.teacher_, self.action_set, self.target)
        self._made_teacher = True
        return as_predictor(self.teacher_)

    def _adopt_model(self, model: Any, fitted: bool, table: TrainingTable, seed: int) -> Predictor:
        """Take a classifier as the teacher, and fit it first where it is not fitted."""
        if self.encoder is not None:
            _give_encoder(model, fitted, self.encoder)
        if not fitted:
            model = self._fit_model(model, table, seed)
        predictor = as_predictor(model, background=table.X, sample_weight=table.sample_weight)
        self._check_teacher(predictor)
        if not fitted:
            # A model of the user's own stays as it is.
            carry(model, self.action_set, self.target)
        self._made_teacher = not fitted
        self.teacher_ = model
        self.feature_space_ = predictor.space
        self.encoder_ = _encoder_of(model)
        return predictor

    def _fit_model(self, model: Any, table: TrainingTable, seed: int) -> Any:
        fit_model(model, table.X, self.classes_[table.labels], table.sample_weight, seed)
        return model

    def _check_teacher(self, predictor: Predictor) -> None:
        """Refuse a teacher that has no logits on encoded rows, or other classes."""
        if isinstance(predictor.head, RowHead):
            raise UnsupportedModelError(
                f"`teacher` must give logits on encoded rows: {predictor.head.reason}. Give a "
                "linear model, an MLPClassifier or a TeacherClassifier behind an encoder."
            )
        if not np.array_equal(predictor.classes, self.classes_):
            raise ValueError(
                f"`teacher` knows the classes {predictor.classes.tolist()}, y has "
                f"{self.classes_.tolist()}. Fit the teacher on the same labels."
                f"{encoding_hint(self.classes_.tolist())}"
            )


def _check_finite(module: nn.Module) -> None:
    """Refuse a torch module whose own training has diverged."""
    for name, one in chain(module.named_parameters(), module.named_buffers()):
        if not one.is_meta and not bool(one.isfinite().all()):
            raise UnsupportedModelError(
                f"`teacher` is the torch module {type(module).__name__}, whose {name} holds "
                "numbers that are not finite. Give a module whose training did not diverge."
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
