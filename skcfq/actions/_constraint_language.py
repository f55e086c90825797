"""The small language of rules across features: parsed here, with no knowledge of any column.

``rule := "if" conditions "then" conditions | conditions``, conditions joined by ``and``. A
condition compares two linear expressions (``<=``, ``>=``, ``==``), tests a category (``==``,
``!=``, ``in``, ``not in``) or asks whether a feature moves (``changes(name)``, ``stays(name)``).
Names stand as they are, or in backquotes; digits in backquotes are a position. ``change(name)``
in a linear expression is the raw value after the action less the one before. Text is read as it is:
backquotes in quotation marks belong to the level, and letters are not folded.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NoReturn

from skcfq.actions._conditions import Changes, Condition, IsIn, Linear, Rule
from skcfq.actions._constraint_tokens import RuleError, Token, refuse, tokens_of

__all__ = ["parse_rule"]

# Numbers of a rule between these keep their place in sums of floats, and in their tolerances.
_SMALLEST, _LARGEST = 1e-100, 1e100
# A condition beyond these is scaled, so that what counts as rounding is small beside it.
_SMALL, _BIG = 1e-4, 1e8
_DEEPEST = 50


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
    RuleError
        With the rule, the part that cannot be read, its place, and the remedy.

    Examples
    --------
    >>> parse_rule("2 * a + b <= 5").conclusions
    (Linear(values={'a': 2.0, 'b': 1.0}, changes={}, limit=5.0),)
    >>> parse_rule("if job == 'student' then hours <= 20").premises
    (IsIn(name='job', levels=('student',), inside=True),)
    """
    if not isinstance(text, str) or not text.strip():
        raise RuleError(
            f"constraints holds {text!r}: a rule is a text such as 'spent <= income' or "
            "\"if job == 'student' then hours <= 20\"."
        )
    return _Parser(str(text)).rule()


@dataclass
class _Sum:
    """A linear expression while it is read."""

    start: int
    end: int
    terms: dict[tuple[str, Hashable], float] = field(default_factory=dict)
    constant: float = 0.0

    def add(self, other: _Sum, factor: float) -> None:
        for term, coefficient in other.terms.items():
            self.terms[term] = self.terms.get(term, 0.0) + factor * coefficient
        self.constant += factor * other.constant


