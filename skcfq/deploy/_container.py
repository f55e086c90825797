"""The file that a model is shipped in: a prelude, a header that can be read, packed integers.

====== ===== ==============================================================
offset bytes content
====== ===== ==============================================================
0      8     magic, ``93 53 4B 43 46 51 0D 0A``
8      2     schema version
10     2     reserved, 0
12     4     length of the compressed header
16     4     length of the header, UTF-8 JSON
20     8     length of the payload
28     32    SHA-256 of bytes 8 to 28, the compressed header and the payload
60           header, compressed by zlib; then the payload
====== ===== ==============================================================

All numbers are little-endian. Nothing in the file is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

from skcfq.exceptions import ArtefactDamagedError, ArtefactVersionError

MAGIC = b"\x93SKCFQ\r\n"
# 1 has one weight step a layer; 2 may have one a unit, and columns in units of their own; 3 may
# have columns whose codes lie around another than 0.
SCHEMA = 3
_FIELDS = struct.Struct("<HHIIQ")
PRELUDE_SIZE = len(MAGIC) + _FIELDS.size + 32
# A header that claims to be longer was not written by this library.
_LONGEST_HEADER = 1 << 28


def write_container(
    path: str | os.PathLike, header: dict[str, Any], payload: bytes, schema: int = SCHEMA
) -> None:
    """Write a file; one that is there is replaced at once, or not at all.

    Parameters
    ----------
    path : str or path
    header : dict of JSON values
    payload : bytes
    schema : int, default=SCHEMA
        The lowest that has what the header holds.
    """
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    raw = text.encode()
    packed = zlib.compress(raw, 9)
    prelude = _FIELDS.pack(schema, 0, len(packed), len(raw), len(payload))
    digest = hashlib.sha256(prelude + packed + payload).digest()
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + prelude + digest + packed + payload)
        # mkstemp makes files that nobody else may read.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def read_container(path: str | os.PathLike) -> tuple[dict[str, Any], bytes]:
    """Read a file and check all of it.

    Returns
    -------
    header : dict
    payload : bytes

    Raises
    ------
    ArtefactDamagedError
        It is no such file, or some of it is missing or changed.
    ArtefactVersionError
        A newer version of the library wrote it.
    """
    name = os.fspath(path)
    data = Path(path).read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        raise ArtefactDamagedError(
            f"{name} is no model file of skcfq: it does not begin with {MAGIC!r}. Give a file that "
            "`export(path)` wrote, and move such files in binary mode."
        )
    if len(data) < PRELUDE_SIZE:
        raise ArtefactDamagedError(f"{name} ends inside its prelude. {_AGAIN}")
    fields = data[len(MAGIC) : len(MAGIC) + _FIELDS.size]
    schema, _, n_packed, n_raw, n_payload = _FIELDS.unpack(fields)
    if schema > SCHEMA:
        raise ArtefactVersionError(
            f"{name} has schema {schema}, and this version of skcfq reads up to {SCHEMA}. Install "
            "a newer skcfq, or export the model with this one."
        )
    expected = PRELUDE_SIZE + n_packed + n_payload
    if len(data) != expected:
        raise ArtefactDamagedError(
            f"{name} has {len(data)} bytes and should have {expected}: it is truncated, or "
            f"something was appended. {_AGAIN}"
        )
    body = data[PRELUDE_SIZE:]
    if hashlib.sha256(fields + body).digest() != data[PRELUDE_SIZE - 32 : PRELUDE_SIZE]:
        raise ArtefactDamagedError(f"{name} is damaged: its checksum does not match. {_AGAIN}")
    try:
        if n_raw > _LONGEST_HEADER:
            raise ValueError(f"a header of {n_raw} bytes")
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(body[:n_packed], n_raw + 1)
        if len(raw) != n_raw:
            raise ValueError("the length of the header is wrong")
        header = json.loads(raw)
    except (ValueError, zlib.error) as error:
        raise ArtefactDamagedError(f"{name} has an unreadable header ({error}).") from error
    return header, body[n_packed:]


_AGAIN = "Copy or export the file again."
