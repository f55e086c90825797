"""The teacher recourse points that supervise the quantized network (§4.1, Appendices G and H)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from torch import Tensor

from skcfq.actions import ActionRegion, ActionSet, Box, box_of, region_of
from skcfq.models import Predictor, validity_slack
from skcfq.nn import FrozenMLP
from skcfq.solvers import RecourseSolver
from skcfq.solvers.search import projected_steps
from skcfq.utils import Interval, Progress, StrOptions, check_options

# People whose actions are computed together.
_ROWS = 4096
METHODS = ("pgd", "solver")
_MOST_STEPS = 100_000
# Proofs that take longer are no better to learn from.
_MAX_NODES = 2000
# No step, and no noise, in encoded units is larger.
_LARGEST = 1e9


class TeacherActions(BaseEstimator):
    r"""How the teacher's recourse is computed in training.

    Parameters
    ----------
    n_steps : int, default=3
        K of the paper.
    step_size : float, default=0.5
        α of the paper, in encoded units per unit of the gradient of the cross-entropy.
    method : {"pgd", "solver"}, default="pgd"
        ``"pgd"``: K projected gradient steps from each refused person's own row (Eq. 6).
        ``"solver"``: the cheapest actions that ``solver`` finds, which end on the boundary.
    solver : RecourseSolver, default=None
        For ``"solver"``; its action set and target are those of the classifier. None is the
        default solver with a small budget: where an action set is given and numbers have grids,
        its actions are proved to be the cheapest.
    share : float, default=1.0
        Share of the refused people, drawn at random, whose actions are computed, in (0, 1].
    max_people : int or None, default=8000
        At most so many of them.
    noise : float, default=0.0
        :math:`\sigma` of Gaussian noise, in encoded units, that is added to each action before it
        is projected again (Eq. 28).
    early_stopping : bool, default=False
        Take no further step once the teacher gives the target (Appendix H.2).
    online : bool, default=False
        Compute K steps anew for every batch, with new noise, instead of once before training.

    Notes
    -----
    The teacher does not change while the student is trained, so the actions are computed once.
    The paper gives no step size. This one was chosen on validation shares of the training
    rows of Adult and of a generated table: larger steps end deep inside the target region, where
    every quantized network agrees with the teacher and nothing is learned; smaller ones make the
    student lenient.

    Examples
    --------
    >>> TeacherActions(n_steps=1).n_steps
    1
    """

    _parameter_constraints: dict = {
        "n_steps": [Interval(Integral, 1, _MOST_STEPS, closed="both")],
        "step_size": [Interval(Real, 0, _LARGEST, closed="right")],
        "method": [StrOptions(set(METHODS))],
        "solver": [RecourseSolver, None],
        "share": [Interval(Real, 0, 1, closed="right")],
        "max_people": [Interval(Integral, 1, None, closed="left"), None],
        "noise": [Interval(Real, 0, _LARGEST, closed="both")],
        "early_stopping": ["boolean"],
        "online": ["boolean"],
    }

    def __init__(
        self,
        n_steps: int = 3,
        *,
        step_size: float = 0.5,
        method: str = "pgd",
        solver: RecourseSolver | None = None,
        share: float = 1.0,
        max_people: int | None = 8000,
        noise: float = 0.0,
        early_stopping: bool = False,
        online: bool = False,
    ) -> None:
        self.n_steps = n_steps
        self.step_size = step_size
        self.method = method
        self.solver = solver
        self.share = share
        self.max_people = max_people
        self.noise = noise
        self.early_stopping = early_stopping
        self.online = online

    def check(self) -> None:
        """Raise ValueError where there is no action to compute."""
        check_options(self, "teacher_actions")
        if self.solver is not None and self.solver.margin == "promise":
            raise ValueError(
                "teacher_actions.solver has margin='promise', which is known after the training "
                "only. Give a number, or 'auto'."
            )
        if self.online and self.method != "pgd":
            raise ValueError(
                "teacher_actions has online=True and method='solver'; only the K steps of "
                "method='pgd' are computed batch by batch."
            )

    def draw(self, n_people: int, rng: np.random.RandomState) -> np.ndarray:
        """Return the positions of the people whose actions are computed, rising."""
        count = max(1, round(self.share * n_people))
        if self.max_people is not None:
            count = min(count, self.max_people)
        if count >= n_people:
            return np.arange(n_people)
        return np.sort(rng.permutation(n_people)[:count])

    def points(
        self,
        teacher: Predictor,
        action_set: ActionSet,
        X: Any,
        target: np.ndarray,
        seed: int = 0,
        *,
        margin: float | None = None,
        verbose: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Return the encoded points x + δ of people whom the teacher refuses.

        Parameters
        ----------
        teacher : Predictor
        action_set : ActionSet
        X : DataFrame or ndarray of shape (n, n_raw_columns)
        target : ndarray of shape (n,), int64
        seed : int, default=0
            Of the solver and of the noise.
        margin : float or None, default=None
            Takes the place of the solver's.
        verbose : bool, default=False
            Whether to show a progress bar.

        Returns
        -------
        points : Tensor of shape (n, n_encoded), float64
        valid : Tensor of shape (n,), bool
            Whether the teacher gives the target there; K steps do not always suffice.

        Raises
        ------
        KeyboardInterrupt
            By the solver too, which elsewhere returns what is done.
        """
        region = region_of(action_set.compile(teacher.space), X)
        generator = torch.Generator().manual_seed(seed)
        wanted = torch.from_numpy(target)
        if self.method == "solver":
            solver = self._solver_for(margin, seed, verbose)
            points = _solved(solver, teacher, action_set, X, target)
            return self._judged(teacher, points, region, wanted, generator)
        points, valid = torch.empty_like(region.origin), torch.zeros(len(target), dtype=torch.bool)
        with Progress("recourse", "person", len(target), shown=verbose) as progress:
            for rows in torch.arange(len(target)).split(_ROWS):
                points[rows], valid[rows] = self.steps(
                    teacher, region.take(rows), wanted[rows], generator
                )
                progress.update(len(rows))
        return points, valid

    def steps(
        self,
        teacher: Predictor | FrozenMLP,
        region: ActionRegion | Box,
        target: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Take the K steps, and add the noise.

        Parameters
        ----------
        teacher : Predictor or FrozenMLP
        region : ActionRegion or Box
            Rules of n people.
        target : Tensor of shape (n,), int64
        generator : torch.Generator

        Returns
        -------
        points : Tensor of shape (n, n_encoded)
            In the precision of the region.
        valid : Tensor of shape (n,), bool
        """
        points = projected_steps(
            teacher,
            region,
            target,
            n_steps=self.n_steps,
            step_size=self.step_size,
            early_stopping=self.early_stopping,
        )
        return self._judged(teacher, points, region, target, generator)

    def _judged(
        self,
        teacher: Predictor | FrozenMLP,
        points: Tensor,
        region: ActionRegion | Box,
        target: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        if self.noise > 0:
            drawn = torch.randn(points.shape, generator=generator, dtype=points.dtype)
            points = region.project(points + self.noise * drawn)
        with torch.no_grad():
            return points, validity_slack(teacher.logits(points), target) >= 0

    def _solver_for(self, margin: float | None, seed: int, verbose: bool) -> RecourseSolver:
        """Return the solver, complete but for the rules and the targets."""
        if self.solver is None:
            solver = RecourseSolver(n_restarts=0, beam_width=3, max_nodes=_MAX_NODES)
        else:
            solver = clone(self.solver)
        solver.set_params(margin=self.margin if margin is None else margin)
        if solver.random_state is None:
            solver.set_params(random_state=seed)
        if verbose:
            solver.set_params(verbose=1)
        return solver

    @property
    def margin(self) -> float:
        """Margin of the solver's actions."""
        if self.solver is None or self.solver.margin == "auto":
            # Students learn from the boundary itself, on which they are measured.
            return 0.0
        return float(self.solver.margin)


def _solved(
    solver: RecourseSolver, teacher: Predictor, action_set: ActionSet, X: Any, target: np.ndarray
) -> Tensor:
    solver.set_params(action_set=action_set, target=teacher.classes[target])
    # Training on the people who happened to come first would be another training.
    result = solver.solve(teacher, X, keep_partial=False)
    return torch.from_numpy(teacher.space.encode(result.points))


@dataclass(frozen=True, eq=False)
class OnlineActions:
    """The K steps of a batch, computed when the batch comes.

    Attributes
    ----------
    actions : TeacherActions
    teacher : Predictor or FrozenMLP
    region : ActionRegion or Box
        Rules of all training rows.
    generator : torch.Generator
        Of the noise.
    everywhere : bool
        Whether points that the teacher refuses count too.
    """

    actions: TeacherActions
    teacher: Predictor | FrozenMLP
    region: ActionRegion | Box
    generator: torch.Generator
    everywhere: bool = False

    @classmethod
    def prepare(
        cls,
        actions: TeacherActions,
        teacher: Predictor,
        region: ActionRegion,
        generator: torch.Generator,
        dtype: torch.dtype,
    ) -> OnlineActions:
        """Choose the quickest form: a plain network and plain bounds in the student's precision.

        Parameters
        ----------
        actions, teacher, region, generator
            As the attributes.
        dtype : torch.dtype
            Precision of the training.
        """
        box, network = box_of(region, dtype), teacher.in_precision(dtype)
        if box is not None and network is not None:
            return cls(actions, network, box, generator)
        return cls(actions, teacher, region.without_raw(), generator)

    def __call__(self, positions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return points and validity of the rows at some positions."""
        region = self.region.take(positions)
        points, valid = self.actions.steps(self.teacher, region, target, self.generator)
        return points, valid | self.everywhere
