"""Work on a Dask cluster, where joblib was told to use one.

joblib itself would send it there too, but models and rules with every batch, and it waits without
end for a task whose workers have died.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib.parallel import get_active_backend

from skcfq.solvers._worker import solve_part

if TYPE_CHECKING:
    from skcfq.solvers._worker import Part


def active_cluster() -> Any:
    """Return the Dask backend of joblib that is active, or None."""
    backend, _ = get_active_backend()
    return backend if type(backend).__name__ == "DaskDistributedBackend" else None


class ClusterWorkers:
    """Workers of a cluster that solve parts of one task.

    Each of them is sent once what is the same for all people.

    Parameters
    ----------
    backend : DaskDistributedBackend
    n : int
        How many work at once.
    told : bytes
        What is the same for all people.
    """

    def __init__(self, backend: Any, n: int, told: bytes) -> None:
        self.n = n
        self._client, self._key = backend.client, uuid.uuid4().hex
        # To all, so that it is there still if one of them dies.
        self._told = self._client.scatter(told, broadcast=True, hash=False)
        self._asked: list[Any] = []

    def submit(self, rows: np.ndarray, part: Part) -> Any:
        """Return what a worker will say about some people."""
        asked = self._client.submit(solve_part, self._key, self._told, rows, part, pure=False)
        self._asked.append(asked)
        return asked

    def close(self, *, stop: bool) -> None:
        """Take back what nobody waits for, and what was sent for it."""
        with suppress(Exception):  # a cluster that is gone has nothing in hand
            self._client.cancel([*self._asked, self._told])
