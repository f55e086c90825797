"""Raw tables and encoded matrices: the map between them, and an encoder of our own.

:class:`TableEncoder` is loaded on first use: a model file is served without scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skcfq.encoding._blocks import AffineBlock, Block, MonotoneBlock, TableBlock
from skcfq.encoding._space import FeatureSpace
from skcfq.encoding._statistics import ColumnStatistics

if TYPE_CHECKING:
    from skcfq.encoding._table_encoder import TableEncoder

__all__ = [
    "AffineBlock",
    "Block",
    "ColumnStatistics",
    "FeatureSpace",
    "MonotoneBlock",
    "TableBlock",
    "TableEncoder",
]


def __getattr__(name: str) -> Any:
    if name != "TableEncoder":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from skcfq.encoding._table_encoder import TableEncoder

    return TableEncoder


def __dir__() -> list[str]:
    return sorted(__all__)
