"""The small language of rules across features: parsed here, with no knowledge of any column.

``rule := "if" conditions "then" conditions | condition``, conditions joined by ``and``. A
condition compares two linear expressions (``<=``, ``>=``, ``==``), tests a category (``==``,
``!=``, ``in``, ``not in``) or asks whether a feature moves (``changes(name)``, ``stays(name)``).
Names stand as they are, or in backquotes; digits in backquotes are a position. ``change(name)``
in a linear expression is the raw value after the action less the one before.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable
from dataclasses import dataclass
from typing import NoReturn

from skcfq.exceptions import ActionSetError

__all__ = ["Changes", "Condition", "IsIn", "Linear", "Rule", "RuleParser", "parse_rule"]


@dataclass(frozen=True)
class Linear:
    """``sum(coefficient * value) + sum(coefficient * change) <= limit``.

    Parameters
    ----------
    values, changes : dict of name to float
        Coefficients of raw values after the action, and of what the action adds.
    limit : float
    """

    values: dict[Hashable, float]
    changes: dict[Hashable, float]
    limit: float

    @property
    def names(self) -> set[Hashable]:
        """Columns that the condition reads."""
        return {*self.values, *self.changes}


@dataclass(frozen=True)
class IsIn:
    """A category, or a number, is one of some levels, or none of them."""

    name: Hashable
    levels: tuple
    inside: bool

    @property
    def names(self) -> set[Hashable]:
        """Columns that the condition reads."""
        return {self.name}


@dataclass(frozen=True)
class Changes:
    """A feature changes, or stays."""

    name: Hashable
    changes: bool

    @property
    def names(self) -> set[Hashable]:
        """Columns that the condition reads."""
        return {self.name}


Condition = Linear | IsIn | Changes


@dataclass(frozen=True)
class Rule:
    """Where all premises hold, all conclusions hold; without premises always.

    Parameters
    ----------
    text : str
        As it was written.
    premises, conclusions : tuple of Condition
    """

    text: str
    premises: tuple[Condition, ...]
    conclusions: tuple[Condition, ...]

    @property
    def names(self) -> set[Hashable]:
        """Columns that the rule reads."""
        return set().union(*(c.names for c in (*self.premises, *self.conclusions)))


def parse_rule(text: object) -> Rule:
    """Read one rule.

    Parameters
    ----------
    text : str

    Returns
    -------
    rule : Rule

    Raises
    ------
    ActionSetError
        With the rule, the part that cannot be read, and the remedy.

    Examples
    --------
    >>> parse_rule("2 * a + b <= 5").conclusions
    (Linear(values={'a': 2.0, 'b': 1.0}, changes={}, limit=5.0),)
    >>> parse_rule("if job == 'student' then hours <= 20").premises
    (IsIn(name='job', levels=('student',), inside=True),)
    """
    if not isinstance(text, str) or not text.strip():
        raise ActionSetError(
            f"constraints holds {text!r}: a rule is a text such as 'spent <= income' or "
            "\"if job == 'student' then hours <= 20\"."
        )
    return RuleParser(text).rule()


class RuleParser:
    """Reads the text of one rule; what it cannot read goes to ``_fail``."""

    def __init__(self, text: str):
        self.text = text
        self.quoted: dict[str, Hashable] = {}

    def rule(self) -> Rule:
        source = self._name_backquotes(self.text)
        masked = re.sub(r"'[^']*'|\"[^\"]*\"", lambda m: "_" * len(m.group()), source)
        start = re.match(r"\s*if\b", masked)
        if not start:
            return Rule(self.text, (), self._conditions(source))
        then = re.search(r"\bthen\b", masked)
        if not then:
            self._fail(self.text, "it begins with 'if' and has no 'then'", "Write 'if … then …'")
        premises = self._conditions(source[start.end() : then.start()])
        return Rule(self.text, premises, self._conditions(source[then.end() :]))

    def _name_backquotes(self, text: str) -> str:
        """Replace names in backquotes by words that Python's own parser takes."""

        def replace(match: re.Match) -> str:
            word = f"_quoted_{len(self.quoted)}"
            name = match.group(1)
            self.quoted[word] = int(name) if name.isdigit() else name
            return word

        replaced = re.sub(r"`([^`]+)`", replace, text)
        if "`" in replaced:
            self._fail(text, "a backquote is not closed", "Write names with blanks as `my name`")
        return replaced

    def _conditions(self, source: str) -> tuple[Condition, ...]:
        source = source.strip()
        try:
            tree = ast.parse(source, mode="eval").body
        except SyntaxError as error:
            where = f" near position {error.offset}" if error.offset else ""
            self._fail(
                source,
                f"it is no condition{where}",
                "Compare sums of columns with <=, >= or ==; join conditions with 'and'",
            )
        parts = tree.values if _is_and(tree) else [tree]  # type: ignore[attr-defined]  # `_is_and` narrows
        return tuple(condition for part in parts for condition in self._condition(part))

    def _condition(self, node: ast.expr) -> list[Condition]:
        if isinstance(node, ast.Call):
            return [self._changes(node)]
        if not isinstance(node, ast.Compare):
            self._fail(
                self._source(node),
                "it compares nothing",
                "Write a comparison, changes(name) or stays(name); 'or' and 'not' are not offered",
            )
        sides = [node.left, *node.comparators]
        conditions: list[Condition] = []
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            conditions += self._comparison(left, operator, right, self._source(node))
        return conditions

    def _comparison(
        self, left: ast.expr, operator: ast.cmpop, right: ast.expr, source: str
    ) -> list[Condition]:
        if isinstance(operator, ast.In | ast.NotIn):
            return [IsIn(self._name(left), self._levels(right), isinstance(operator, ast.In))]
        is_text = isinstance(right, ast.Constant) and isinstance(right.value, str | bool)
        if isinstance(operator, ast.NotEq) or (isinstance(operator, ast.Eq) and is_text):
            if not isinstance(right, ast.Constant):
                self._fail(
                    source, "one level is needed on the right of !=", "Write name != 'level'"
                )
            return [IsIn(self._name(left), (right.value,), isinstance(operator, ast.Eq))]
        if isinstance(operator, ast.Lt | ast.Gt):
            self._fail(source, "strict comparisons have no cheapest point", "Use <= or >=")
        if not isinstance(operator, ast.LtE | ast.GtE | ast.Eq):
            self._fail(source, "the comparison is unknown", "Use <=, >= or ==")
        sums = []
        if not isinstance(operator, ast.GtE):
            sums.append((1.0, -1.0))
        if not isinstance(operator, ast.LtE):
            sums.append((-1.0, 1.0))
        return [self._linear(left, right, signs, source) for signs in sums]

    def _linear(
        self, left: ast.expr, right: ast.expr, signs: tuple[float, float], source: str
    ) -> Linear:
        values: dict[Hashable, float] = {}
        changes: dict[Hashable, float] = {}
        constant = 0.0
        for side, sign in zip((left, right), signs, strict=True):
            for term, factor in self._terms(side, sign):
                if term is None:
                    constant += factor
                    continue
                kind, name = term
                where = values if kind == "value" else changes
                where[name] = where.get(name, 0.0) + factor
        values = {name: factor for name, factor in values.items() if factor}
        changes = {name: factor for name, factor in changes.items() if factor}
        if not values and not changes:
            self._fail(source, "it names no column", "Compare at least one column")
        return Linear(values, changes, 0.0 - constant)

    def _terms(self, node: ast.expr, factor: float) -> list:
        """Return ((kind, name) or None, factor) for every term of a sum."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            sign = 1.0 if isinstance(node.op, ast.Add) else -1.0
            return self._terms(node.left, factor) + self._terms(node.right, sign * factor)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
            return self._terms(node.operand, sign * factor)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            for side, other in ((node.left, node.right), (node.right, node.left)):
                if _number(side) is not None:
                    return self._terms(other, factor * (_number(side) or 0.0))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _number(node.right):
            return self._terms(node.left, factor / (_number(node.right) or 1.0))
        number = _number(node)
        if number is not None:
            return [(None, factor * number)]
        if isinstance(node, ast.Name):
            return [(("value", self._name(node)), factor)]
        if _called(node) == "change":
            return [(("change", self._argument(node)), factor)]
        self._fail(
            self._source(node),
            "it is no term of a sum",
            "Terms are numbers, columns, number * column and change(column)",
        )

    def _changes(self, node: ast.Call) -> Changes:
        function = _called(node)
        if function not in ("changes", "stays"):
            self._fail(
                self._source(node),
                "the function is unknown",
                "Use changes(name) or stays(name), or compare change(name)",
            )
        return Changes(self._argument(node), function == "changes")

    def _argument(self, node: ast.expr) -> Hashable:
        assert isinstance(node, ast.Call)
        if len(node.args) != 1 or node.keywords:
            self._fail(self._source(node), "it needs one column", "Write change(name)")
        return self._name(node.args[0])

    def _name(self, node: ast.expr) -> Hashable:
        if not isinstance(node, ast.Name):
            self._fail(
                self._source(node),
                "a column is needed here",
                "Write its name, in backquotes if it is no plain word",
            )
        return self.quoted.get(node.id, node.id)

    def _levels(self, node: ast.expr) -> tuple:
        elements = node.elts if isinstance(node, ast.List | ast.Tuple | ast.Set) else []
        constants = [e.value for e in elements if isinstance(e, ast.Constant)]
        if not elements or len(constants) < len(elements):
            self._fail(self._source(node), "a list of levels is needed", "Write name in ['a', 'b']")
        return tuple(constants)

    def _source(self, node: ast.expr) -> str:
        source = ast.unparse(node)
        for word, name in self.quoted.items():
            source = source.replace(word, f"`{name}`")
        return source

    def _fail(self, part: str, problem: str, remedy: str) -> NoReturn:
        raise ActionSetError(
            f"constraints holds the rule {self.text!r}: {part!r} cannot be read, {problem}. "
            f"{remedy}."
        )


def _is_and(tree: ast.expr) -> bool:
    return isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return None if value is None else -value
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return None
    return float(node.value) if isinstance(node.value, int | float) else None


def _called(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id
    return None
