"""Exact recourse for linear models as LP, QP and mixed-integer programs, through cvxpy (A.6).

One program is built for all people; what differs between them is a parameter, so it is compiled
once. HiGHS solves what is linear, Clarabel what is quadratic or conic; both come with cvxpy. The
formulations are written out in docs/user_guide/exact_methods.md.
"""

from __future__ import annotations

import itertools
import math
import time
import warnings
from typing import Any

import cvxpy as cp
import numpy as np
import torch

from skcfq.solvers.exact._highs import start_highs_quietly
from skcfq.solvers.exact._kept_programs import put_back, taken_program
from skcfq.solvers.exact._program_data import (
    PersonData,
    ProgramShape,
    person_data,
    program_shape,
)
from skcfq.solvers.problems import ExactAnswer, LinearProblem
from skcfq.utils import interrupts_heard

# An optimal cost is proved within this share of itself.
_GAP = 1e-8
_INTEGRAL = 1e-6
_HIGHS = {
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
    # Finer than what sets a premise that does not hold apart from its limit (_STRICT).
    "mip_feasibility_tolerance": 1e-8,
    "mip_rel_gap": 1e-9,
    "mip_abs_gap": 1e-12,
}
_CLARABEL = {"tol_gap_abs": 1e-10, "tol_gap_rel": 1e-9, "tol_feas": 1e-10}
# The norm in the mixed cost makes a cone, for which a third of the finer answers is inaccurate.
_CLARABEL_CONE = {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9}
# What it cannot meet so finely, it solves again. A setting that is left out would stay as it was.
_CLARABEL_COARSE = {"tol_gap_abs": 1e-8, "tol_gap_rel": 1e-8, "tol_feas": 1e-9}
# A contribution below this share of the cost is the noise of an interior-point method.
_STILL = 1e-6
# What a solver calls inaccurate can be used, but proves nothing.
_USABLE = (cp.OPTIMAL, cp.OPTIMAL_INACCURATE)
# With its integers fixed, a program may cost this much more and still be called optimal.
_TOLERATED = 1e-6


def solve_convex(
    problem: LinearProblem, *, integer: bool, time_limit: float | None = None
) -> ExactAnswer:
    """Solve a linear problem person by person.

    Parameters
    ----------
    problem : LinearProblem
        With any number of rivals.
    integer : bool
        Whether features may be discrete, and rules may count or choose.
    time_limit : float, optional
        Seconds for one person.

    Returns
    -------
    answer : ExactAnswer
        A person whose program fails numerically is ``"not_found"``.
    """
    shape = program_shape(problem, integer=integer)
    program = taken_program(shape, _Program)
    values, levels = problem.region.values.clone(), problem.region.levels.clone()
    status = np.full(problem.n_people, "not_found", dtype="<U17")
    bound = torch.zeros(problem.n_people, dtype=torch.float64)
    for i in range(problem.n_people):
        try:
            data = person_data(problem, shape, i)
            with interrupts_heard():
                told, bound[i], state = program.solve(data, time_limit)
            if state is not None:
                values[i], levels[i] = torch.from_numpy(state[0]), torch.from_numpy(state[1])
            status[i] = told
        except KeyboardInterrupt:
            status[i:], bound[i:] = "time_limit", 0.0
            return ExactAnswer(values, levels, status, bound, interrupted=True)
        except (cp.SolverError, ValueError, ArithmeticError):
            # One person's numerical trouble is no reason to lose the others.
            continue
    put_back(shape, program)
    return ExactAnswer(values, levels, status, bound)


