"""JSON of long lists in pieces: neither the values nor the text of a document are there at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Values of a list that are written at once.
_AT_ONCE = 20_000


@dataclass(frozen=True, eq=False)
class Pieces:
    """A list of JSON values that are made when they are asked for.

    Attributes
    ----------
    values : sequence
        A slice of it is taken at a time.
    as_json : callable
        From such a slice to the list of its JSON values.

    Examples
    --------
    >>> Pieces(range(3), lambda part: [2 * one for one in part]).whole()
    [0, 2, 4]
    """

    values: Any
    as_json: Callable[[Any], list[Any]] = list

    def __iter__(self) -> Iterator[list[Any]]:
        for start in range(0, len(self.values), _AT_ONCE):
            yield self.as_json(self.values[start : start + _AT_ONCE])

    def whole(self) -> list[Any]:
        """Return all values."""
        return [one for part in self for one in part]


def whole(document: Any) -> Any:
    """Return a document with every list in it made; what is a list stays the same one."""
    if isinstance(document, Mapping):
        return {key: whole(value) for key, value in document.items()}
    return document.whole() if isinstance(document, Pieces) else document


def pieces_of_json(value: Any, *, canonical: bool = False) -> Iterator[str]:
    r"""Yield the text of strict JSON without spaces.

    Parameters
    ----------
    value : JSON value
        Dicts may hold :class:`Pieces`.
    canonical : bool, default=False
        Sort keys and write ASCII alone, as digests need it.

    Raises
    ------
    ValueError
        A number is NaN or infinite.

    Examples
    --------
    >>> "".join(pieces_of_json({"b": Pieces([1, 2]), "a": "é"}, canonical=True))
    '{"a":"\\u00e9","b":[1,2]}'
    """
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        for i, key in enumerate(sorted(value) if canonical else value):
            yield ("," if i else "{") + _dumps(key, canonical) + ":"
            yield from pieces_of_json(value[key], canonical=canonical)
        yield "}" if value else "{}"
    elif isinstance(value, (list, Pieces)):
        yield "["
        for i, part in enumerate(value if isinstance(value, Pieces) else Pieces(value)):
            yield ("," if i else "") + _dumps(part, canonical)[1:-1]
        yield "]"
    else:
        yield _dumps(value, canonical)


def digest_in_pieces(document: Mapping[str, Any]) -> str:
    """Return what :func:`skcfq.certificates.digest_of` does, without the whole text.

    Examples
    --------
    >>> from skcfq.certificates import digest_of
    >>> document = {"b": [1.5, None], "a": "é", "digest": "0"}
    >>> digest_in_pieces(document) == digest_of(document)
    True
    """
    content = {key: value for key, value in document.items() if key != "digest"}
    digest = hashlib.sha256()
    for piece in pieces_of_json(content, canonical=True):
        digest.update(piece.encode())
    return digest.hexdigest()


def _dumps(value: Any, canonical: bool) -> str:
    return json.dumps(
        value,
        allow_nan=False,
        ensure_ascii=canonical,
        separators=(",", ":"),
        sort_keys=canonical,
    )
