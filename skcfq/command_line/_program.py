"""The program as a whole: its commands, its errors in one line, its exit codes."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from skcfq._version import __version__
from skcfq.command_line import _audit, _export, _inspect, _letters, _solve, _verify
from skcfq.command_line._outcomes import NOT_JUDGED, Refused, tell

_COMMANDS = {
    "audit": _audit,
    "solve": _solve,
    "letters": _letters,
    "inspect": _inspect,
    "export": _export,
    "verify": _verify,
}
_INTERRUPTED = 130
# Errors whose text says what is wrong, without their name.
_SAID = (Refused, ValueError, TypeError, OSError, ImportError, KeyboardInterrupt)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others of the program."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message}. `{self.prog} --help` lists what can be given.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process by default.

    Returns
    -------
    code : int
        0 where it was done, and a gate passed; 1 where a threshold was exceeded; 2 where something
        could not be judged, read or written.
    """
    named = "skcfq"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = _show_warning
            arguments = _parser().parse_args(argv)
            named = f"skcfq {arguments.command}"
            return _COMMANDS[arguments.command].run(arguments)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except KeyboardInterrupt as stop:
        tell(f"{named}: {_in_one_line(stop) if stop.args else 'interrupted'}")
        return _INTERRUPTED
    # Whatever a file or a model does, the one who reads a log gets a line, and the gate is shut.
    except Exception as error:
        tell(f"{named}: error: {_in_one_line(error)}")
        return NOT_JUDGED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="skcfq",
        description="Audit what a deployed model does to recourse; find and tell recourse.",
        epilog="Exit codes: 0 passed, 1 a threshold is exceeded, 2 could not judge.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"skcfq {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in _COMMANDS.items():
        said = (command.__doc__ or "").splitlines()[0]
        own = commands.add_parser(name, help=said, description=said, allow_abbrev=False)
        command.add_arguments(own)
    return parser


def _in_one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    known = isinstance(error, _SAID)
    return text if known and text else f"{type(error).__name__}: {text}"


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    tell(f"skcfq: warning: {' '.join(str(message).split())}")
