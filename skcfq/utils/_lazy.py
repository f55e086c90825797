"""Names of a package that are imported on first use (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_attributes(package: str, home_of: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__`` that imports some of its names on first use.

    Parameters
    ----------
    package : str
        Full name of the package.
    home_of : mapping of str to str
        Module inside the package that each name is in.

    Examples
    --------
    >>> lazy_attributes("skcfq.utils", {"take_rows": "_rows"})("take_rows").__name__
    'take_rows'
    """

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home_of[name]}"), name)

    return load
