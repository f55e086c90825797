"""What code an object stands for: a name alone does not tell what a function does today.

Pickle knows functions and classes by their names, and so does whatever makes a key of a pickle.
What is computed with them is the same only while their code is, and that of the libraries behind.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import pickle
import platform
import sys
import sysconfig
from functools import cache
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import joblib

_LIBRARY = Path(__file__).parents[1]
_NAMED = (FunctionType, BuiltinFunctionType, type)
# What fits and searches compute with, whatever an object refers to.
_PACKAGES = ("joblib", "numpy", "pandas", "scikit-learn", "scipy", "skorch", "torch")


def code_identity(*objects: Any) -> str:
    """Return a digest of the code that some objects refer to.

    Parameters
    ----------
    *objects : object
        Estimators, functions, or whatever holds them.

    Returns
    -------
    digest : str
        Of this library's own source, of the versions of Python and of the packages that are used,
        and of the code of every function and class of the user's, with what it calls in turn.

    Examples
    --------
    >>> code_identity(len) == code_identity(len), code_identity(len) == code_identity(max)
    (True, False)
    """
    code = _Code()
    code.add("python", platform.python_version(), _source_digest())
    for package in _PACKAGES:
        code.add("package", package, _version(package))
    for one in objects:
        code.read(one)
    return code.digest()


class _Code:
    """A digest that grows with every function and class that is met."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._seen: dict[int, Any] = {}

    def add(self, *parts: str) -> None:
        self._parts.append(" ".join(parts))

    def digest(self) -> str:
        return hashlib.sha256("\n".join(self._parts).encode()).hexdigest()

    def read(self, value: Any) -> None:
        """Note what an object refers to."""
        collector = _Collector()
        try:
            collector.dump(value)
        except Exception as error:
            self.add("unread", type(error).__name__)
        for one in collector.found:
            self.note(one)

    def note(self, value: Any) -> None:
        """Note a function, a class, a module, or a value that code refers to."""
        if id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if not isinstance(value, (*_NAMED, ModuleType)):
            self.add("value", _digest_of(value))
            if not isinstance(value, (str, bytes, int, float)):
                self.read(value)
            return
        module = value.__name__ if isinstance(value, ModuleType) else str(value.__module__)
        self.add(module, getattr(value, "__qualname__", ""))
        if _is_installed(module):
            self.add("package", module.partition(".")[0], _version(module.partition(".")[0]))
        elif isinstance(value, ModuleType):
            self.add("module", _file_digest(value))
        elif isinstance(value, FunctionType):
            self._note_function(value)
        elif isinstance(value, type):
            self._note_class(value)

    def _note_function(self, function: FunctionType) -> None:
        names = self._note_code(function.__code__)
        for default in (function.__defaults__, function.__kwdefaults__):
            self.note(default)
        for cell in function.__closure__ or ():
            self.note(cell.cell_contents)
        for name in sorted(names & set(function.__globals__)):
            self.note(function.__globals__[name])

    def _note_code(self, code: CodeType) -> set[str]:
        names = set(code.co_names)
        self.add("code", code.co_code.hex(), *code.co_names, *code.co_varnames)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                names |= self._note_code(constant)
            elif isinstance(constant, frozenset):
                # Their order is another one in every process.
                self.add("constant", *sorted(map(repr, constant)))
            else:
                self.add("constant", repr(constant))
        return names

    def _note_class(self, cls: type) -> None:
        for base in cls.__bases__:
            self.note(base)
        for name, value in sorted(vars(cls).items()):
            inner = getattr(value, "__func__", value)
            for one in (inner, *(getattr(inner, part, None) for part in ("fget", "fset", "func"))):
                if isinstance(one, FunctionType):
                    self.add(name)
                    self.note(one)


class _Collector(pickle.Pickler):
    """Find the functions and classes that a pickle would name; nothing is written."""

    def __init__(self) -> None:
        super().__init__(_Nowhere(), protocol=4)
        self.found: list[Any] = []

    def reducer_override(self, value: Any) -> Any:
        if value is _placeholder or not isinstance(value, _NAMED):
            return NotImplemented
        self.found.append(value)
        # In place of the name, which need not lead back here.
        return _placeholder, ()


def _placeholder() -> None:
    """Stand in a pickle for a function or a class."""


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


def _digest_of(value: Any) -> str:
    try:
        return str(joblib.hash(value))
    except Exception:
        return type(value).__qualname__


def _is_installed(module: str) -> bool:
    """Tell whether a module is known by a version: it was installed, or is part of Python."""
    top = module.partition(".")[0]
    if top == "__main__":
        return False
    file = getattr(sys.modules.get(top), "__file__", None)
    if file is None or top in sys.stdlib_module_names or Path(file).is_relative_to(_LIBRARY):
        return True
    return any(
        Path(file).is_relative_to(sysconfig.get_path(place)) for place in ("purelib", "platlib")
    )


@cache
def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(package), "__version__", ""))


@cache
def _source_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(_LIBRARY.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _file_digest(module: ModuleType) -> str:
    file = getattr(module, "__file__", None)
    return "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
