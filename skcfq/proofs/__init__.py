"""Lattices of what people may do, bounds of networks over them, and the search that proves.

For developers: what other rooms take from this one. Everything is numpy; nothing here knows how a
problem is posed.
"""

from skcfq.proofs._branching import Optimum
from skcfq.proofs._input_codes import InputGrid, without_twins
from skcfq.proofs._lattice import Lattice, lattice_of
from skcfq.proofs._layers import Network, network_of, with_late_codes
from skcfq.proofs._objective import Objective
from skcfq.proofs._search import Demand, Search, search_networks
from skcfq.proofs._tables import Tables, tables_of

__all__ = [
    "Demand",
    "InputGrid",
    "Lattice",
    "Network",
    "Objective",
    "Optimum",
    "Search",
    "Tables",
    "lattice_of",
    "network_of",
    "search_networks",
    "tables_of",
    "with_late_codes",
    "without_twins",
]