class _Parser:
    """Reads the tokens of one rule, each once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens_of(text)
        self.at = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def rule(self) -> Rule:
        if not self.token.is_sign("if"):
            return Rule(self.text, (), tuple(self._conditions_until("end")))
        self.take()
        premises = tuple(self._conditions_until("then"))
        return Rule(self.text, premises, tuple(self._conditions_until("end")))

    def _conditions_until(self, last: str) -> list[Condition]:
        conditions = self._conditions()
        token = self.token
        if last == "then" and not token.is_sign("then"):
            if token.kind == "end":
                remedy = "Write 'if … then …'"
                self._fail(0, token.end, "it begins with 'if' and has no 'then'", remedy)
            self._no_condition(token)
        if last == "end" and token.kind != "end":
            self._no_condition(token)
        self.at += 1
        return conditions

    def _no_condition(self, token: Token) -> NoReturn:
        if token.is_sign("or", "not"):
            remedy = "Write one rule for each; 'or' and 'not' are not offered"
            self._fail(token.start, token.end, "rules have no such word", remedy)
        remedy = "Compare sums of columns with <=, >= or ==; join conditions with 'and'"
        position = f"near position {token.start + 1}"
        self._fail(token.start, len(self.text), f"it is no condition {position}", remedy)

    def _conditions(self) -> list[Condition]:
        conditions = self._condition()
        while self.token.is_sign("and"):
            self.take()
            conditions += self._condition()
        return conditions

    def _condition(self) -> list[Condition]:
        if self.token.kind == "end" or self.token.is_sign("then", "and", "or", "not"):
            self._no_condition(self.token)
        if self.token.is_sign("(") and self._holds_a_comparison():
            self._deeper()
            conditions = self._conditions()
            self._close(")")
            return conditions
        if self._is_call() and self.token.value != "change":
            return [self._changes()]
        return self._comparisons()

    def _holds_a_comparison(self) -> bool:
        """Return whether the bracket that opens here is around conditions, not around a sum."""
        depth = 0
        for token, following in zip(
            self.tokens[self.at :], self.tokens[self.at + 1 :], strict=False
        ):
            depth += token.is_sign("(", "[", "{") - token.is_sign(")", "]", "}")
            if depth == 0:
                return False
            if token.is_sign("<=", ">=", "==", "!=", "<", ">", "in", "not", "and", "or"):
                return True
            if token.value in ("changes", "stays") and following.is_sign("("):
                return True
        return False

    def _deeper(self) -> None:
        token = self.take()
        self.depth += 1
        if self.depth > _DEEPEST:
            self._fail(token.start, token.end, "brackets are nested too deeply", "Use fewer")

    def _close(self, sign: str) -> Token:
        if not self.token.is_sign(sign):
            self._no_condition(self.token)
        self.depth -= 1
        return self.take()

    def _comparisons(self) -> list[Condition]:
        """Read ``left <= right``, or a chain of such."""
        left_at = self.at
        left = self._sum()
        if not self._is_comparison():
            end = self.tokens[self.at - 1].end
            remedy = "Write a comparison, changes(name) or stays(name)"
            if self.token.is_sign("or", "not") or self.token.kind == "end":
                remedy += "; 'or' and 'not' are not offered"
                self._fail(left.start, end, "it compares nothing", remedy)
            self._no_condition(self.token)
        conditions: list[Condition] = []
        while self._is_comparison():
            name, operator = self._name_before(left_at), self.take()
            if operator.is_sign("not"):
                operator = Token("keyword", "not in", operator.start, self.take().end)
            if operator.is_sign("in", "not in"):
                levels = self._levels()
                conditions.append(IsIn(self._column(name), levels, operator.is_sign("in")))
                break
            if operator.is_sign("==", "!=") and (
                self.token.kind == "level" or operator.value == "!="
            ):
                level = self._level("one level is needed here", "Write name != 'level'")
                conditions.append(IsIn(self._column(name), (level,), operator.is_sign("==")))
                break
            left_at, start = self.at, left.start
            right = self._sum()
            if operator.is_sign("<", ">"):
                problem = "strict comparisons have no cheapest point"
                self._fail(start, right.end, problem, "Use <= or >=")
            conditions += self._linear(left, right, str(operator.value), start)
            left = right
        return conditions

    def _is_comparison(self) -> bool:
        token = self.token
        if token.is_sign("not"):
            return self.tokens[min(self.at + 1, len(self.tokens) - 1)].is_sign("in")
        return token.is_sign("<=", ">=", "==", "!=", "<", ">", "in")

    def _name_before(self, start: int) -> Token:
        """Return the one token since a position; that of a whole sum where there are more."""
        first, last = self.tokens[start], self.tokens[self.at - 1]
        if self.at == start + 1:
            return first
        return Token("sum", None, first.start, last.end)

    def _column(self, token: Token) -> Hashable:
        if token.kind != "name":
            remedy = "Write its name, in backquotes if it is no plain word"
            self._fail(token.start, token.end, "a column is needed here", remedy)
        return token.value

    def _linear(self, left: _Sum, right: _Sum, operator: str, start: int) -> list[Condition]:
        signs = [] if operator == ">=" else [1.0]
        signs += [] if operator == "<=" else [-1.0]
        conditions: list[Condition] = []
        for sign in signs:
            both = _Sum(start, right.end)
            both.add(left, sign)
            both.add(right, -sign)
            self._check_numbers(both)
            sums: dict[str, dict[Hashable, float]] = {"value": {}, "change": {}}
            for (kind, name), coefficient in both.terms.items():
                if coefficient:
                    sums[kind][name] = coefficient
            if not sums["value"] and not sums["change"]:
                self._fail(start, right.end, "it names no column", "Compare at least one column")
            conditions.append(_scaled(sums["value"], sums["change"], 0.0 - both.constant))
        return conditions

    def _check_numbers(self, both: _Sum) -> None:
        for number in (*both.terms.values(), both.constant):
            if number and not _SMALLEST <= abs(number) <= _LARGEST:
                problem = f"it has the number {number:g}"
                remedy = f"Use units in which numbers are between {_SMALLEST:g} and {_LARGEST:g}"
                self._fail(both.start, both.end, problem, remedy)

    def _sum(self) -> _Sum:
        total = self._product(self._signs())
        while self.token.is_sign("+", "-"):
            term = self._product(self._signs())
            total.add(term, 1.0)
            total.end = term.end
        return total

    def _signs(self) -> float:
        """Read the signs before a term."""
        sign = 1.0
        while self.token.is_sign("+", "-"):
            sign = -sign if self.take().value == "-" else sign
        return sign

    def _product(self, sign: float) -> _Sum:
        product = self._factor()
        while self.token.is_sign("*", "/"):
            operator = self.take()
            inner = self._signs()
            other = self._factor()
            product = self._combined(product, other, inner, str(operator.value))
        signed = _Sum(product.start, product.end)
        signed.add(product, sign)
        return signed

    def _combined(self, product: _Sum, other: _Sum, sign: float, operator: str) -> _Sum:
        start, end = product.start, other.end
        if operator == "*" and not product.terms:
            product, other = other, product
        if other.terms or (operator == "/" and other.constant == 0):
            remedy = "Terms are numbers, columns, number * column and change(column)"
            self._fail(start, end, "it is no term of a sum", remedy)
        factor = sign * (other.constant if operator == "*" else 1.0 / other.constant)
        combined = _Sum(start, end)
        combined.add(product, factor)
        for before, after in zip(
            (*product.terms.values(), product.constant),
            (*combined.terms.values(), combined.constant),
            strict=True,
        ):
            if not math.isfinite(after) or (before and factor and not after):
                problem = "a product in it is too large or too small for a number"
                self._fail(start, end, problem, "Use other units")
        return combined

    def _factor(self) -> _Sum:
        token = self.token
        if token.is_sign("("):
            self._deeper()
            inner = self._sum()
            end = self._close(")").end
            return _Sum(token.start, end, inner.terms, inner.constant)
        if token.kind == "number":
            self.take()
            assert isinstance(token.value, float)
            return _Sum(token.start, token.end, {}, token.value)
        if self._is_call():
            if token.value != "change":
                problem, remedy = "the function is unknown", "Use change(name) in sums"
                self._fail(token.start, token.end, problem, remedy)
            name, end = self._argument()
            return _Sum(token.start, end, {("change", name): 1.0})
        if token.kind == "name":
            self.take()
            return _Sum(token.start, token.end, {("value", token.value): 1.0})
        if token.kind == "end" or token.kind == "keyword":
            self._no_condition(token)
        remedy = "Terms are numbers, columns, number * column and change(column)"
        self._fail(token.start, token.end, "it is no term of a sum", remedy)

    def _is_call(self) -> bool:
        is_word = self.token.kind == "name" and self.text[self.token.start] != "`"
        return is_word and self.tokens[self.at + 1].is_sign("(")

    def _changes(self) -> Changes:
        function = self.token
        if function.value not in ("changes", "stays"):
            remedy = "Use changes(name) or stays(name), or compare change(name)"
            self._fail(function.start, function.end, "the function is unknown", remedy)
        name, _ = self._argument()
        return Changes(name, function.value == "changes")

    def _argument(self) -> tuple[Hashable, int]:
        function = self.take()
        self.take()
        token = self.token
        name = self._column(token)
        self.take()
        if not self.token.is_sign(")"):
            end = self.token.end
            self._fail(function.start, end, "it needs one column", f"Write {function.value}(name)")
        return name, self.take().end

    def _levels(self) -> tuple:
        opening = self.token
        pairs = {"[": "]", "(": ")", "{": "}"}
        problem, remedy = "a list of levels is needed", "Write name in ['a', 'b']"
        if not opening.is_sign(*pairs):
            self._fail(opening.start, opening.end, problem, remedy)
        self.take()
        closing, levels = pairs[str(opening.value)], []
        while not self.token.is_sign(closing):
            levels.append(self._level(problem, remedy))
            if self.token.is_sign(","):
                self.take()
            elif not self.token.is_sign(closing):
                self._fail(opening.start, self.token.end, problem, remedy)
        end = self.take().end
        if not levels:
            self._fail(opening.start, end, problem, remedy)
        return tuple(levels)

    def _level(self, problem: str, remedy: str) -> Hashable:
        start, is_signed, sign = self.token.start, self.token.is_sign("+", "-"), self._signs()
        token = self.take() if self.token.kind != "end" else self.token
        if token.kind == "number":
            assert isinstance(token.value, float)
            number = sign * token.value
            return int(number) if _is_whole(self.text[token.start : token.end]) else number
        if token.kind != "level" or is_signed:
            self._fail(start, token.end, problem, remedy)
        return token.value

    def _fail(self, start: int, end: int, problem: str, remedy: str) -> NoReturn:
        refuse(self.text, start, end, problem, remedy)


def _is_whole(source: str) -> bool:
    return source.replace("_", "").isdigit()


def _scaled(values: dict, changes: dict, limit: float) -> Linear:
    """Return a condition whose largest coefficient is neither tiny nor huge.

    What is rounding is a share of the limit, but at least a fixed amount.
    """
    largest = max(map(abs, (*values.values(), *changes.values())))
    if not _SMALL <= largest <= _BIG:
        unit = 2.0 ** -math.frexp(largest)[1]
        values = {name: unit * factor for name, factor in values.items()}
        changes = {name: unit * factor for name, factor in changes.items()}
        limit *= unit
    return Linear(values, changes, limit)
