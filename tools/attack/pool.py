"""Cases in a process of their own, which is ended where one takes too long or too much."""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

from verdicts import HANG, UNCLEAR, Case, Verdict, attack

# What one case may allocate beyond what the process holds.
_MEMORY = 3 * 2**30


def attack_all(cases: Sequence[Case], seconds: float) -> Iterator[tuple[Case, Verdict]]:
    """Run cases one after the other; yield each with its verdict.

    Parameters
    ----------
    cases : sequence of Case
    seconds : float
        A case that takes longer hangs; its process is killed.
    """
    # What is fitted once is inherited by each process.
    context = multiprocessing.get_context("fork")
    done = 0
    while done < len(cases):
        ours, theirs = context.Pipe()
        worker = context.Process(target=_work, args=(theirs, cases[done:]), daemon=True)
        worker.start()
        theirs.close()
        while done < len(cases):
            verdict = _receive(ours, seconds)
            if verdict is None:
                break
            yield cases[done], verdict
            done += 1
        else:
            worker.join()
            return
        crashed = ours.poll()
        worker.kill()
        worker.join()
        said = "the process died" if crashed else f"more than {seconds:g} s"
        yield cases[done], Verdict(UNCLEAR if crashed else HANG, said)
        done += 1


def _receive(connection: Connection, seconds: float) -> Verdict | None:
    try:
        return connection.recv() if connection.poll(seconds) else None
    except EOFError:
        return None


def _work(connection: Connection, cases: Sequence[Case]) -> None:
    _limit_memory()
    # Odd paths that can be written are written there.
    os.chdir(tempfile.mkdtemp(prefix="attack-"))
    # What a case prints is not looked at.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    for case in cases:
        try:
            verdict = attack(case)
        except MemoryError:
            verdict = Verdict(UNCLEAR, "MemoryError")
        connection.send(verdict)
    connection.close()


def _limit_memory() -> None:
    with open("/proc/self/statm") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + _MEMORY, held + _MEMORY))
