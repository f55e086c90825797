"""The names that ``import skcfq`` offers."""

from __future__ import annotations

import subprocess
import sys

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
