"""Action sets as files that people review, with the position of every value.

For developers: what other rooms take from this one.
"""

from skcfq.actions.files._files import (
    from_data,
    read_action_file,
    to_data,
    unchecked_data,
    write_action_file,
)

__all__ = [
    "from_data",
    "read_action_file",
    "to_data",
    "unchecked_data",
    "write_action_file",
]
