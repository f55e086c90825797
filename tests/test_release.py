"""What a release says about itself agrees with itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import skcfq

ROOT = Path(skcfq.__file__).parents[1]

pytestmark = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="the package is installed without its sources"
)


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _ranges(*extras: str) -> list[Requirement]:
    project = _project()
    optional = project["optional-dependencies"]
    return [
        Requirement(text)
        for part in (project["dependencies"], *(optional[extra] for extra in extras))
        for text in part
    ]


def _pinned(name: str) -> dict[str, Version]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(package): Version(version) for package, version in pairs}


def test_the_lowest_versions_are_those_of_the_ranges():
    pinned, higher = _pinned("constraints-min.txt"), {}
    for requirement in _ranges("test"):
        (lower,) = requirement.specifier
        assert lower.operator == ">="
        found, release = pinned[canonicalize_name(requirement.name)], Version(lower.version).release
        if found.release[: len(release)] != release:
            higher[requirement.name] = str(found)
    # Older ones cannot be installed where the tests run, as the file says.
    assert higher == {"torch": "2.13.0"}


def test_the_pinned_versions_lie_in_the_ranges():
    pinned = _pinned("constraints.txt")
    for requirement in _ranges(*_project()["optional-dependencies"]):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, flags=re.MULTILINE)[1] == skcfq.__version__


def test_links_of_the_readme_work_from_an_index_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]*)\)", readme)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_files_that_the_readme_names_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:docs|examples)/[\w/.]+)`", readme)
    named += re.findall(r"python (examples/[\w/.]+)", readme)
    assert len(named) >= 2
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_changes_no_rules_that_others_have_too():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    changed = re.findall(r"(\S+)\.set_params\(", readme)
    assert changed and [one for one in changed if not one.startswith("clone(")] == []


def test_files_that_are_no_code_are_packed_too():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    patterns = tools["setuptools"]["package-data"]["skcfq"]
    package = Path(skcfq.__file__).parent
    found = [
        file.relative_to(package)
        for file in package.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    ]
    assert len(found) >= 5
    assert [file for file in found if not any(file.match(pattern) for pattern in patterns)] == []
