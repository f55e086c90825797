"""Find recourse for the people of a table, and write the advice."""

from __future__ import annotations

import argparse

from skcfq.command_line._arguments import (
    add_dry_run,
    add_people,
    add_trust,
    at_least_zero,
    check_outputs,
)
from skcfq.command_line._labels import with_labels
from skcfq.command_line._model_files import ModelFile
from skcfq.command_line._outcomes import PASSED, Refused
from skcfq.command_line._people import People, check_people, read_rules


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be given."""
    parser.add_argument("--model", required=True, metavar="MODEL", help="who decides")
    add_people(parser)
    parser.add_argument(
        "--margin", type=at_least_zero, metavar="LOGITS", help="beyond the boundary"
    )
    parser.add_argument("--alternatives", type=int, default=1, metavar="N", help="for each person")
    parser.add_argument("--random-state", type=int, default=0, metavar="SEED")
    parser.add_argument("--out", required=True, metavar="FILE", help="write the advice (JSON)")
    add_trust(parser)
    add_dry_run(parser)


def run(arguments: argparse.Namespace) -> int:
    """Solve, write the advice, and return the exit code."""
    check_outputs(out=arguments.out)
    file = ModelFile.checked(arguments.model, trusted=arguments.trust)
    if arguments.dry_run:
        header = check_people(arguments)
        read_rules(arguments.actions)
        print(f"would read the model {file.path} ({file.kind})")
        print(f"would ask about the people in {arguments.data} ({len(header)} columns)")
        print(f"would let them do what {arguments.actions or 'the model carries'} says")
        print(f"would write {arguments.out}")
        return PASSED
    people, model = People.read(arguments), file.load()
    rows = people.rows_for([model], arguments.person)
    model = with_labels(model, arguments.classes, people.rows_of(rows))
    target = people.target(arguments.target, model, rows)
    if arguments.person is not None:
        rows = rows.set_index(people.table[arguments.person])
        if not rows.index.is_unique:
            raise Refused(f"--person: {arguments.person} does not tell people apart.")
    from skcfq.models import carried_action_set
    from skcfq.solvers import RecourseSolver

    solver = RecourseSolver(
        people.rules,
        target=target,
        margin="auto" if arguments.margin is None else arguments.margin,
        n_alternatives=arguments.alternatives,
        random_state=arguments.random_state,
    )
    if people.rules is None and carried_action_set(model) is None:
        print("note: no rules were given, and the model carries none: all columns may change")
    background = people.rows_of(rows)
    result = solver.solve(model, rows, background=background, keep_partial=False)
    result.to_json(arguments.out)
    told, denied = int(result.reachable.sum()), int(result.denied.sum())
    print(f"{len(result)} people, {denied} refused, {told} with advice: {arguments.out}")
    ignored = [c for c in people.table.columns if c not in {*rows.columns, arguments.person}]
    ignored += people.left_out
    if ignored:
        print(f"columns that the model does not read: {', '.join(ignored)}")
    return PASSED
