"""The names that ``import skcfq`` offers."""

from __future__ import annotations

import importlib
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
# The helpers in utils are the library's own.
ROOMS = sorted(
    {one.parent.name for one in Path(skcfq.__file__).parent.glob("*/__init__.py")} - {"utils"}
    | {"exceptions"}
)


@pytest.mark.skipif(not API.exists(), reason="the documentation is not installed")
@pytest.mark.parametrize("room", ROOMS)
def test_public_names_are_in_the_api_reference(room):
    module = importlib.import_module(f"skcfq.{room}")
    listed = re.findall(r"^   (\w+)$", API.read_text(encoding="utf-8"), flags=re.MULTILINE)
    public = {name for name in getattr(module, "__all__", ()) if callable(getattr(module, name))}
    assert public <= {*listed}, "add them to docs/api.rst, or take them out of __all__"


def test_public_packages_load_on_first_use():
    """``import skcfq`` alone is enough, and a package brings only what it needs."""
    code = """
import sys, skcfq
for name, absent in {
    "exceptions.SkcfqError": {"pandas", "sklearn", "torch"},
    "deploy.load": {"sklearn", "torch"},
    "datasets.fetch_german_credit": {"torch"},
    "metrics.validity_drop": {"torch"},
    "models.as_predictor": set(),
    "estimators.QATClassifier": set(),
}.items():
    package, attribute = name.split(".")
    assert package in dir(skcfq) and package not in vars(skcfq), name
    assert getattr(getattr(skcfq, package), attribute).__name__ == attribute
    assert not absent & set(sys.modules), (name, absent & set(sys.modules))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
