"""A file holds the previous content or the new one, whatever happens to the writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import skcfq
from skcfq.utils import atomic_write

needs_posix = pytest.mark.skipif(os.name != "posix", reason="limits and signals of POSIX")

FULL_DISK = """
import resource, signal, sys
from skcfq.utils import atomic_write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    atomic_write(sys.argv[1], b"x" * 5000)
except OSError as error:
    print(type(error).__name__, error.errno)
"""

SLOW = """
import sys, time
from skcfq.utils import atomic_write
def chunks(file):
    for position in range(10_000):
        file.write(b"new" * 10_000)
        file.flush()
        if position == 3:
            print("writing", flush=True)
        time.sleep(0.01)
atomic_write(sys.argv[1], chunks)
"""


@pytest.fixture
def kept(tmp_path):
    (tmp_path / "file").write_bytes(b"previous")
    return tmp_path / "file"


def only(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x00\r\n\xff", b"\x00\r\n\xff"),
        ("Zürich\r\n", b"Z\xc3\xbcrich\r\n"),
        (lambda file: [file.write(b"a"), file.write(b"b")], b"ab"),
        (b"", b""),
    ],
)
def test_bytes_text_and_writers(content, expected, tmp_path):
    for path in (tmp_path / "new", str(tmp_path / "new")):
        atomic_write(path, content)
        assert (tmp_path / "new").read_bytes() == expected
    assert only(tmp_path) == ["new"]


def test_the_content_is_on_the_disk_before_it_has_the_name(kept, monkeypatch):
    flushed, flush = [], os.fsync

    def fsync(handle):
        flushed.append((kept.read_bytes(), os.fstat(handle).st_size))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(kept, b"new")
    assert flushed[0] == (b"previous", 3)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_exception_keeps_the_previous_file(error, kept):
    def fail(file):
        file.write(b"half")
        raise error

    with pytest.raises(error):
        atomic_write(kept, fail)
    assert kept.read_bytes() == b"previous"
    assert only(kept.parent) == ["file"]


def python(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(skcfq.__file__).parents[1],
    )


@needs_posix
def test_a_full_disk_keeps_the_previous_file(kept):
    process = python(FULL_DISK, kept)
    said = process.communicate()[0]
    assert process.returncode == 0
    assert said.startswith("OSError")
    assert kept.read_bytes() == b"previous"
    assert only(kept.parent) == ["file"]


@needs_posix
def test_a_killed_process_keeps_the_previous_file(kept):
    process = python(SLOW, kept)
    assert process.stdout.readline() == "writing\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert kept.read_bytes() == b"previous"
    # Nobody is left to remove what was begun; its name says what it is.
    assert [name[:7] for name in only(kept.parent) if name != "file"] == [".skcfq-"]


@needs_posix
def test_readers_see_one_of_the_two(kept):
    process = python("import sys\nfrom skcfq.utils import atomic_write\n"
                     "for i in range(300): atomic_write(sys.argv[1], bytes([65 + i % 2]) * 90_000)",
                     kept)  # fmt: skip
    seen = set()
    while process.poll() is None:
        content = kept.read_bytes()
        assert content == b"previous" or (len(content) == 90_000 and len(set(content)) == 1)
        seen.add(content[:1])
        time.sleep(0.001)
    process.communicate()
    assert process.returncode == 0
    assert seen & {b"A", b"B"}


@needs_posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_are_kept(mode, kept):
    kept.chmod(mode)
    atomic_write(kept, b"next")
    assert kept.stat().st_mode & 0o7777 == mode
    assert kept.read_bytes() == b"next"


@needs_posix
def test_a_new_file_has_the_permissions_that_open_gives(tmp_path):
    code = (
        "import os, sys\nfrom skcfq.utils import atomic_write\nos.umask(0o027)\n"
        "atomic_write(sys.argv[1], b'')\nprint(oct(os.stat(sys.argv[1]).st_mode & 0o777))"
    )
    assert python(code, tmp_path / "new").communicate()[0] == "0o640\n"


@needs_posix
def test_links_stay(kept):
    folder = kept.parent / "elsewhere"
    folder.mkdir()
    kept.rename(folder / "real")
    for link, target in (("link", "elsewhere/real"), ("second", "link"), ("dangling", "later")):
        (folder.parent / link).symlink_to(target)
        atomic_write(folder.parent / link, link)
        assert os.readlink(folder.parent / link) == target
        assert (folder.parent / link).read_text() == link
    assert (folder / "real").read_text() == "second"
    assert (folder.parent / "later").read_text() == "dangling"
    assert only(folder) == ["real"]


@needs_posix
def test_what_is_no_file_is_written_to():
    atomic_write("/dev/null", b"x")
    assert not Path("/dev/null").is_file()


def test_places_that_cannot_be_written_are_named(kept):
    folder = kept.parent
    for path, error, says in (
        (folder, IsADirectoryError, "is a folder"),
        (folder / "none" / "file", FileNotFoundError, "no folder .*none. Create it"),
        (kept / "file", NotADirectoryError, "file is no folder"),
    ):
        with pytest.raises(error, match=says):
            atomic_write(path, b"")
    assert only(folder) == ["file"]


@needs_posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_write_protected_files_are_refused(kept):
    kept.chmod(0o444)
    with pytest.raises(PermissionError, match="write-protected"):
        atomic_write(kept, b"next")
    assert kept.read_bytes() == b"previous"
