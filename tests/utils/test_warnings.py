"""A warning points at the line of the user, whatever lies between."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import skcfq
from skcfq.utils import warn_user

PACKAGE = Path(skcfq.__file__).parent


def warned_from(filename, module, call):
    """Call something from code of a file, and return where the warning points."""
    code = compile("def run(call):\n    call()\n", str(filename), "exec")
    names = {"__name__": module}
    exec(code, names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names["run"](call)
    return caught[0].filename


def warn():
    warn_user("Nobody was refused.", UserWarning)


@pytest.mark.parametrize(
    ("filename", "module"),
    [
        (PACKAGE / "training" / "_loop.py", "skcfq.training._loop"),
        ("/elsewhere/sklearn/pipeline.py", "sklearn.pipeline"),
        ("/elsewhere/joblib/parallel.py", "joblib.parallel"),
    ],
)
def test_lines_of_libraries_are_passed_over(filename, module):
    names = {"__name__": module, "warn_user": warn_user}
    exec(
        compile("def warn():\n    warn_user('Nobody.', UserWarning)\n", str(filename), "exec"),
        names,
    )
    assert warned_from("/home/user/credit.py", "__main__", names["warn"]) == "/home/user/credit.py"


def test_a_folder_beside_the_library_is_the_users():
    script = PACKAGE.with_name("skcfq_notebooks") / "run.py"
    assert warned_from(script, "__main__", lambda: warn()) == __file__
    names = {"__name__": "__main__", "warn_user": warn_user}
    exec(
        compile("def warn():\n    warn_user('Nobody.', UserWarning)\n", str(script), "exec"), names
    )
    assert warned_from("/home/user/credit.py", "__main__", names["warn"]) == str(script)
