"""What one call of a solver is about: the models, the people, their rules and their targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.utils import as_slice, take_rows

if TYPE_CHECKING:
    from skcfq.actions import ActionSet, CompiledActions, RecourseCost
    from skcfq.models import Predictor

# A number is far outside where it weighs more than this in the logits, or costs more than this.
FAR = 1e3
# Rows that are put to a model at once where nothing else bounds the memory.
_ROWS = 16_384
# Their encoded numbers, which then stay in the cache.
_NUMBERS = 131_072


@dataclass(frozen=True, eq=False)
class Task:
    """Models, people, targets, rules and cost.

    Attributes
    ----------
    predictor : Predictor
    X : DataFrame or ndarray of shape (n, n_raw_columns)
    target : ndarray of shape (n,), int64
        Position of each person's target among the classes.
    actions : CompiledActions
    cost : RecourseCost
    margin : ndarray of shape (n,)
        Margin in logit units that a valid point of each person must have.
    variants : tuple of Predictor
        Further models that must say the target too.
    overrides : dict of row position to rules
        Rules of single people.
    proba : float or None
        Probability of the target that ``predict_proba`` must confirm.
    weight_radius : float
        Error of each weight of a linear model that the answer must survive.
    examples : DataFrame, ndarray or None
        Raw rows of the population, from which a search without gradients may copy.
    perturbation_radius : float
        Jitter that an answer must survive, in units of each numeric feature's spread.
    decisions : ndarray of shape (n,) or None
        What the model says about X, where that is known.
    logits : ndarray of shape (n, n_classes) or None
        Its logits, where they are known.
    encoded : ndarray of shape (n, d) or None
        X as the model's space encodes it, where that is known.
    n_alternatives : int
        Actions for each person.
    single_precision : bool
        Whether valid points must be so for a float32 copy of the models too.
    action_set : ActionSet or None
        What ``actions`` was compiled from.
    target_given : bool
        Whether somebody said what people want; a guess is no basis for what people read.
    asked_margin : float
        The margin of all, before what a probability asks for.
    """

    predictor: Predictor
    X: Any
    target: np.ndarray
    actions: CompiledActions
    cost: RecourseCost
    margin: np.ndarray
    variants: tuple[Predictor, ...] = ()
    overrides: Mapping[int, Mapping] | None = None
    proba: float | None = None
    weight_radius: float = 0.0
    examples: Any = None
    perturbation_radius: float = 0.0
    decisions: np.ndarray | None = None
    logits: np.ndarray | None = None
    encoded: np.ndarray | None = None
    n_alternatives: int = 1
    single_precision: bool = False
    action_set: ActionSet | None = None
    target_given: bool = True
    asked_margin: float = 0.0

    def __len__(self) -> int:
        return len(self.target)

    def take(self, rows: np.ndarray) -> Task:
        """Return the task of some of the people."""
        return replace(self, **self.of_people(rows))

    def of_people(self, rows: np.ndarray) -> dict[str, Any]:
        """Return what differs from person to person, by name: small enough for another process."""
        overrides = None
        if self.overrides:
            overrides = {
                here: self.overrides[row]
                for here, row in enumerate(rows.tolist())
                if row in self.overrides
            }
        return {
            "X": take_rows(self.X, as_slice(rows)),
            "target": self.target[rows],
            "margin": self.margin[rows],
            "overrides": overrides,
            "decisions": None,
            "logits": None if self.logits is None else self.logits[rows],
            "encoded": None if self.encoded is None else self.encoded[rows],
        }

    def groups(self) -> Iterator[np.ndarray]:
        """Yield the positions of people with one target and the same kind of rules and limits.

        How a group is solved may depend on these; how a person is, must not depend on others.
        """
        own_rules = np.zeros(len(self), dtype=bool)
        own_rules[list(self.overrides or {})] = True
        kind = 2 * self.target + own_rules
        kind += 2 * len(self.predictor.classes) * self.actions.far_from_grids(self.X)
        kind += 4 * len(self.predictor.classes) * self.apart
        for one in np.unique(kind):
            yield np.flatnonzero(kind == one)

    @property
    def models(self) -> tuple[Predictor, ...]:
        """All models that must say the target."""
        return (self.predictor, *self.variants)

    @property
    def apart(self) -> np.ndarray:
        """Whose own row one of the models must be asked about raw, bool of shape (n,)."""
        return np.any([model.apart(self.X) for model in self.models], axis=0)

    def as_functions(self) -> Task:
        """Return the task in which models with another encoder are asked about raw rows."""
        variants = tuple(variant.as_function() for variant in self.variants)
        return replace(self, predictor=self.predictor.as_function(), variants=variants)

    @property
    def one_target(self) -> int | None:
        """The target that all people have, else None."""
        first = self.target[:1]
        return int(first[0]) if len(first) and (self.target == first).all() else None

    @property
    def margin_radius(self) -> float:
        """Largest error of a weight of a margin: a difference of two classes errs twice."""
        return self.weight_radius * (1 if len(self.predictor.classes) == 2 else 2)

    @property
    def first_margin(self) -> np.ndarray:
        """The margin that is asked for at first, shape (n,): what suffices for most points."""
        if not self.single_precision:
            return self.margin
        return np.maximum(self.margin, max(model.typical_noise for model in self.models))

    def blocks(self) -> Iterator[slice]:
        """Cut the people into blocks of rows."""
        step = min(max(_NUMBERS // self.predictor.space.n_encoded, 256), _ROWS)
        for start in range(0, len(self), step):
            yield slice(start, min(start + step, len(self)))
