"""Work on a Dask cluster, where joblib was told to use one.

joblib itself would send it there too, but waits without end for a task whose workers have died.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import Any

from joblib.parallel import get_active_backend

# Tasks that wait at the cluster, for each that it can work on.
_AHEAD = 2


def active_cluster() -> Any:
    """Return the Dask backend of joblib that is active, or None."""
    backend, _ = get_active_backend()
    return backend if type(backend).__name__ == "DaskDistributedBackend" else None


def answers_of_cluster(
    backend: Any, function: Callable[[Any], Any], given: Iterable[Any]
) -> Generator[Any, None, None]:
    """Yield what a function returns for each argument, as they are finished.

    Parameters
    ----------
    backend : DaskDistributedBackend
    function : callable
        Of one argument.
    given : iterable
        Read as work goes on.

    Yields
    ------
    answer : object

    Raises
    ------
    distributed.KilledWorker
        Several workers have died with one argument.
    """
    from dask.distributed import as_completed

    client, left = backend.client, iter(given)
    tasks = as_completed()
    # A task that waits for tasks makes room for them.
    with backend.retrieval_context():
        try:
            for one in islice(left, _AHEAD * backend.effective_n_jobs(-1)):
                tasks.add(client.submit(function, one, pure=False))
            for task in tasks:
                yield task.result()
                for one in islice(left, 1):
                    tasks.add(client.submit(function, one, pure=False))
        finally:
            client.cancel(list(tasks.futures))
