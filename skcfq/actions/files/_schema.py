"""What the file of an action set may hold, and every way in which one goes wrong.

The rules are checked by the same functions as those of an action set in Python; here each gets
its position in the file. What needs the table, such as unknown columns, is found by ``compile``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Hashable, Iterable
from typing import Any

from skcfq.actions._cost_rules import check_cost
from skcfq.actions._rules import check_max_changes, read_rules
from skcfq.actions.files._labels import read_label
from skcfq.actions.files._rule_positions import find_fault
from skcfq.actions.files._source_positions import Entry, Fault, Node, line_and_column
from skcfq.exceptions import ActionSetError

__all__ = [
    "DEFAULTS",
    "NAMES",
    "NESTED",
    "PAIRS",
    "PARAMETERS",
    "SCHEMA",
    "VERSION",
    "read_tree",
]

SCHEMA, VERSION = "skcfq/action-set", 1

NAMES = ("actionable", "immutable", "increasing", "decreasing")
PAIRS = ("bounds", "relative_bounds", "quantile_bounds")
NESTED = ("transitions", "implied")
_NUMBERS = ("steps", "min_change", "max_change")
_TABLES = (*PAIRS, *_NUMBERS, "ordinal", "one_hot", *NESTED)
# In the order in which they are written; TOML wants its tables last.
PARAMETERS = (
    *NAMES,
    "max_changes",
    "constraints",
    "cost",
    "cost_mix",
    "cost_weights",
    *_TABLES,
)
# What need not be written.
DEFAULTS = {"cost": "l1", "cost_mix": 0.5, "cost_weights": "std"}

_EMPTY: dict[str, Any] = dict.fromkeys(PARAMETERS)

# Pairs of rules that cannot hold for one name, with the remedy.
_CONTRADICTIONS = [
    ("actionable", "immutable", "Name it in one of the two"),
    ("increasing", "decreasing", "Name it in one of the two, or in immutable"),
    ("steps", "ordinal", "Give its admissible values by one of the two"),
    *(
        ("immutable", rule, f"Name it in immutable, or keep the rule in {rule}")
        for rule in ("increasing", "decreasing", "transitions", "min_change", "max_change")
    ),
]


def read_tree(root: Node, text: str | None = None) -> tuple[dict[str, Any], list[Fault]]:
    """Return the parameters in a tree, and all that is wrong with it.

    Parameters
    ----------
    root : Node
    text : str or None
        What the positions in the tree refer to.

    Returns
    -------
    parameters : dict
        Of :class:`ActionSet`; meaningless if there are faults.
    faults : list of Fault
    """
    reader = _Reader(text)
    reader.read(root)
    return reader.parameters, reader.faults


def _states_rules(table: dict[str, Entry]) -> bool:
    """Return whether a file says what people may change, be it everything or nothing."""
    rules = [rule for rule in PARAMETERS if rule in table and rule not in DEFAULTS]
    return any(rule in NAMES or table[rule].node.value not in (None, [], {}) for rule in rules)


class _Reader:
    def __init__(self, text: str | None) -> None:
        self.text = text
        self.parameters: dict[str, Any] = {}
        self.faults: list[Fault] = []
        # Where each rule names each feature.
        self.named: dict[tuple[str, Hashable], int | None] = {}
        self.groups: dict[Hashable, list] = {}

    def fault(self, position: int | None, message: str) -> None:
        self.faults.append(Fault(position, message))

    def read(self, root: Node) -> None:
        if not isinstance(root.value, dict):
            self.fault(root.position, f"a table of rules is needed, with schema = {SCHEMA!r}.")
            return
        if not self._is_readable(root.value):
            return
        for key, entry in root.value.items():
            if key not in ("schema", "version", *PARAMETERS):
                self._unknown(key, entry.position, ("schema", "version", *PARAMETERS))
        # Groups first: other rules must name them rather than their members.
        for rule in ("one_hot", *(rule for rule in PARAMETERS if rule != "one_hot")):
            if rule in root.value:
                self._rule(rule, root.value[rule].node)
        self._contradictions()
        if self.text is not None and not self.faults and not _states_rules(root.value):
            message = "no rule is stated, so that everything could change. State the rules; or "
            self.fault(0, message + "give immutable an empty list to say so.")

    def _is_readable(self, table: dict[str, Entry]) -> bool:
        """Report a strange header; return whether the rest can be understood."""
        expected = {"schema": SCHEMA, "version": VERSION}
        for key, value in expected.items():
            if key not in table:
                position = None if self.text is None else 0
                self.fault(position, f"{key} is missing. Add {key} = {value!r}.")
                continue
            node = table[key].node
            if type(node.value) is type(value) and node.value == value:
                continue
            shown = _shown(node)
            if key == "version" and type(node.value) is int and node.value > VERSION:
                remedy = f"this skcfq reads version {VERSION}. Update skcfq to read the file."
                self.fault(node.position, f"version is {shown}: {remedy}")
                return False
            self.fault(node.position, f"{key} is {shown}: it must be {value!r}. Correct it.")
            if key == "schema":
                return False
        return True

    def _unknown(self, key: Any, position: int | None, known: Iterable[str]) -> None:
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Use one of {', '.join(known)}."
        self.fault(position, f"the key {key!r} is unknown. {hint}")

    def _rule(self, rule: str, node: Node) -> None:
        if rule in _TABLES or (rule == "cost_weights" and isinstance(node.value, dict)):
            self.parameters[rule] = self._table(rule, node)
        elif rule in DEFAULTS:
            self.parameters[rule] = self._cost(rule, node)
        elif rule == "max_changes":
            self.parameters[rule] = self._max_changes(node)
        elif not isinstance(node.value, list):
            what = "rules" if rule == "constraints" else "names"
            message = f"{rule} is {_shown(node)}: it must be a list of {what}. "
            self.fault(node.position, message + f"Write [{_shown(node)}] for a single one.")
        elif rule == "constraints":
            self.parameters[rule] = [self._constraint(item) for item in node.value]
        elif node.value or rule == "actionable":
            self.parameters[rule] = [self._name(rule, item) for item in node.value]

    def _max_changes(self, node: Node) -> int | None:
        value = self._plain(node)
        try:
            return check_max_changes(value)
        except ActionSetError as error:
            self.fault(node.position, str(error))
            return None

    def _cost(self, rule: str, node: Node) -> Any:
        value = self._plain(node)
        try:
            check_cost(**{**DEFAULTS, rule: value})
        except ActionSetError as error:
            self.fault(node.position, str(error))
        return value

    def _constraint(self, node: Node) -> Any:
        found = find_fault(node)
        if found is not None:
            self.faults.append(found)
        return node.value

    def _name(self, rule: str, node: Node) -> Any:
        name = self._plain(node)
        if isinstance(name, dict | list):
            self.fault(
                node.position, f"{rule} holds {_shown(node)}: a name or a position is needed."
            )
            return None
        self.named.setdefault((rule, name), node.position)
        self._check(rule, name, [name], node)
        return name

    def _table(self, rule: str, node: Node) -> dict | None:
        if not isinstance(node.value, dict):
            self.fault(
                node.position,
                f"{rule} is {_shown(node)}: it must be a table from column names to values. "
                f"Write one line per column.",
            )
            return None
        table: dict = {}
        for name, entry in self._keys(node):
            before = len(self.faults)
            value = self._pair(rule, entry.node) if rule in PAIRS else self._plain(entry.node)
            table[name] = value
            self.named.setdefault((rule, name), entry.position)
            if len(self.faults) > before:
                continue
            if rule == "implied":
                self._implied(name, entry.node)
            elif rule == "transitions" and isinstance(value, dict):
                for source, moves in self._keys(entry.node):
                    self._check(rule, name, {name: {source: value[source]}}, moves.node)
            else:
                self._check(rule, name, {name: value}, entry.node)
            if rule == "one_hot" and len(self.faults) == before:
                self.groups[name] = value
        return table

    def _keys(self, node: Node) -> Iterable[tuple[Any, Entry]]:
        """Return the names that a table holds, decoded."""
        found: dict = {}
        for key, entry in node.value.items():
            name = self._label(key, entry.position)
            if name in found:
                self.fault(
                    entry.position, f"{key!r} names {name!r} a second time. Keep one of them."
                )
            found.setdefault(name, entry)
        return list(found.items())

    def _label(self, text: Any, position: int | None) -> Any:
        try:
            return read_label(text)
        except ActionSetError as error:
            self.fault(position, f"{error}")
            return text

    def _plain(self, node: Node) -> Any:
        if isinstance(node.value, dict):
            return {name: self._plain(entry.node) for name, entry in self._keys(node)}
        if isinstance(node.value, list):
            return [self._plain(item) for item in node.value]
        value = self._label(node.value, node.position)
        if value is not None and not isinstance(value, str | bool | int | float | tuple):
            self.fault(
                node.position, f"{node.value!s} is a {type(value).__name__}. Write it as text."
            )
        return value

    def _pair(self, rule: str, node: Node) -> Any:
        """Return limits as a tuple; a table of low and high leaves out the open side."""
        if not isinstance(node.value, dict):
            value = self._plain(node)
            return tuple(value) if isinstance(value, list) else value
        for key, entry in node.value.items():
            if key not in ("low", "high"):
                self._unknown(key, entry.position, ("low", "high"))
        sides = [node.value.get(side) for side in ("low", "high")]
        return tuple(None if side is None else self._plain(side.node) for side in sides)

    def _implied(self, target: Hashable, node: Node) -> None:
        if not isinstance(node.value, dict) or not node.value:
            message = f"implied for {target!r} is {_shown(node)}: a table of causes is needed. "
            self.fault(node.position, message + "Write {cause = amount}.")
            return
        for entry in node.value.values():
            self._amounts(target, entry.node, depth=0)

    def _amounts(self, target: Hashable, node: Node, depth: int) -> None:
        if isinstance(node.value, dict) and depth < 2:
            inner = [entry.node for entry in node.value.values()]
            if depth == 0 and len({isinstance(item.value, dict) for item in inner}) > 1:
                message = f"implied for {target!r} mixes positions of levels with moves. Write "
                message += "{level = position}, or {from = {to = amount}}, for all levels."
                self.fault(node.position, message)
                return
            for item in inner:
                self._amounts(target, item, depth + 1)
            return
        value = read_label(node.value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value):
            message = f"implied for {target!r} holds {_shown(node)}: a finite number is needed. "
            self.fault(node.position, message + "Give the change of the column.")

    def _check(self, rule: str, name: Hashable, value: Any, node: Node) -> None:
        """Let the checks of an action set look at one entry by itself."""
        if isinstance(node.value, list) and any(
            isinstance(i.value, list | dict) for i in node.value
        ):
            message = f"{rule} for {name!r} holds a list or table where one value is needed."
            self.fault(_narrowed(rule, node), f"{message} Take its brackets away.")
            return
        if rule == "one_hot":
            groups = {**self.groups, **value}
            parameters = {**_EMPTY, "one_hot": groups}
        else:
            groups = {group: m for group, m in self.groups.items() if group == name or name in m}
            parameters = {**_EMPTY, "one_hot": groups, rule: value}
        columns = [m for members in groups.values() if isinstance(members, list) for m in members]
        if name not in groups:
            columns.append(name)
        try:
            read_rules(parameters, tuple(dict.fromkeys(columns)))
        except ActionSetError as error:
            self.fault(_narrowed(rule, node), str(error))

    def _contradictions(self) -> None:
        for one, other, remedy in _CONTRADICTIONS:
            for (rule, name), position in self.named.items():
                if rule == one and (other, name) in self.named:
                    self._both(name, (one, position), (other, self.named[other, name]), remedy)
        self._sizes()
        self._bounds_by_level()

    def _both(self, name: Hashable, one: tuple, other: tuple, remedy: str) -> None:
        first, second = sorted((one, other), key=lambda rule: rule[1] or 0)
        line = ""
        if self.text is not None:
            line = f" (line {line_and_column(self.text, first[1])[0]})"
        self.fault(
            second[1],
            f"{second[0]} names {name!r}, which {first[0]}{line} names too: the two contradict "
            f"each other. {remedy}.",
        )

    def _sizes(self) -> None:
        least, most = (self.parameters.get(key) or {} for key in ("min_change", "max_change"))
        for name in least:
            sizes = least[name], most.get(name)
            if all(type(size) in (int, float) for size in sizes) and sizes[0] > sizes[1]:
                self.fault(
                    self.named["min_change", name],
                    f"min_change for {name!r} is {sizes[0]!r}, above its max_change {sizes[1]!r}: "
                    "no change is left. Lower one or raise the other.",
                )

    def _bounds_by_level(self) -> None:
        """Compare bounds by level with the order that they refer to."""
        orders = self.parameters.get("ordinal") or {}
        for name, bounds in (self.parameters.get("bounds") or {}).items():
            sides = [s for s in bounds if isinstance(s, str)] if isinstance(bounds, tuple) else []
            levels = orders.get(name)
            # The order may stand under the column's position, or the other way round.
            is_elsewhere = any(type(other) is not type(name) for other in orders)
            if not sides or (not isinstance(levels, list) and is_elsewhere):
                continue
            position = self.named["bounds", name]
            strange = [side for side in sides if side not in (levels or [])]
            if not isinstance(levels, list):
                self.fault(
                    position,
                    f"bounds for {name!r} is {bounds!r}: {sides[0]!r} is no number, and the levels "
                    "have no order. Give numbers, or list the levels in ordinal.",
                )
            elif strange:
                self.fault(
                    position,
                    f"bounds for {name!r} is {bounds!r}: {strange[0]!r} is no level of its ordinal "
                    f"rule. Use two of {levels!r}.",
                )
            elif len(sides) == 2 and levels.index(sides[0]) > levels.index(sides[1]):
                self.fault(
                    position,
                    f"bounds for {name!r} is {bounds!r}: the lower level ranks above the upper "
                    "level. Swap the two.",
                )


def _narrowed(rule: str, node: Node) -> int | None:
    """Return the position of the one item of a list that is at fault, else that of the list."""
    if not isinstance(node.value, list):
        return node.position
    seen: list = []
    for item in node.value:
        is_odd = isinstance(item.value, list | dict)
        if rule in PAIRS[1:]:
            value = read_label(item.value) if isinstance(item.value, str) else item.value
            is_odd |= value is not None and type(value) not in (int, float)
        if is_odd or (rule not in PAIRS and item.value in seen):
            return item.position
        seen.append(item.value)
    return node.position


def _shown(node: Node) -> str:
    if isinstance(node.value, dict):
        return "a table"
    if isinstance(node.value, list):
        return "a list"
    return repr(node.value)
