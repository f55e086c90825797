"""What all tests share: one torch thread, and the folder of the real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

# Two threads are many times slower than one on small tensors and a busy machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder of the real datasets; the test is skipped where there is none."""
    folder = os.environ.get("SKCFQ_DATA")
    if not folder:
        pytest.skip("real data needed: set SKCFQ_DATA to a folder such as ../shared/data")
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        pytest.skip(f"real data needed: SKCFQ_DATA={folder} is not a folder")
    return path
