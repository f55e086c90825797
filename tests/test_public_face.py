"""The names that ``import skcfq`` offers."""

from __future__ import annotations

import pytest

import skcfq


@pytest.mark.parametrize("name", skcfq.__all__)
def test_public_name_loads(name):
    assert getattr(skcfq, name) is getattr(skcfq, name)


def test_dir_lists_names_before_they_are_loaded():
    assert set(skcfq.__all__) <= set(dir(skcfq))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        skcfq.Nothing  # noqa: B018  (the access itself is under test)
