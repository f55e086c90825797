"""The file that a model is shipped in: a prelude, a header that can be read, packed integers.

====== ===== ==============================================================
offset bytes content
====== ===== ==============================================================
0      8     magic, ``93 53 4B 43 46 51 0D 0A``
8      2     schema version
10     2     reserved, 0
12     4     length of the compressed header
16     4     length of the header
20     8     length of the payload
28     32    SHA-256 of bytes 8 to 28, the compressed header and the payload
60           header, compressed by zlib; then the payload
====== ===== ==============================================================

The header is UTF-8 JSON; since schema 4, a zero byte and arrays of numbers follow, which the JSON
points to (:mod:`skcfq.deploy._arrays`). All numbers are little-endian. Nothing in the file is ever
executed, and what it may allocate is bounded by its own size.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO

from skcfq.deploy._allowance import Allowance
from skcfq.exceptions import ArtefactDamagedError, ArtefactVersionError

MAGIC = b"\x93SKCFQ\r\n"
# Up to 3, numbers are text: 1 has one weight step a layer; 2 may have one a unit, and columns in
# units of their own; 3 may have columns whose codes lie around another than 0. 4 has arrays, the
# feature space column by column, and says which statistics it tells. 5 may have one width a unit.
SCHEMA = 5
_FIELDS = struct.Struct("<HHIIQ")
PRELUDE_SIZE = len(MAGIC) + _FIELDS.size + 32
_AGAIN = "Copy or export the file again."


@dataclass(frozen=True, eq=False)
class Container:
    """What is in a file whose checksum is right.

    Attributes
    ----------
    schema : int
    header : JSON value
    arrays, payload : memoryview
    allowance : Allowance
        What the content may still take.
    """

    schema: int
    header: Any
    arrays: memoryview
    payload: memoryview
    allowance: Allowance


def pack_container(
    header: dict[str, Any], payload: bytes, arrays: bytes = b"", schema: int = SCHEMA
) -> bytes:
    """Return the bytes of a file; under schemas before 4 there are no arrays."""
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    raw = text.encode() + (b"\0" + arrays if schema >= 4 else b"")
    packed = zlib.compress(raw, 9)
    fields = _FIELDS.pack(schema, 0, len(packed), len(raw), len(payload))
    digest = hashlib.sha256(fields + packed + payload).digest()
    return MAGIC + fields + digest + packed + payload


def read_container(path: str | os.PathLike) -> Container:
    """Read a file and check all of it but the meaning of its header.

    Raises
    ------
    ArtefactDamagedError
        It is no such file, some of it is missing or changed, or it unpacks to far more than its
        size.
    ArtefactVersionError
        A newer version of the library wrote it.
    """
    with open(path, "rb") as file:
        return _read(file, os.fspath(path))


def unpack_container(data: bytes, name: str) -> Container:
    """Read what :func:`pack_container` returned, with the same checks."""
    fields = _check_prelude(data[:PRELUDE_SIZE], name)
    _check_size(len(data), fields, name)
    body = memoryview(data)[PRELUDE_SIZE:]
    return _content(data[:PRELUDE_SIZE], body, fields, name)


def _read(file: BinaryIO, name: str) -> Container:
    prelude = file.read(PRELUDE_SIZE)
    fields = _check_prelude(prelude, name)
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode):
        # What the prelude says may be anything; no more is read than there is.
        _check_size(status.st_size, fields, name)
    body = file.read()
    _check_size(PRELUDE_SIZE + len(body), fields, name)
    return _content(prelude, memoryview(body), fields, name)


def _check_prelude(prelude: bytes, name: str) -> tuple[int, ...]:
    if prelude[: len(MAGIC)] != MAGIC:
        raise ArtefactDamagedError(
            f"{name} is no model file of skcfq: it does not begin with {MAGIC!r}. Give a file that "
            "`export(path)` wrote, and move such files in binary mode."
        )
    if len(prelude) < PRELUDE_SIZE:
        raise ArtefactDamagedError(f"{name} ends inside its prelude. {_AGAIN}")
    fields = _FIELDS.unpack(prelude[len(MAGIC) : len(MAGIC) + _FIELDS.size])
    if fields[0] > SCHEMA:
        raise ArtefactVersionError(
            f"{name} has schema {fields[0]}, and this version of skcfq reads up to {SCHEMA}. "
            "Install a newer skcfq, or export the model with this one."
        )
    return fields


def _check_size(size: int, fields: tuple[int, ...], name: str) -> None:
    _, _, n_packed, _, n_payload = fields
    expected = PRELUDE_SIZE + n_packed + n_payload
    if size != expected:
        raise ArtefactDamagedError(
            f"{name} has {size} bytes and should have {expected}: it is truncated, or "
            f"something was appended. {_AGAIN}"
        )


def _content(prelude: bytes, body: memoryview, fields: tuple[int, ...], name: str) -> Container:
    schema, _, n_packed, n_raw, _ = fields
    digest = hashlib.sha256(prelude[len(MAGIC) : len(MAGIC) + _FIELDS.size])
    digest.update(body)
    if digest.digest() != prelude[PRELUDE_SIZE - 32 :]:
        raise ArtefactDamagedError(f"{name} is damaged: its checksum does not match. {_AGAIN}")
    allowance = Allowance(name, PRELUDE_SIZE + len(body))
    allowance.take(n_raw, "its header")
    try:
        raw = zlib.decompressobj().decompress(body[:n_packed], n_raw + 1)
        if len(raw) != n_raw:
            raise ValueError("its length is wrong")
        end = raw.find(b"\0") if schema >= 4 else len(raw)
        if end < 0:
            raise ValueError("its arrays are missing")
        text = raw[:end]
        allowance.take(_memory_of(text), "its header")
        header = json.loads(text.decode(), parse_constant=_refuse_constant)
    except ArtefactDamagedError:
        raise
    except (ValueError, RecursionError, zlib.error) as error:
        raise ArtefactDamagedError(f"{name} has an unreadable header ({error}).") from error
    return Container(schema, header, memoryview(raw)[end + 1 :], body[n_packed:], allowance)


def _memory_of(text: bytes) -> int:
    """Return an upper bound of what JSON takes as text and as Python objects."""
    characters = 2 * len(text) if text.isascii() else 8 * len(text)
    return (
        characters
        + 112 * text.count(b"[")
        + 248 * text.count(b"{")
        + 34 * text.count(b",")
        + 34 * text.count(b'"')
    )


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")
