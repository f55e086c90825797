"""The one place that imports matplotlib, when something is drawn."""

from __future__ import annotations

from typing import Any

from skcfq.exceptions import OptionalDependencyError


def matplotlib_module(name: str) -> Any:
    """Return a module of matplotlib, such as ``"pyplot"``.

    Raises
    ------
    OptionalDependencyError
        matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401  (whether it is there is what is asked)
    except ImportError as error:
        raise OptionalDependencyError(
            "Figures need the package matplotlib: pip install 'skcfq[report]'."
        ) from error
    from importlib import import_module

    return import_module(f"matplotlib.{name}")
