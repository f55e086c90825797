"""One batch of people, their rules, one model and one cost, as tensors that a search can query."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skcfq.actions import project_grids, project_min_change, raw_rows
from skcfq.models import validity_slack
from skcfq.nn import of_lanes, target_margin, to_lanes
from skcfq.solvers.problems._first_layer import FirstLayer
from skcfq.solvers.problems._integer_states import IntegerStates
from skcfq.solvers.problems._perturbations import Jitter, jitter_radii
from skcfq.solvers.problems._states import States
from skcfq.utils import rows_of_block

if TYPE_CHECKING:
    from skcfq.actions import ActionRegion, RecourseCost
    from skcfq.models import Predictor

# Rows that one forward pass takes: the activations of small networks then stay in the cache.
ROWS_PER_PASS = 1024
# Categories from which on they are looked up together.
_MANY = 32
# Encoded columns, beside those of numbers that move, from which on first layers are tables.
_LOOKED_UP = 64
# Levels of a category that moves try at most, where all that they do is known: half of them gain
# most margin, half gain most for their cost.
MOST_LEVELS = 64


class RecourseProblem:
    """Find the cheapest valid point of each of n people.

    Parameters
    ----------
    predictor : Predictor
        The model that is asked, on encoded points.
    region : ActionRegion
        What each of the n people may change.
    cost : RecourseCost
    target : Tensor of shape (n,), int64
        Position of each person's target among the classes.
    margin : float or Tensor of shape (n,)
        Margin in logit units that a valid point must have, of all or of each person.
    variants : sequence of Predictor, default=()
        Further models on the same feature space that must say the target too.
    gradients : bool, default=True
        Whether gradients may be asked for, where every model has them.
    perturbation_radius : float, default=0.0
        Jitter of numeric features, in units of their spread.
    steady : bool, default=False
        Whether only points that survive this jitter are valid.
    """

    def __init__(
        self,
        predictor: Predictor,
        region: ActionRegion,
        cost: RecourseCost,
        target: Tensor,
        margin: float | Tensor,
        variants: Sequence[Predictor] = (),
        gradients: bool = True,
        perturbation_radius: float = 0.0,
        steady: bool = False,
    ) -> None:
        self.predictor = predictor
        self.variants = tuple(variants)
        self._logits_of = [model.frozen_logits() for model in self.models]
        self._networks = [model.frozen_network() for model in self.models]
        self.gradients = gradients and all(model.differentiable for model in self.models)
        margin = torch.as_tensor(margin, dtype=torch.float64).expand(len(target))
        self._pose(region, target, margin)
        self.cost_function = cost
        self.numeric_columns = region.numeric_columns
        self._numeric_slice = _place(region.numeric_columns)
        self.perturbation_radius, self.steady = perturbation_radius, steady
        self.categorical_columns = region.categorical_columns
        self._categorical_slices = [_place(columns) for columns in region.categorical_columns]
        self.codes = region.codes
        n_numeric = len(region.compiled.numeric)
        self.numeric_weights = cost.feature_weights[:n_numeric]
        self.categorical_weights = cost.feature_weights[n_numeric:]
        self.max_changes = region.compiled.max_changes or region.n_features

    def _pose(self, region: ActionRegion, target: Tensor, margin: Tensor) -> None:
        """Put in what is of the people, and not of all problems under one model."""
        self.region, self.target, self.margin = region, target, margin
        self.origin = region.origin
        self.values, self.levels = region.values, region.levels

    @property
    def models(self) -> tuple[Predictor, ...]:
        """All models that must say the target."""
        return self.predictor, *self.variants

    @property
    def n_people(self) -> int:
        return self.region.n_people

    @property
    def has_grids(self) -> bool:
        """Whether some numbers have only some admissible values inside their bounds."""
        region = self.region
        return region.min_change is not None or any(grid is not None for grid in region.grids)

    @property
    def is_smooth(self) -> bool:
        """Whether along each number validity depends on a margin alone that does not jump."""
        jumps = any(model.is_piecewise_constant for model in self.models)
        free = self.region.linking is None and not self.has_grids
        return self.gradients and free and not jumps

    @cached_property
    def code_boxes(self) -> list[tuple[Tensor, Tensor]]:
        """Least and largest entry of each column of the codes of each categorical feature."""
        return [(codes.amin(dim=0), codes.amax(dim=0)) for codes in self.codes]

    @cached_property
    def _distance_table(self) -> Tensor | None:
        """Distances between the levels of many categories side by side, shape (c, L + 1, L)."""
        distances = self.cost_function.distances
        size = max((distance.shape[1] for distance in distances), default=0)
        if len(distances) < _MANY or size > MOST_LEVELS:
            return None
        table = torch.zeros((len(distances), size + 1, size), dtype=torch.float64)
        for c, distance in enumerate(distances):
            table[c, : len(distance), : distance.shape[1]] = distance
            # The last row is that of an unrecognized level.
            table[c, -1, : distance.shape[1]] = distance[-1]
        return table

    @cached_property
    def radii(self) -> Tensor:
        """Perturbation radius of each numeric feature in encoded units, shape (m,)."""
        return jitter_radii(self.predictor.space, self.numeric_columns, self.perturbation_radius)

    @cached_property
    def jitter(self) -> Jitter:
        """The jitter that answers must survive."""
        return Jitter.of(
            self.models,
            self.numeric_columns,
            self.categorical_columns,
            self.perturbation_radius,
        )

    def take(self, rows: Tensor) -> RecourseProblem:
        """Return the problem of some of the people."""
        part = copy(self)
        part._pose(self.region.take(rows), self.target[rows], self.margin[rows])
        if "tried_levels" in self.__dict__:
            part.__dict__["tried_levels"] = [tried[rows] for tried in self.tried_levels]
        if self.__dict__.get("_first_layers") is not None:
            part.__dict__["_first_layers"] = [one.take(rows) for one in self._first_layers or ()]
        if self.__dict__.get("_integer_states") is not None:
            part.__dict__["_integer_states"] = self.__dict__["_integer_states"].take(rows)
        return part

    @cached_property
    def _integer_states(self) -> IntegerStates | None:
        """The sums of integer networks at the own points; None where points are written out."""
        return IntegerStates.of(self.models, self.region, self.jitter if self.steady else None)

    @cached_property
    def _first_layers(self) -> list[FirstLayer] | None:
        """The first layers of the models, by tables; None where points must be written out."""
        known = [one for one in self._networks if one is not None and one.hidden]
        if len(known) < len(self._networks) or self.steady or self.region.downstream is not None:
            return None
        # What is written down in columns of its own is multiplied as fast as it is looked up.
        if self.origin.shape[1] - len(self.numeric_columns) < _LOOKED_UP:
            return None
        return [FirstLayer.of(network, self.region) for network in known]

    @cached_property
    def code_steps(self) -> tuple[Tensor, Tensor, Tensor, Tensor] | None:
        """Step, lowest and highest code of each number, and its jitter, of shape (m,) each.

        None without a model of integers alone, whose codes are all that counts, or where a number
        jitters over several.
        """
        if self._integer_states is None or len(self.models) > 1:
            return None
        radii = self.radii if self.steady else torch.zeros(len(self.numeric_columns)).double()
        network = self._integer_states.sums[0].network.network
        of_all = (network.input_steps, *network.input_range)
        steps, low, high = (torch.from_numpy(part)[self.numeric_columns] for part in of_all)
        return (steps, low, high, radii) if bool((2 * radii < steps).all()) else None

    @cached_property
    def tried_levels(self) -> list[Tensor]:
        """Levels of each category that are worth a move, c Tensors of shape (n, L), bool.

        All that are allowed; of very many, those that promise most where nothing else has changed.
        Each of them is asked about in a row as wide as they are many.
        """
        return [self._promising(c) for c in range(len(self.region.allowed))]

    def _promising(self, c: int) -> Tensor:
        allowed = self.region.allowed[c]
        # Under a rule across features a level may be worth nothing alone.
        if allowed.shape[1] <= MOST_LEVELS or self.region.linking is not None:
            return allowed
        person, level = allowed.nonzero(as_tuple=True)
        levels = self.levels[person]
        levels[:, c] = level
        tried = self.states(person, self.values[person], levels)
        gain = tried.slack - self.own_states().slack[person]
        rate = torch.where(tried.cost > 0, gain / tried.cost, torch.inf)
        promising = torch.zeros_like(allowed)
        for score in (gain, rate):
            table = torch.full(allowed.shape, -torch.inf, dtype=torch.float64)
            table[person, level] = score
            least = table.topk(MOST_LEVELS // 2, dim=1).values[:, -1:]
            # All that are as good as the last one: a model that only says labels tells no more.
            promising |= table >= least
        return promising & allowed

    def without_gradients(self) -> RecourseProblem:
        """Return the same problem, whose models are asked for answers only."""
        blind = copy(self)
        blind.gradients = False
        return blind

    def assemble(self, person: Tensor, values: Tensor, levels: Tensor) -> Tensor:
        """Return the encoded points, shape (N, n_encoded)."""
        points = self.origin.index_select(0, person)
        points[:, self._numeric_slice] = values
        unknown = levels < 0
        keeps = bool(unknown.any())
        known = levels.clamp_min(0).T.contiguous()
        for c, (columns, codes) in enumerate(
            zip(self._categorical_slices, self.codes, strict=True)
        ):
            code = codes.index_select(0, known[c])
            if keeps:
                code = torch.where(unknown[:, c, None], points[:, columns], code)
            points[:, columns] = code
        if self.region.downstream is None:
            return points
        own = self.values[person], self.levels[person]
        return self.region.downstream.write(
            points, self.region.downstream.amounts(values, levels, *own)
        )

    def contributions(self, person: Tensor, values: Tensor, levels: Tensor) -> Tensor:
        """Return what each feature adds to the cost, shape (N, n_features)."""
        moved = (values - self.values[person]).abs()
        if self.region.has_gaps:
            # A gap can only be kept.
            moved = torch.nan_to_num(moved)
        costs = self.numeric_weights * moved
        distances = self.cost_function.distances
        if not distances:
            return costs
        own = self.levels.index_select(0, person)
        # Columns are read one after the other, and faster where they lie in a row.
        if self._distance_table is not None:
            each = torch.arange(own.shape[1])
            steps = self._distance_table[each, own, levels.clamp_min(0)]
        else:
            columns = own.T.contiguous(), levels.clamp_min(0).T.contiguous()
            places = zip(distances, *columns, strict=True)
            of_each = [distance[before, after] for distance, before, after in places]
            steps = torch.stack(of_each, dim=1)
        steps = torch.where(own == levels, 0.0, steps)
        return torch.cat([costs, self.categorical_weights * steps], dim=1)

    def cost(self, person: Tensor, values: Tensor, levels: Tensor) -> Tensor:
        """Return the cost of each point, shape (N,)."""
        return self.cost_function.combine(self.contributions(person, values, levels))

    def changed(self, person: Tensor, values: Tensor, levels: Tensor) -> Tensor:
        """Return which features differ from the person's own, shape (N, n_features)."""
        own = self.values[person]
        moved = values != own
        if self.region.has_gaps:
            moved &= ~torch.isnan(own)
        return torch.cat([moved, levels != self.levels[person]], dim=1)

    def snap(self, person: Tensor, values: Tensor) -> Tensor:
        """Move numeric features to the nearest admissible values of each person."""
        region = self.region
        lower, upper = region.lower.index_select(0, person), region.upper.index_select(0, person)
        own = self.values.index_select(0, person)
        snapped = torch.minimum(torch.maximum(values, lower), upper)
        least = None
        if region.min_change is not None:
            least = region.min_change.index_select(0, person)
            snapped = project_min_change(snapped, lower, upper, own, least)
        at = region.gridded
        if len(at) == 0:
            return snapped
        nearest = None if least is None else least[:, at]
        sides = lower[:, at], upper[:, at], own[:, at]
        snapped[:, at] = project_grids(values[:, at], region.grid_table, *sides, nearest)
        return snapped

    def states(self, person: Tensor, values: Tensor, levels: Tensor) -> States:
        """Ask the model about points, and price them."""
        cost, slack = torch.empty(2, len(person), dtype=torch.float64)
        step = min(ROWS_PER_PASS, rows_of_block(self.origin.shape[1]))
        with torch.no_grad():
            for start in range(0, len(person), step):
                part = slice(start, start + step)
                state = person[part], values[part], levels[part]
                slack[part] = self._slack_of_states(*state)
                cost[part] = self.cost(*state)
        if self.region.linking is not None:
            # A point that breaks a rule across features is as invalid as one that is refused.
            broken = self.region.linking.violation(values, levels, person)
            slack = torch.where(broken > 0, torch.minimum(slack, -broken), slack)
        return States(person, values, levels, cost, slack)

    def _slack_of_states(self, person: Tensor, values: Tensor, levels: Tensor) -> Tensor:
        integers = self._integer_states
        if integers is not None:
            of_rows = lambda logits, rows: self._least_slack(logits, person[rows])  # noqa: E731
            slack = integers.slack(self.region, (person, values, levels), of_rows)
            if slack is not None:
                return slack
        layers = self._first_layers
        if layers is not None:
            every = [layer.logits(person, values, levels) for layer in layers]
            return self._least_slack(every, person)
        points = self.assemble(person, values, levels)
        return (self.worst_slack if self.steady else self._slack)(points, person)

    def _slack(self, points: Tensor, person: Tensor) -> Tensor:
        """Return the smallest slack that any of the models leaves, shape (N,)."""
        pairs = zip(self.models, self._logits_of, strict=True)
        every = [self._logits(model, logits_of, points, person) for model, logits_of in pairs]
        return self._least_slack(every, person)

    def _least_slack(self, logits: list[Tensor], person: Tensor) -> Tensor:
        target, margin = self.target[person], self.margin[person]
        slacks = [validity_slack(one, target, margin) for one in logits]
        return functools.reduce(torch.minimum, slacks)

    def worst_slack(self, points: Tensor, person: Tensor) -> Tensor:
        """Return the smallest slack of encoded points under jitter, shape (N,).

        A jittered point need not be admissible.
        """
        slack = self._slack(points, person)
        for jittered in self.jitter.around(points, lambda: self._gradient(points, person)):
            slack = torch.minimum(slack, self._slack(jittered, person))
        return slack

    def _gradient(self, points: Tensor, person: Tensor) -> Tensor | None:
        """Return the gradient of the margin, shape (N, n_encoded), where it may be asked for."""
        if not self.gradients:
            return None
        with torch.enable_grad():
            return self.margin_gradient(points, person)[1]

    def _logits(
        self,
        model: Predictor,
        logits_of: Callable[[Tensor], Tensor],
        points: Tensor,
        person: Tensor,
    ) -> Tensor:
        if model.differentiable:
            return logits_of(points)
        # A model that is only a function of raw rows is asked about raw rows.
        return model.row_logits(raw_rows(self.region.take(person), points))

    def own_states(self) -> States:
        """Return every person's own point."""
        return self.states(torch.arange(self.n_people), self.values, self.levels)

    def states_at(self, points: Tensor, person: Tensor | None = None) -> States:
        """Return the nearest admissible states to encoded points; by default one of each person."""
        region = self.region
        if person is None:
            person = torch.arange(self.n_people)
        else:
            region = region.without_raw().take(person)
        values, levels = region.split(region.project(points))
        return self.states(person, values, levels)

    def margin_gradient(self, points: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
        """Return the target margin at encoded points and its gradient, shapes (N,) and (N, d)."""
        target = self.target[person]
        (network, *others) = self._networks
        if network is not None and not others:
            tiles = network.margin_gradient(to_lanes(points.detach()), to_lanes(target))
            gradient, logits = (of_lanes(part, len(points)) for part in tiles)
            return target_margin(logits, target), gradient
        points = points.detach().requires_grad_(True)
        margins = [target_margin(logits_of(points), target) for logits_of in self._logits_of]
        margin = functools.reduce(torch.minimum, margins)
        (gradient,) = torch.autograd.grad(margin.sum(), points)
        return margin.detach(), gradient


def _place(columns: Tensor) -> Tensor | slice:
    """Return neighboring columns as a slice, which is ten times as fast to write to."""
    if len(columns) and bool((columns.diff() == 1).all()):
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns
