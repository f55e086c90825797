"""A sample of what `make attack` tries: an odd value for every public parameter."""

import importlib
import sys
import zlib
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "attack"


def _parts(*names):
    """Import parts of the tool, whose folder is no package."""
    before = set(sys.modules)
    sys.path.insert(0, str(TOOL))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(TOOL))
        for name in set(sys.modules) - before:
            if (TOOL / f"{name}.py").exists():
                del sys.modules[name]


subjects, public_parameters, verdicts = _parts("subjects", "public_parameters", "verdicts")
SUBJECTS = subjects.all_subjects()


def _sample(subject):
    """Return one case a parameter; which one it is depends on their names alone."""
    cases = verdicts.cases_of(subject)
    for parameter in subject.parameters:
        some = [case for case in cases if case.parameter == parameter]
        yield some[zlib.crc32(f"{subject.name} {parameter}".encode()) % len(some)]


def test_every_public_parameter_is_attacked_or_left_out_with_a_reason():
    assert public_parameters.unattacked(SUBJECTS, subjects.NOT_ATTACKED) == []


def test_what_is_not_attacked_is_noticed():
    fewer = [subject for subject in SUBJECTS if subject.name != "random_split"]
    found = public_parameters.unattacked(fewer, subjects.NOT_ATTACKED)
    assert "random_split(n_train)" in found and len(found) == 4


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_odd_values_are_refused_by_name_or_right(subject, request, tmp_path, monkeypatch):
    if subject.name.startswith("fetch_"):
        # The folder may be named as seen from where the tests were started.
        monkeypatch.setenv("SKCFQ_DATA", str(request.getfixturevalue("data_home")))
    monkeypatch.chdir(tmp_path)
    ended = {str(case): verdicts.attack(case) for case in _sample(subject)}
    good = (verdicts.CLEAR, verdicts.RIGHT)
    assert [(case, v) for case, v in ended.items() if v.kind not in good] == []


def _refuse(value, message):
    raise ValueError(message)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda size: _refuse(size, f"size={size!r}; give a number."), "clear"),
        (lambda size: _refuse(size, "invalid literal"), "unclear"),
        (lambda size: 1, "unclear"),
        (lambda size: {}[0], "unclear"),
    ],
)
def test_the_judge(call, kind):
    (expected,) = _parts("expected")
    subject = verdicts.Subject("made", call, {"size": expected.real(0)})
    (case,) = [case for case in verdicts.cases_of(subject) if case.odd.name == "'x'"]
    assert verdicts.attack(case).kind == kind
