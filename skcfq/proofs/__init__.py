"""Lattices of what people may do, bounds of models over them, and the search that proves.

For developers: what other rooms take from this one. Everything is numpy; nothing here knows how a
problem is posed.
"""

from skcfq.proofs._branching import Optimum, branch_and_bound
from skcfq.proofs._input_codes import InputGrid
from skcfq.proofs._lattice import Lattice, lattice_of
from skcfq.proofs._layer_bounds import (
    HiddenSpans,
    MarginBound,
    blame_per_total,
    hidden_spans,
    margin_bound,
)
from skcfq.proofs._layers import (
    Layer,
    Lines,
    Network,
    Rectifier,
    Staircase,
    network_of,
    with_late_codes,
)
from skcfq.proofs._leaf_tables import LeafTables, leaf_tables
from skcfq.proofs._network_search import NetworkDemand, NetworkSearch
from skcfq.proofs._objective import Objective
from skcfq.proofs._reachable_leaves import Inputs
from skcfq.proofs._reading import readable_network
from skcfq.proofs._real_network import RealNetwork, as_read, in_real_units, real_network
from skcfq.proofs._tables import Tables, tables_of
from skcfq.proofs._tree_cells import TreeCells
from skcfq.proofs._tree_search import TreeDemand, TreeSearch
from skcfq.proofs._tree_starts import greedy_points
from skcfq.proofs._twins import with_rungs, without_twins

__all__ = [
    "RealNetwork",
    "as_read",
    "in_real_units",
    "readable_network",
    "real_network",
    "NetworkDemand",
    "HiddenSpans",
    "InputGrid",
    "Inputs",
    "Layer",
    "LeafTables",
    "Lattice",
    "Lines",
    "MarginBound",
    "Network",
    "Objective",
    "Optimum",
    "NetworkSearch",
    "Rectifier",
    "Staircase",
    "Tables",
    "TreeCells",
    "TreeDemand",
    "TreeSearch",
    "blame_per_total",
    "greedy_points",
    "hidden_spans",
    "lattice_of",
    "leaf_tables",
    "margin_bound",
    "network_of",
    "branch_and_bound",
    "tables_of",
    "with_late_codes",
    "with_rungs",
    "without_twins",
]
