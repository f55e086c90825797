"""How much work a method may do, and where its search begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from skcfq.solvers.problems._draws import Draws


@dataclass(frozen=True)
class Effort:
    """The few numbers that methods use; each reads those that concern it.

    Attributes
    ----------
    n_restarts : int
        Random starts.
    beam_width : int
        Points that a beam search keeps for each person.
    n_steps : int
        Steps of a recursion.
    step_size : float
        Their size, in encoded units.
    time_limit : float or None
        Seconds for one person.
    max_nodes : int
        Nodes of the search tree of one person that are bounded before a proof is given up.
    """

    n_restarts: int = 1
    beam_width: int = 6
    n_steps: int = 3
    step_size: float = 0.5
    time_limit: float | None = None
    max_nodes: int = 50_000


@dataclass(frozen=True, eq=False)
class Starts:
    """Where a search begins, beside the people's own points.

    Attributes
    ----------
    points : list of Tensor of shape (n, n_encoded)
        Encoded points to start from too.
    draws : Draws
        Random numbers of each of the n people, the same in every batch.
    find_examples : callable
        Returns encoded people of the population who have the target, or None where none are known.
    """

    points: list[Tensor]
    draws: Draws
    find_examples: Callable[[], Tensor | None]

    @cached_property
    def examples(self) -> Tensor | None:
        """Encoded people who have the target, shape (k, n_encoded); the model is asked for them."""
        return self.find_examples()
