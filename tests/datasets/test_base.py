"""Finding, downloading and checking files, with a small web server in place of the sources."""

from __future__ import annotations

import gzip
import hashlib
import io
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest

from skcfq.datasets import _adult, _bank_marketing, _base, _compas, _default_credit, _german_credit
from skcfq.datasets._base import RemoteFile, age_group, random_split, read_payload
from skcfq.exceptions import DatasetDamagedError, DatasetNotFoundError

PAYLOAD = b"age,income\n30,1000\n40,2000\n"
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()

PUBLISHED = [
    _adult._TRAIN,
    _adult._TEST,
    _bank_marketing._FILE,
    _compas._FILE,
    _default_credit._FILE,
    _german_credit._FILE,
]


def remote(url="https://example.invalid/toy.csv", **changes):
    return RemoteFile(**({"path": "toy/toy.csv", "url": url, "sha256": SHA256} | changes))


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    monkeypatch.delenv("SKCFQ_DATA", raising=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "home" / "toy").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(_base.pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "skcfq" / "toy"


@pytest.fixture
def server(tmp_path):
    """Serve the files of a folder; yields the folder and the address."""
    root = tmp_path / "www"
    root.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield root, f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_published_files_are_pinned():
    for file in PUBLISHED:
        assert file.url.startswith("https://")
        assert len(bytes.fromhex(file.sha256)) == 32
        assert file.url.endswith(".zip") == bool(file.members)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_folder_holds_plain_or_compressed_files(folder, suffix):
    content = gzip.compress(PAYLOAD) if suffix else PAYLOAD
    (folder / "toy" / f"toy.csv{suffix}").write_bytes(content)
    assert read_payload("toy", remote(), folder) == PAYLOAD
    assert read_payload("toy", remote(), str(folder)) == PAYLOAD


def test_variable_names_the_folder_and_the_argument_wins(folder, tmp_path, monkeypatch):
    (folder / "toy" / "toy.csv").write_bytes(PAYLOAD)
    monkeypatch.setenv("SKCFQ_DATA", str(folder))
    assert read_payload("toy", remote(), None) == PAYLOAD
    with pytest.raises(DatasetNotFoundError):
        read_payload("toy", remote(), tmp_path / "elsewhere")


def test_missing_file_names_dataset_folder_and_variable(folder):
    with pytest.raises(DatasetNotFoundError, match=r"'toy'.*toy/toy\.csv\.gz") as caught:
        read_payload("toy", remote(), folder)
    assert str(folder) in str(caught.value)
    assert "SKCFQ_DATA" in str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)


def test_changed_payload_is_refused_and_kept(folder):
    path = folder / "toy" / "toy.csv"
    path.write_bytes(PAYLOAD + b"50,3000\n")
    with pytest.raises(DatasetDamagedError, match=f"expected {SHA256}; replace it"):
        read_payload("toy", remote(), folder)
    assert path.exists()


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(PAYLOAD)[:-10], b""],
    ids=["no gzip", "cut short", "empty"],
)
def test_broken_archive_is_refused(folder, content):
    (folder / "toy" / "toy.csv.gz").write_bytes(content)
    with pytest.raises(DatasetDamagedError, match=r"'toy'.*(decompressed|published)"):
        read_payload("toy", remote(), folder)


def test_download_happens_once(server, cache):
    root, address = server
    (root / "toy.csv").write_bytes(PAYLOAD)
    file = remote(f"{address}/toy.csv")
    assert read_payload("toy", file, None) == PAYLOAD
    (root / "toy.csv").unlink()
    assert read_payload("toy", file, None) == PAYLOAD
    assert [path.name for path in cache.iterdir()] == ["toy.csv"]


def test_download_opens_archives_in_archives(server, cache):
    root, address = server
    (root / "toy.zip").write_bytes(zipped(**{"inner.zip": zipped(**{"toy.csv": PAYLOAD})}))
    file = remote(f"{address}/toy.zip", members=("inner.zip", "toy.csv"))
    assert read_payload("toy", file, None) == PAYLOAD


@pytest.mark.parametrize("content", [zipped(other=b""), b"<html>moved</html>"])
def test_damaged_download_is_not_kept(server, cache, content):
    root, address = server
    (root / "toy.zip").write_bytes(content)
    file = remote(f"{address}/toy.zip", members=("toy.csv",))
    with pytest.raises(DatasetDamagedError, match="call the loader again"):
        read_payload("toy", file, None)
    (root / "toy.zip").write_bytes(zipped(**{"toy.csv": PAYLOAD}))
    assert read_payload("toy", file, None) == PAYLOAD


def test_failed_download_names_source_and_variable(server, cache):
    _, address = server
    with pytest.raises(DatasetNotFoundError, match=r"'toy' could not be downloaded.*SKCFQ_DATA"):
        read_payload("toy", remote(f"{address}/nothing.csv"), None)


def test_random_split_is_disjoint_stratified_and_seeded():
    target = pd.Series(["a"] * 60 + ["b"] * 40)
    train, test = random_split(target, n_train=70, n_test=30, random_state=0)
    assert sorted([*train, *test]) == list(range(100))
    assert (target.iloc[test] == "b").sum() == 12
    again, _ = random_split(target, n_train=70, n_test=30, random_state=0)
    other, _ = random_split(target, n_train=70, n_test=30, random_state=1)
    np.testing.assert_array_equal(train, again)
    assert not np.array_equal(train, other)


def test_age_group_cuts_at_25():
    assert age_group(pd.Series([25, 26])).tolist() == ["25 or younger", "over 25"]