class _Program:
    """One parametrized program for people of the same shape."""

    def __init__(self, shape: ProgramShape) -> None:
        self.shape = shape
        m, n_levels, rivals = shape.n_numeric, shape.n_levels, shape.n_rivals
        self.parameters: dict[str, cp.Parameter] = {}
        self.up, self.down = cp.Variable(m, nonneg=True), cp.Variable(m, nonneg=True)
        self.integers: list[cp.Variable] = []
        self.constraints: list[Any] = []
        move = self.up - self.down
        gain = shape.numeric_gain @ move if m else np.zeros(rivals)
        self.constraints += [
            self.up <= self._parameter("most_up", m),
            self.down <= self._parameter("most_down", m),
        ]
        if shape.weight_radius and m:
            size = cp.Variable(m, nonneg=True)
            value = self._parameter("own", m, sign=None) + move
            self.constraints += [size >= value, size >= -value]
            gain = gain - shape.weight_radius * cp.sum(
                size - self._parameter("own_size", m)
            ) * np.ones(rivals)
        contributions = [cp.multiply(shape.weights[:m], self.up + self.down)]
        self.option: Any = self._integer("option", n_levels) if n_levels else None
        if self.option is not None:
            gain = (
                gain + self._parameter("option_gain", (rivals, n_levels), sign=None) @ self.option
            )
            self.constraints.append(shape.option_of_category @ self.option <= 1)
            price = cp.multiply(self._parameter("option_price", n_levels), self.option)
            contributions.append(shape.option_of_category @ price)
        self.constraints.append(gain >= self._parameter("need", rivals, sign=None))
        self._add_counts()
        self._add_grids(move)
        self._add_linking(move)
        parts = cp.hstack(contributions)
        self.cost = self._norm(parts)
        objective = cp.sum_squares(parts) if shape.norm == "l2" else self.cost
        self.quadratic = shape.norm != "l1"
        self.problem = cp.Problem(cp.Minimize(objective), self.constraints)

    def _norm(self, parts: Any) -> Any:
        total = cp.sum(parts)
        if self.shape.norm == "l1":
            return total
        if self.shape.norm == "l2":
            return cp.norm(parts, 2)
        return self.shape.mix * total + (1 - self.shape.mix) * cp.norm(parts, 2)

    def _parameter(self, name: str, size: Any, *, sign: str | None = "nonneg") -> cp.Parameter:
        if name not in self.parameters:
            self.parameters[name] = cp.Parameter(size, name=name, nonneg=sign == "nonneg" or None)
        return self.parameters[name]

    def _integer(self, name: str, size: int) -> cp.Variable:
        """Add integers between two bounds, which a branch or the final clean-up can narrow.

        The relaxation of a quadratic program branches by these bounds itself.
        """
        variable = cp.Variable(size, name=name, integer=self.shape.norm == "l1")
        low = self._parameter(f"{name}_low", size, sign=None)
        high = self._parameter(f"{name}_high", size, sign=None)
        self.constraints += [variable >= low, variable <= high]
        self.integers.append(variable)
        return variable

    def _add_counts(self) -> None:
        """Tie numbers to binaries that say whether they rise or fall."""
        shape, m = self.shape, self.shape.n_numeric
        self.rises: Any = None
        self.falls: Any = None
        if shape.counted and m:
            self.rises, self.falls = self._integer("rises", m), self._integer("falls", m)
            for amount, binary, side in (
                (self.up, self.rises, "most_up"),
                (self.down, self.falls, "most_down"),
            ):
                most = self.parameters[side]
                self.constraints.append(amount <= cp.multiply(most, binary))
                if shape.has_min_change:
                    least = self._parameter("min_change", m)
                    self.constraints.append(amount >= cp.multiply(least, binary))
            self.constraints.append(self.rises + self.falls <= 1)
        if shape.max_changes is not None:
            self.constraints.append(cp.sum(cp.hstack(self._changed())) <= shape.max_changes)

    def _changed(self) -> list[Any]:
        """Return expressions that are 1 where a feature changes, numeric first."""
        changed = [] if self.rises is None else [self.rises + self.falls]
        if self.option is not None:
            changed.append(self.shape.option_of_category @ self.option)
        return changed

    def _add_grids(self, move: Any) -> None:
        for grid in self.shape.grids:
            j, name = grid.feature, f"grid_{grid.feature}"
            if grid.step is not None:
                # value = start + step * count where the number changes
                count = self._integer(name, 1)
                changed = self.rises[j] + self.falls[j]
                shift = self._parameter(f"{name}_shift", 1, sign=None)
                first = self._parameter(f"{name}_first", 1, sign=None)
                last = self._parameter(f"{name}_last", 1, sign=None)
                self.constraints += [
                    move[j] == shift * changed + grid.step * count,
                    count >= first * changed,
                    count <= last * changed,
                ]
            else:
                picked = self._integer(name, grid.size)
                distance = self._parameter(f"{name}_distance", grid.size, sign=None)
                self.constraints += [
                    move[j] == distance @ picked,
                    cp.sum(picked) == self.rises[j] + self.falls[j],
                ]

    def _add_linking(self, move: Any) -> None:
        shape = self.shape
        if shape.n_linking:
            total = shape.linking_numeric @ move if shape.n_numeric else 0
            if self.option is not None:
                size = (shape.n_linking, shape.n_levels)
                total = total + self._parameter("linking_option", size, sign=None) @ self.option
            limit = self._parameter("linking_limit", shape.n_linking, sign=None)
            self.constraints.append(total <= limit)
        for rule in range(shape.n_implications):
            self._add_implication(rule, move)

    def _add_implication(self, rule: int, move: Any) -> None:
        """Require the conclusions where all premises hold, unless the rule is waived."""
        premises, conclusions = self.shape.implications[rule]
        active = 1 - len(premises)
        for place, kind in enumerate(premises):
            active = active + self._premise(kind, f"premise_{rule}_{place}", move)
        waived = self._integer(f"waived_{rule}", 1)[0]
        named = self.shape.named_features[rule]
        for expression, features in self._changed_groups():
            for position, feature in enumerate(features):
                if named[feature]:
                    self.constraints.append(waived <= 1 - expression[position])
        active = active - waived
        for place, kind in enumerate(conclusions):
            name = f"conclusion_{rule}_{place}"
            if kind == "linear":
                side = self._linear(name, move) - self._parameter(f"{name}_room", 1)[0] * (
                    1 - active
                )
                self.constraints.append(side <= self._parameter(f"{name}_limit", 1, sign=None)[0])
            else:
                self.constraints.append(self._indicator(kind, name) >= active)

    def _changed_groups(self) -> list[tuple[Any, range]]:
        m, groups = self.shape.n_numeric, []
        if self.rises is not None:
            groups.append((self.rises + self.falls, range(m)))
        if self.option is not None:
            chosen = self.shape.option_of_category @ self.option
            groups.append((chosen, range(m, m + self.shape.n_categories)))
        return groups

    def _premise(self, kind: Any, name: str, move: Any) -> Any:
        """Return an expression that is 1 wherever a premise holds."""
        if kind != "linear":
            return self._indicator(kind, name)
        holds = self._integer(name, 1)[0]
        room = self._parameter(f"{name}_room", 1)[0]
        beyond = self._parameter(f"{name}_beyond", 1, sign=None)[0]
        self.constraints.append(self._linear(name, move) >= beyond - room * holds)
        return holds

    def _linear(self, name: str, move: Any) -> Any:
        """Return a linear function of the state, less its value at the own point."""
        shape = self.shape
        total: Any = shape.literal_numeric[name] @ move if shape.n_numeric else 0
        if self.option is not None:
            levels = self._parameter(f"{name}_option", shape.n_levels, sign=None)
            total = total + levels @ self.option
        return total

    def _indicator(self, kind: Any, name: str) -> Any:
        """Return an expression that is 1 where a category lies in a set or a feature changes."""
        if kind == "level":
            own = self._parameter(f"{name}_own", 1, sign=None)[0]
            levels = self._parameter(f"{name}_option", self.shape.n_levels, sign=None)
            return own + levels @ self.option
        feature, changes = kind
        for expression, features in self._changed_groups():
            if feature in features:
                value = expression[feature - features.start]
                return value if changes else 1 - value
        return 0 if changes else 1

    def solve(
        self, data: PersonData, time_limit: float | None
    ) -> tuple[str, float, tuple[np.ndarray, np.ndarray] | None]:
        """Return the status, the proved bound and the state of one person."""
        for name, parameter in self.parameters.items():
            parameter.value = data.parameters[name]
        deadline = None if time_limit is None else time.monotonic() + time_limit
        if self.quadratic and self.integers:
            status, bound, point = self._branch(deadline)
        else:
            status, bound, point = self._once(time_limit)
        if point is None:
            if status == "infeasible" and data.capped:
                return "not_found", 0.0, None
            return status, math.inf if status == "infeasible" else bound, None
        if self.integers:
            self._fix(point)
            if self._run(None) not in _USABLE:
                return "not_found", bound, None
            cost = float(np.asarray(self.cost.value))
            if status == "optimal" and cost > bound * (1 + _TOLERATED):
                status = "feasible"
            bound = min(bound, cost)
        return status, bound, data.state(self._solution())

    def _hold_still(self, move: np.ndarray) -> np.ndarray:
        """Solve again without the moves that are but noise: each would count as a change."""
        cost = float(self.cost.value)
        still = self.shape.weights[: len(move)] * np.abs(move) <= _STILL * cost
        if not move[still].any():
            return move
        for side in ("most_up", "most_down"):
            parameter = self.parameters[side]
            parameter.value = np.where(still, 0.0, np.asarray(parameter.value))
        if self._run(None) not in _USABLE or float(self.cost.value) > cost * (1 + _STILL):
            return move
        return np.where(still, 0.0, np.asarray(self.up.value) - np.asarray(self.down.value))

    def _run(self, time_limit: float | None, *, relaxed: bool = False) -> str:
        """Solve as finely as the solver can; the point of a relaxation need not be so exact."""
        limit = {} if time_limit is None else {"time_limit": max(time_limit, 1e-3)}
        if not self.quadratic:
            start_highs_quietly()
            return self._run_once(cp.HIGHS, _HIGHS | limit)
        fine = _CLARABEL if self.shape.norm == "l2" else _CLARABEL_CONE
        status = self._run_once(cp.CLARABEL, fine | limit)
        if status == cp.OPTIMAL_INACCURATE:
            status = self._run_once(cp.CLARABEL, _CLARABEL_COARSE | limit)
        if status == cp.OPTIMAL_INACCURATE and relaxed:
            status = self._run_once(cp.CLARABEL, _CLARABEL_COARSE | {"tol_feas": 1e-8} | limit)
        return status

    def _run_once(self, solver: str, settings: dict[str, float]) -> str:
        with warnings.catch_warnings():
            # cvxpy warns of inaccurate answers; all are verified on the raw row anyway.
            warnings.simplefilter("ignore")
            try:
                # Else a person's answer would depend on who was solved before.
                self.problem.solve(solver=solver, warm_start=False, **settings)
            except cp.SolverError:
                return str(cp.SOLVER_ERROR)
        return str(self.problem.status)

    def _once(self, time_limit: float | None) -> tuple[str, float, list[np.ndarray] | None]:
        status = self._run(time_limit)
        if status == cp.INFEASIBLE:
            return "infeasible", math.inf, None
        if status == cp.SOLVER_ERROR or self.cost.value is None:
            return ("time_limit" if status == cp.USER_LIMIT else "not_found"), 0.0, None
        cost = float(self.cost.value)
        if status == cp.USER_LIMIT:
            if not all(constraint.value(tolerance=_INTEGRAL) for constraint in self.constraints):
                return "time_limit", 0.0, None
            return "feasible", 0.0, self._point()
        if status != cp.OPTIMAL:
            return "feasible", 0.0, self._point()
        return "optimal", cost * (1 - _GAP), self._point()

    def _point(self) -> list[np.ndarray]:
        return [np.round(np.asarray(variable.value)) for variable in self.integers]

    def _fix(self, point: list[np.ndarray]) -> None:
        for variable, value in zip(self.integers, point, strict=True):
            self.parameters[f"{variable.name()}_low"].value = value
            self.parameters[f"{variable.name()}_high"].value = value

    def _branch(self, deadline: float | None) -> tuple[str, float, list[np.ndarray] | None]:
        """Branch and bound over the relaxations, for costs that HiGHS does not take."""
        names = [variable.name() for variable in self.integers]
        root = [
            tuple(np.asarray(self.parameters[f"{name}_{end}"].value) for end in ("low", "high"))
            for name in names
        ]
        counter = itertools.count()
        open_: list[tuple[float, int, list]] = [(0.0, next(counter), root)]
        best, point = math.inf, None
        # Below the lowest bound of a node whose relaxation failed, nothing is proved.
        unproved = math.inf
        while open_:
            open_.sort(key=lambda node: node[:2], reverse=True)
            bound, _, box = open_.pop()
            if bound >= best * (1 - _GAP):
                break
            if deadline is not None and time.monotonic() > deadline:
                return ("time_limit" if point is None else "feasible"), bound, point
            for name, (low, high) in zip(names, box, strict=True):
                self.parameters[f"{name}_low"].value = low
                self.parameters[f"{name}_high"].value = high
            status = self._run(None, relaxed=True)
            if status == cp.INFEASIBLE:
                continue
            if status != cp.OPTIMAL:
                unproved = min(unproved, bound)
            if status not in _USABLE:
                continue
            cost = float(self.cost.value)
            if cost >= best * (1 - _GAP):
                continue
            split = self._most_fractional()
            if split is None:
                best, point = cost, self._point()
                continue
            for child in _children(box, *split):
                open_.append((cost * (1 - _GAP), next(counter), child))
        if unproved < best * (1 - _GAP):
            return ("not_found" if point is None else "feasible"), unproved, point
        if point is None:
            return "infeasible", math.inf, None
        return "optimal", best * (1 - _GAP), point

    def _most_fractional(self) -> tuple[int, int, float] | None:
        worst, split = _INTEGRAL, None
        for place, variable in enumerate(self.integers):
            value = np.asarray(variable.value)
            distance = np.abs(value - np.round(value))
            at = int(distance.argmax())
            if distance[at] > worst:
                worst, split = distance[at], (place, at, float(value[at]))
        return split

    def _solution(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the moves of the numbers and the chosen options."""
        empty = np.zeros(0)
        move = empty
        if self.shape.n_numeric:
            move = np.asarray(self.up.value) - np.asarray(self.down.value)
        option = empty if self.option is None else np.round(self.option.value)
        return self._hold_still(move) if self.quadratic and len(move) else move, option


def _children(box: list, place: int, at: int, value: float) -> list[list]:
    low, high = box[place]
    left_high, right_low = high.copy(), low.copy()
    left_high[at], right_low[at] = math.floor(value), math.ceil(value)
    left, right = list(box), list(box)
    left[place], right[place] = (low, left_high), (right_low, high)
    return [left, right]
