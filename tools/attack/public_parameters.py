"""What is public, and whether something attacks each parameter of it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from verdicts import Subject

_ROOT = Path(__file__).parents[2]
_NO_PARAMETERS = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)


def public_names() -> list[tuple[str, str]]:
    """Return package and name of all that the API reference lists, but for errors and warnings."""
    found, package = [], ""
    for line in (_ROOT / "docs" / "api.rst").read_text().splitlines():
        if line.startswith(".. currentmodule::"):
            package = line.split()[-1]
        elif re.fullmatch(r"   \w+", line) and package != "skcfq.exceptions":
            found.append((package, line.strip()))
    return found


def unattacked(subjects: Iterable[Subject], excluded: Iterable[str]) -> list[str]:
    """Return the public parameters, as ``name(parameter)``, that no subject gives odd values.

    Parameters
    ----------
    subjects : iterable of Subject
        A name may have something in parentheses, and several be joined by a comma. What is
        inherited is attacked where one of the classes that share it is.
    excluded : iterable of str
        Names that are left out, ``Class.method`` or ``.method`` of every class among them.
    """
    attacked: dict[Any, set[str]] = {}
    objects = {name: getattr(import_module(package), name) for package, name in public_names()}
    for subject in subjects:
        for name in subject.name.partition(" (")[0].split(", "):
            first, _, method = name.partition(".")
            if first in objects:
                asked = getattr(objects[first], method) if method else objects[first]
                attacked.setdefault(_identity(asked), set()).update(subject.parameters)
    return [
        f"{name}({parameter})"
        for name, asked in _callables(objects, set(excluded))
        for parameter in _parameters(asked)
        if parameter not in attacked.get(_identity(asked), set())
    ]


def _callables(objects: dict[str, Any], excluded: set[str]) -> Iterator[tuple[str, Callable]]:
    for name, asked in objects.items():
        if name in excluded:
            continue
        if inspect.isclass(asked):
            if f"{name}.__init__" not in excluded:
                yield name, asked
            for method, function in inspect.getmembers(asked, callable):
                ours = getattr(function, "__module__", None) or ""
                left_out = {f"{name}.{method}", f".{method}"} & excluded
                if not method.startswith("_") and ours.startswith("skcfq") and not left_out:
                    yield f"{name}.{method}", function
        elif callable(asked):
            yield name, asked


def _identity(asked: Any) -> Any:
    return id(asked) if inspect.isclass(asked) else id(inspect.unwrap(_function(asked)))


def _function(asked: Any) -> Any:
    return getattr(asked, "__func__", asked)


def _parameters(asked: Callable) -> list[str]:
    parameters = inspect.signature(asked).parameters.values()
    return [p.name for p in parameters if p.kind not in _NO_PARAMETERS and p.name != "self"]
