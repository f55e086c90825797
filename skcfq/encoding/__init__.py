"""Raw tables and encoded matrices: the map between them, and an encoder of our own.

:class:`TableEncoder` is loaded on first use: a model file is served without scikit-learn.

For developers; users take :class:`skcfq.FeatureSpace` and :class:`skcfq.TableEncoder`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.encoding._blocks import AffineBlock, Block, MonotoneBlock, TableBlock
from skcfq.encoding._inheritance import space_in_front
from skcfq.encoding._one_hot_groups import warn_of_one_hot_groups
from skcfq.encoding._serialization import built, functions_from_json, functions_to_json
from skcfq.encoding._space import FeatureSpace
from skcfq.encoding._statistics import (
    N_QUANTILES,
    NO_STATISTICS,
    STATISTICS_LEVELS,
    ColumnStatistics,
    statistic_of,
)
from skcfq.utils import lazy_attributes

if TYPE_CHECKING:
    from skcfq.encoding._table_encoder import TableEncoder

__all__ = [
    "AffineBlock",
    "Block",
    "ColumnStatistics",
    "FeatureSpace",
    "MonotoneBlock",
    "NO_STATISTICS",
    "N_QUANTILES",
    "STATISTICS_LEVELS",
    "TableBlock",
    "TableEncoder",
    "built",
    "functions_from_json",
    "functions_to_json",
    "space_in_front",
    "statistic_of",
    "warn_of_one_hot_groups",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "TableEncoder": "_table_encoder",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
