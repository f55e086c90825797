"""Helpers of every room: raw columns and scalars, whole files, warnings, validation.

The one guard around private names of scikit-learn is here too.

For developers: what other rooms take from this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skcfq.utils._blocks import (
    blocks_of,
    parts_in_memory,
    rows_in_memory,
    rows_of_block,
    rows_waiting,
)
from skcfq.utils._columns import (
    as_array,
    as_numbers,
    as_objects,
    as_table,
    check_container,
    check_unique_columns,
    columns_of_frame,
    is_integer_like,
    missing_mask,
    raw_table,
    replace_columns,
    rewrite,
    snap_integers,
    values_of,
)
from skcfq.utils._content import Content, KeptTable, content_of
from skcfq.utils._faults import decision_fault
from skcfq.utils._files import atomic_write
from skcfq.utils._interrupts import HeldInterrupts, NotedInterrupts, interrupts_heard
from skcfq.utils._kinds import check_flag, is_list
from skcfq.utils._lazy import lazy_attributes
from skcfq.utils._nested_parameters import NestedParametersMixin
from skcfq.utils._progress import Progress
from skcfq.utils._rows import (
    TILE,
    as_slice,
    row_products,
    row_sums,
    stack_rows,
    take_rows,
    tile_products,
)
from skcfq.utils._scalars import from_json, has_text, plain, strict_json, to_json
from skcfq.utils._warnings import warn_user
from skcfq.utils._weights import as_row_weights, check_weights, is_weight

if TYPE_CHECKING:
    from skcfq.utils._sklearn_compat import (
        HasMethods,
        Interval,
        KnownParameters,
        ListOf,
        Named,
        Options,
        StrOptions,
        boosted_nodes,
        check_feature_names_in,
        check_options,
        check_parameters,
        check_sample_weight,
        positive_label_of,
        power_transformer_scaler,
    )
    from skcfq.utils._validation import validate_table

__all__ = [
    "TILE",
    "Content",
    "HasMethods",
    "HeldInterrupts",
    "Interval",
    "KeptTable",
    "KnownParameters",
    "ListOf",
    "Named",
    "NestedParametersMixin",
    "NotedInterrupts",
    "Options",
    "Progress",
    "StrOptions",
    "blocks_of",
    "boosted_nodes",
    "as_array",
    "as_table",
    "as_numbers",
    "as_objects",
    "as_slice",
    "as_row_weights",
    "atomic_write",
    "check_feature_names_in",
    "check_flag",
    "check_options",
    "check_parameters",
    "check_sample_weight",
    "check_container",
    "check_unique_columns",
    "columns_of_frame",
    "check_weights",
    "content_of",
    "decision_fault",
    "from_json",
    "has_text",
    "interrupts_heard",
    "is_integer_like",
    "is_list",
    "is_weight",
    "lazy_attributes",
    "missing_mask",
    "parts_in_memory",
    "plain",
    "positive_label_of",
    "power_transformer_scaler",
    "raw_table",
    "replace_columns",
    "rewrite",
    "row_products",
    "row_sums",
    "rows_in_memory",
    "rows_of_block",
    "rows_waiting",
    "snap_integers",
    "stack_rows",
    "strict_json",
    "take_rows",
    "tile_products",
    "to_json",
    "validate_table",
    "values_of",
    "warn_user",
]

__getattr__ = lazy_attributes(
    __name__,
    {
        "HasMethods": "_sklearn_compat",
        "Interval": "_sklearn_compat",
        "KnownParameters": "_sklearn_compat",
        "ListOf": "_sklearn_compat",
        "Named": "_sklearn_compat",
        "Options": "_sklearn_compat",
        "StrOptions": "_sklearn_compat",
        "boosted_nodes": "_sklearn_compat",
        "check_feature_names_in": "_sklearn_compat",
        "check_options": "_sklearn_compat",
        "check_parameters": "_sklearn_compat",
        "check_sample_weight": "_sklearn_compat",
        "positive_label_of": "_sklearn_compat",
        "power_transformer_scaler": "_sklearn_compat",
        "validate_table": "_validation",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
