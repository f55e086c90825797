"""One case: a parameter of a subject is given an odd value, and what happens is classified."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from expected import Parameter
from odd_values import Odd

from skcfq.exceptions import SkcfqError

CLEAR, RIGHT, UNCLEAR, HANG = "clear", "right", "unclear", "hang"
# Errors of these classes are ours or scikit-learn's, or what the system says of a path.
_FITTING = (SkcfqError, ValueError, TypeError, KeyError, OSError, NotImplementedError)
# Subclasses that no validation raises.
_RAW = (UnicodeError,)


class Subject(NamedTuple):
    """Something public that is attacked.

    Attributes
    ----------
    name : str
    call : callable
        Takes parameters by name, with good values for those that are left out.
    parameters : dict of name to Parameter
    check : callable
        Takes what came out; returns None, or what is wrong with it.
    """

    name: str
    call: Callable[..., Any]
    parameters: dict[str, Parameter]
    check: Callable[[Any], str | None] = lambda result: None


class Case(NamedTuple):
    """A subject, one of its parameters, and the value that it is given."""

    subject: Subject
    parameter: str
    odd: Odd

    def __str__(self) -> str:
        return f"{self.subject.name}({self.parameter}={self.odd.name})"


class Verdict(NamedTuple):
    """How a case ended: one of the four words, what was said, and where it was raised."""

    kind: str
    said: str
    place: str = ""


def cases_of(subject: Subject) -> list[Case]:
    """Return all cases of a subject."""
    return [
        Case(subject, name, odd)
        for name, parameter in subject.parameters.items()
        for odd in parameter.values
    ]


def attack(case: Case) -> Verdict:
    """Run one case in this process."""
    subject, name, odd = case
    parameter = subject.parameters[name]
    value = odd.make()
    expected = parameter.expects(value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = subject.call(**{name: value})
            fault = subject.check(result)
    except Exception as error:  # what is raised is what is looked at
        return _of_error(error, name, parameter, expected)
    if fault is not None:
        return Verdict(UNCLEAR, f"worked, but {fault}")
    if expected is False:
        return Verdict(UNCLEAR, "was accepted")
    return Verdict(RIGHT, "worked")


def _of_error(error: Exception, name: str, parameter: Parameter, expected: bool | None) -> Verdict:
    frames = traceback.extract_tb(error.__traceback__)
    said = f"{type(error).__name__}: {str(error)[:200]}"
    place = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}"
    if expected is True:
        return Verdict(UNCLEAR, f"should work; {said}", place)
    if not isinstance(error, _FITTING) or isinstance(error, _RAW):
        return Verdict(UNCLEAR, said, place)
    told = str(error).lower()
    if any(word.lower() in told for word in (name, *parameter.words)):
        return Verdict(CLEAR, said, place)
    # scikit-learn's own checks of tables and labels speak of them in its words.
    if "/sklearn/" in frames[-1].filename and name in ("X", "y", "sample_weight"):
        return Verdict(CLEAR, said, place)
    return Verdict(UNCLEAR, f"does not name it; {said}", place)
