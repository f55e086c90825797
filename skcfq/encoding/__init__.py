"""Raw tables and encoded matrices: the map between them, and an encoder of our own."""

from skcfq.encoding._blocks import AffineBlock, Block, MonotoneBlock, TableBlock
from skcfq.encoding._space import FeatureSpace
from skcfq.encoding._statistics import ColumnStatistics
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
