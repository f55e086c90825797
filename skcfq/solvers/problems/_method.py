"""What a method is: how it answers, whether it proves what it says, and what it requires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skcfq.solvers.problems._requirements import LINEAR_PROBLEM, nominal_weights
from skcfq.utils import rows_in_memory

if TYPE_CHECKING:
    from skcfq.solvers.problems._linear_problem import ExactAnswer
    from skcfq.solvers.problems._solution import Solution
    from skcfq.solvers.problems._states import States
    from skcfq.solvers.problems._task import Task

# Points of a person that a method may have at hand at once.
_POINTS = 64
# Says why a method does not apply to a task, and what does, or returns None.
Requirement = Callable[["Task"], "str | None"]


@dataclass(frozen=True)
class Shortcut:
    """A faster way to the same answers, for some of the tasks of a method.

    Attributes
    ----------
    solve : callable
        Takes a :class:`Task` and returns its verified :class:`Solution`, and the positions of
        people about whom it says nothing: the method itself is asked about them.
    requires : tuple of callables
        As in :class:`Method`.
    batch_size : int
        People that are solved together by default.
    """

    solve: Callable[[Task], tuple[Solution, np.ndarray]]
    requires: tuple[Requirement, ...]
    batch_size: int

    def why_not(self, task: Task) -> str | None:
        """Return why it cannot be taken, or None."""
        return _first_reason(self.requires, task)


@dataclass(frozen=True)
class Method:
    """A way to look for recourse, and what it requires.

    Parameters
    ----------
    name : str
        What ``result.method`` says.
    solve : callable
        Called as ``solve(problem, effort, starts)`` with a
        :class:`~skcfq.solvers.problems.RecourseProblem`, an
        :class:`~skcfq.solvers.problems.Effort` and :class:`~skcfq.solvers.problems.Starts`; as
        ``solve(problem, effort)`` with a :class:`~skcfq.solvers.problems.LinearProblem` where the
        method is `linear`. A method that proves returns an
        :class:`~skcfq.solvers.problems.ExactAnswer`; one that searches returns
        :class:`~skcfq.solvers.problems.States`, of which each person's cheapest valid point
        counts.
    proves : bool, default=False
        Whether its statuses are proofs. What a search finds is ``"feasible"``, and who is left
        is ``"not_found"``.
    requires : tuple of callables, default=()
        Each takes a :class:`~skcfq.solvers.problems.Task` and returns None, or the reason why the
        method does not apply, with what to do instead.
    linear : bool, default=False
        Whether it takes the problem as a :class:`~skcfq.solvers.problems.LinearProblem`, which
        every model must then have.
    batch_size : int, default=1024
        People that are solved together by default.
    gradients : bool, default=True
        Whether the problem offers gradients, where the model has them.
    literal : bool, default=False
        Whether its points are reported as they are: people whose raw row refutes their point are
        not asked again with more margin, and points keep no distance from the boundary by default.
        ``"auto"`` never takes it.
    shortcut : Shortcut or None, default=None
        A faster way to the same answers, for tasks that meet its own requirements; it is asked for
        one action a person and takes no starts.
    nonlinear : tuple of Method, default=()
        What goes by the same name where a model is not linear, if the method itself is `linear`:
        of these the one whose first requirement is met, else the first.
    otherwise : Method or None, default=None
        A search that is asked too about people whose proof was given up; the cheaper point counts.

    Notes
    -----
    Whatever a method returns is verified on the raw rows before anybody sees it.
    """

    name: str
    solve: Callable[..., States | ExactAnswer]
    proves: bool = False
    requires: tuple[Requirement, ...] = ()
    linear: bool = False
    batch_size: int = 1024
    gradients: bool = True
    literal: bool = False
    shortcut: Shortcut | None = None
    nonlinear: tuple[Method, ...] = ()
    otherwise: Method | None = None

    def suited_to(self, task: Task) -> Method:
        """Return the method of this name for the models of a task."""
        if not self.nonlinear or all(model.is_linear for model in task.models):
            return self
        fitting = (method for method in self.nonlinear if method.requires[0](task) is None)
        return next(fitting, self.nonlinear[0])

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise TypeError(f"name={self.name!r} of a Method: give a text.")
        # A class is called for an instance of it, which is no answer.
        if not callable(self.solve) or isinstance(self.solve, type):
            raise TypeError(f"solve={self.solve!r} of a Method: give a function of the problem.")
        if not isinstance(self.requires, tuple) or not all(map(callable, self.requires)):
            raise TypeError(
                f"requires={self.requires!r} of a Method: give a tuple of functions that take the "
                "task and return None, or why the method does not apply."
            )
        if not isinstance(self.batch_size, Integral) or self.batch_size < 1:
            raise ValueError(
                f"batch_size={self.batch_size!r} of a Method: give a whole number of at least 1."
            )
        for name in ("proves", "linear", "gradients", "literal"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name}={getattr(self, name)!r} of a Method: give True or False.")
        if not isinstance(self.nonlinear, tuple) or not all(
            isinstance(one, Method) for one in self.nonlinear
        ):
            raise TypeError(f"nonlinear={self.nonlinear!r} of a Method: give a tuple of Methods.")
        for name, kind in (("shortcut", Shortcut), ("otherwise", Method)):
            if not isinstance(getattr(self, name), kind | None):
                raise TypeError(
                    f"{name}={getattr(self, name)!r} of a Method: give a {kind.__name__}, or None."
                )

    def why_not(self, task: Task) -> str | None:
        """Return why the method does not apply to a task, or None."""
        if self.linear:
            return _first_reason((*LINEAR_PROBLEM, *self.requires), task)
        # Only linear problems contain the errors of the weights.
        return _first_reason((*self.requires, nominal_weights), task)

    def shortcut_for(self, task: Task) -> Shortcut | None:
        """Return the faster way, where a task allows it."""
        if self.shortcut is None or self.shortcut.why_not(task) is not None:
            return None
        return self.shortcut

    def batch_size_for(self, task: Task) -> int:
        """Return how many people of a task are solved together by default."""
        shortcut = self.shortcut_for(task)
        if shortcut is not None:
            return shortcut.batch_size
        return min(self.batch_size, max(rows_in_memory(_POINTS * task.actions.n_features), 1))

    def __repr__(self) -> str:
        return f"Method({self.name!r})"


def _first_reason(requires: tuple[Requirement, ...], task: Task) -> str | None:
    reasons: Any = (requirement(task) for requirement in requires)
    return next((reason for reason in reasons if reason is not None), None)
