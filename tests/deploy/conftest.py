"""One small trained model a width, on a table of numbers, text and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from skcfq import QATClassifier, TeacherClassifier
from skcfq.datasets import make_credit
from skcfq.deploy._container import pack_container, read_container

WIDTHS = (2, 3, 4, 8)


@pytest.fixture(scope="package")
def credit():
    return make_credit(300, random_state=0)


@pytest.fixture(scope="package")
def models(credit):
    """Dict of bits to a fitted model; all share one teacher."""
    small = {"hidden_layer_sizes": (12, 10), "batch_size": 32, "random_state": 0}
    teacher = TeacherClassifier(max_iter=15, **small).fit(credit.data, credit.target)
    shared = {"teacher": teacher, "action_set": credit.action_set, "target": credit.favorable}
    return {
        bits: QATClassifier(bits, max_iter=5, **shared, **small).fit(credit.data, credit.target)
        for bits in WIDTHS
    }


@pytest.fixture(scope="package")
def many_rows(credit):
    """Rows far from the data too, with gaps and unknown categories: 4,000 of them."""
    rng = np.random.default_rng(0)
    frame = credit.data.iloc[rng.integers(0, len(credit.data), 4000)].reset_index(drop=True)
    for name in frame.columns:
        frame[name] = rng.permutation(frame[name].to_numpy())
        if frame[name].dtype.kind == "f":
            frame[name] = frame[name] * rng.uniform(0.2, 3.0, len(frame))
    text = next(name for name in frame.columns if isinstance(frame[name][0], str))
    frame[text] = frame[text].astype(object)
    frame.loc[frame.index[::50], text] = "never seen"
    return frame


@pytest.fixture
def forge(tmp_path):
    """Return a function that writes a file with another header, and a right checksum."""

    def write(path, **changes):
        found = read_container(path)
        header = {**found.header, **changes}
        data = pack_container(header, bytes(found.payload), bytes(found.arrays), found.schema)
        (tmp_path / "forged").write_bytes(data)
        return tmp_path / "forged"

    return write
