"""The names that ``import skcfq`` offers."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skcfq
import skcfq.estimators


@pytest.mark.parametrize("name", skcfq.__all__)
def test_public_name_loads(name):
    assert getattr(skcfq, name) is getattr(skcfq, name)


def test_dir_lists_names_before_they_are_loaded():
    assert set(skcfq.__all__) <= set(dir(skcfq))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        skcfq.Nothing  # noqa: B018  (the access itself is under test)


def test_estimators_load_the_sampler_on_first_use():
    code = (
        "import sys, skcfq.estimators as e; assert 'imblearn' not in sys.modules; "
        "e.CounterfactualSampler; assert 'imblearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        skcfq.estimators.Nothing  # noqa: B018  (the access itself is under test)


API = Path(skcfq.__file__).parents[1] / "docs" / "api.rst"
PUBLIC_MODULES = {
    "skcfq",
    "skcfq.audit",
    "skcfq.certificates",
    "skcfq.datasets",
    "skcfq.deploy",
    "skcfq.estimators",
    "skcfq.exceptions",
    "skcfq.metrics",
    "skcfq.models",
    "skcfq.plotting",
    "skcfq.results",
    "skcfq.solvers",
    "skcfq.theory",
}
# All of these are public; of the other public modules, what the reference lists.
WHOLLY_PUBLIC = [
    "skcfq",
    "skcfq.audit",
    "skcfq.datasets",
    "skcfq.estimators",
    "skcfq.metrics",
    "skcfq.plotting",
    "skcfq.solvers",
    "skcfq.theory",
]
N_PUBLIC, N_ERRORS = 134, 31


def _listed() -> dict[str, list[str]]:
    """Return the names that the API reference lists of each module."""
    listed: dict[str, list[str]] = {}
    module = ""
    for line in API.read_text(encoding="utf-8").splitlines():
        if line.startswith(".. currentmodule:: "):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            listed.setdefault(module, []).append(line.strip())
    return listed


needs_docs = pytest.mark.skipif(not API.exists(), reason="the documentation is not installed")


@needs_docs
def test_the_reference_lists_what_is_public_and_how_much_that_is():
    listed = _listed()
    assert set(listed) == PUBLIC_MODULES
    errors = listed.pop("skcfq.exceptions")
    assert len(errors) == len(set(errors)) == N_ERRORS
    names = [name for of_module in listed.values() for name in of_module]
    assert len(names) == len(set(names)) == N_PUBLIC


@needs_docs
@pytest.mark.parametrize("module", sorted(PUBLIC_MODULES))
def test_what_is_listed_is_at_the_door(module):
    listed, imported = _listed(), importlib.import_module(module)
    for name in listed[module]:
        assert getattr(imported, name).__doc__, name
        if module != "skcfq.exceptions":
            assert name in imported.__all__
    if module in WHOLLY_PUBLIC:
        everywhere = {name for names in listed.values() for name in names}
        assert {name for name in imported.__all__ if name[0] != "_"} <= everywhere


@needs_docs
def test_constructors_have_types():
    for module, names in _listed().items():
        for name in names:
            listed = getattr(importlib.import_module(module), name)
            own = vars(listed).get("__init__") if isinstance(listed, type) else None
            if own is not None:
                parameters = set(inspect.signature(own).parameters) - {"self"}
                assert set(own.__annotations__) == parameters | {"return"}, name


def test_rooms_say_for_whom_they_are():
    for file in Path(skcfq.__file__).parent.rglob("*/__init__.py"):
        parts = ("skcfq", *file.relative_to(Path(skcfq.__file__).parent).parts[:-1])
        module = ".".join(parts)
        said = importlib.import_module(module).__doc__
        if module not in PUBLIC_MODULES or module in {"skcfq.models", "skcfq.deploy"}:
            assert "For developers" in said, module


def test_public_packages_load_on_first_use():
    """``import skcfq`` alone is enough, and a package brings only what it needs."""
    code = """
import sys, skcfq
for name, absent in {
    "exceptions.SkcfqError": {"pandas", "sklearn", "torch"},
    "deploy.load": {"sklearn", "torch"},
    "datasets.fetch_german_credit": {"torch"},
    "results.IssuedAdvice": {"torch"},
    "metrics.validity_drop": {"torch"},
    "models.as_predictor": set(),
    "plotting.to_svg": {"matplotlib"},
    "theory.target_margin": set(),
    "estimators.QATClassifier": set(),
    "audit.reason_codes": set(),
}.items():
    package, attribute = name.split(".")
    assert package in dir(skcfq) and package not in vars(skcfq), name
    assert getattr(getattr(skcfq, package), attribute).__name__ == attribute
    assert not absent & set(sys.modules), (name, absent & set(sys.modules))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
