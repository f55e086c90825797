"""Where in a file a rule across features cannot be read."""

from __future__ import annotations

from skcfq.actions._constraint_language import parse_rule
from skcfq.actions._constraint_tokens import RuleError
from skcfq.actions.files._source_positions import Fault, Node, text_positions

__all__ = ["find_fault"]


def find_fault(node: Node) -> Fault | None:
    """Return why a rule cannot be read, None if it can."""
    try:
        parse_rule(node.value)
    except RuleError as error:
        position = node.position
        if position is not None and isinstance(node.value, str) and node.value:
            positions = text_positions(node.source)
            position += positions[min(error.offset, len(positions) - 1)]
        return Fault(position, str(error))
    return None
