"""Rules, files of rules, and the map between tables and matrices."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from expected import Parameter, anything, choice, flag, real, refused, whole
from odd_values import COMMON, CONTAINERS, SCALARS, Odd, deep, inside, literal
from sklearn.preprocessing import StandardScaler
from tables import ODD_TABLES, ODD_WEIGHTS, folder, people, rules, space
from verdicts import Subject

from skcfq import ActionSet, FeatureSpace, TableEncoder

NUMBER, TEXT = "income", "grade"
# What an error about a table may speak of.
TABLE = ("column", "row", "table", "feature", "X")
CONSTRAINTS = [
    "",
    "income",
    "income <=",
    "<= 3",
    "income < 3",
    "income <= 3 <= 4",
    "income ** 2 <= 3",
    "income <= nan",
    "income <= inf",
    "1e400 * income <= 3",
    "1e300 * income <= 1e-300",
    "income <= 10 ** 9",
    "job == 'cook",
    "`job == 3",
    "job == `cook`",
    "job == '`cook`'",
    "jobs == 'cook'",
    "job == 'actor'",
    "job <= 3",
    "if job == 'cook' income <= 3",
    "if then",
    "if if then then",
    "changes(job)",
    "changes()",
    "changes(x)",
    "stays(income",
    "income <= 3 # 4",
    "income <= 3; x",
    "__import__('os').system('true')",
    "income.real <= 3",
    "income[0] <= 3",
    "lambda: 1",
    "0 * income <= 1",
    "income - income <= 1",
    "income == income",
    "1 <= 2",
    "ｉncome <= 3",
    "income <= 3 and loans <= 3",
    "not income <= 3",
    "income <= 3 or loans <= 3",
    "income\n<= 3",
    "(" * 500 + "income" + ")" * 500 + " <= 3",
    " + ".join(["income"] * 5000) + " <= 3",
    "job in []",
    "job in 'cook'",
    "job in ['cook'",
    "job not in ['cook', 'clerk', 'pilot']",
    "income <= 1_000",
    "income <= 0x10",
    "income <= 1j",
    "income <= True",
    "--income <= 3",
    "income <= 3\x00",
]


def subjects() -> list[Subject]:
    """Return what is attacked here."""
    return [
        Subject("ActionSet", _compile, _rule_parameters()),
        Subject(
            "ActionSet.validate",
            lambda **p: rules().validate(**{"X": people()} | p),
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "space": refused_but(FeatureSpace, words=TABLE),
            },
        ),
        Subject(
            "ActionSet.compile",
            lambda **p: rules().compile(**{"space": space()} | p),
            {"space": refused()},
        ),
        Subject(
            "ActionSet.from_dict",
            lambda **p: ActionSet.from_dict(**{"data": rules().to_dict()} | p),
            {"data": anything(*_odd_data(), words=("schema", "key", "version", *_RULES))},
        ),
        Subject(
            "ActionSet.from_file",
            lambda **p: ActionSet.from_file(**{"path": _written()} | p),
            {"path": refused(*_odd_files(), words=PATH)},
        ),
        Subject(
            "ActionSet.to_file",
            lambda **p: rules().to_file(**{"path": folder() / "out.toml"} | p),
            {"path": refused(*odd_paths(), words=PATH)},
        ),
        Subject(
            "FeatureSpace.from_frame",
            lambda **p: FeatureSpace.from_frame(**{"X": people()[["age", "income", "loans"]]} | p),
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
            },
        ),
        Subject(
            "FeatureSpace.from_encoder",
            lambda **p: FeatureSpace.from_encoder(
                **{"encoder": TableEncoder().fit(people()), "X": people()} | p
            ),
            {
                "encoder": refused(words=("step", "fitted", "estimator")),
                "X": anything(*ODD_TABLES, words=TABLE),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
            },
        ),
        Subject(
            "FeatureSpace.encode",
            lambda **p: space().encode(**{"X": people()} | p),
            {"X": anything(*ODD_TABLES, words=TABLE), "copy": flag()},
        ),
        *_of_spaces(),
        Subject(
            "FeatureSpace.decode",
            lambda **p: space().decode(**{"Z": space().encode(people()), "X": people()} | p),
            {
                "Z": anything(
                    Odd("a row less", lambda: space().encode(people())[1:]),
                    Odd("all NaN", lambda: space().encode(people()) * np.nan),
                    Odd("1e300", lambda: space().encode(people()) + 1e300),
                    words=("encoded", "row"),
                ),
                "X": anything(*ODD_TABLES, words=TABLE),
            },
        ),
        Subject(
            "FeatureSpace.from_dict",
            lambda **p: FeatureSpace.from_dict(**{"data": space().to_dict()} | p),
            {"data": anything(*_odd_spaces(), words=("space", "block"))},
        ),
        Subject(
            "FeatureSpace.block",
            lambda **p: space().block(**{"name": "income"} | p),
            {"name": refused_names(words=("column",))},
        ),
        Subject(
            "FeatureSpace.with_statistics",
            lambda **p: space().with_statistics(**{"level": "full"} | p),
            {"level": choice("none", "bounds", "full")},
        ),
        Subject(
            "TableEncoder.fit",
            lambda **p: TableEncoder().fit(**{"X": people()} | p).transform(people().head(2)),
            {
                "X": anything(*ODD_TABLES, words=TABLE),
                "y": anything(),
                "sample_weight": anything(*ODD_WEIGHTS, words=("weight",)),
            },
        ),
        Subject(
            "TableEncoder.transform",
            lambda **p: TableEncoder().fit(people()).transform(**{"X": people()} | p),
            {"X": anything(*ODD_TABLES, words=TABLE)},
        ),
    ]


def _of_spaces() -> list[Subject]:
    """Return what is asked of a map that is there."""
    numbers = people()[["age", "income", "loans"]]
    outer, inner = StandardScaler().fit(numbers), FeatureSpace.from_frame(np.zeros((5, 3)))
    rows = anything(*ODD_TABLES, words=TABLE)
    weights = anything(*ODD_WEIGHTS, words=("weight",))
    return [
        Subject(
            "FeatureSpace.behind",
            lambda **p: inner.behind(**{"encoder": outer, "X": numbers} | p),
            {
                "encoder": refused(words=("step", "fitted", "estimator")),
                "X": rows,
                "sample_weight": weights,
            },
        ),
        Subject(
            "FeatureSpace.described_by",
            lambda **p: space().described_by(**{"X": people()} | p),
            {"X": rows, "sample_weight": weights},
        ),
        Subject(
            "FeatureSpace.columns_of",
            lambda **p: space().columns_of(**{"X": people()} | p),
            {"X": rows},
        ),
        Subject(
            "FeatureSpace.position",
            lambda **p: space().position(**{"name": "income"} | p),
            {"name": refused_names(words=("column",))},
        ),
        Subject(
            "FeatureSpace.same_map",
            lambda **p: space().same_map(**{"other": space()} | p),
            {"other": anything()},
            lambda same: None if same in (True, False) else f"is {same!r}",
        ),
        Subject(
            "TableEncoder.get_feature_names_out",
            lambda **p: TableEncoder().fit(people()).get_feature_names_out(**p),
            {"input_features": anything(*literal(list(people()), ["a"] * 5))},
        ),
    ]


PATH = (
    "file",
    "path",
    "Path",
    "directory",
    "extension",
    "rules",
    "TOML",
    "JSON",
    "toml",
    "null byte",
)
_HEAD = {"schema": "skcfq/action-set", "version": 1}
_RULES = tuple(ActionSet().get_params())


def refused_but(kind: type, *, words: tuple[str, ...] = ()) -> Parameter:
    """Return a parameter that takes None or one class."""
    return Parameter(lambda value: None if value is None else False, words=words)


def refused_names(*, words: tuple[str, ...] = ()) -> Parameter:
    """Return a parameter that takes the name of a column, or its position."""

    def expects(value: Any) -> bool | None:
        return None if isinstance(value, int | np.integer | bool) else False

    return Parameter(expects, words=words)


def odd_paths() -> list[Odd]:
    """Return paths that cannot be written."""
    return [
        *literal("", ".", "/", "/nowhere/file.toml", "file.nothing", "a\x00b.toml", "x" * 5000),
        Odd("a folder", folder),
        Odd("under a file", lambda: _written() / "below.toml"),
    ]


def _compile(**parameters: Any) -> Any:
    """Check the rules as a solver does, and as a file does."""
    action_set = ActionSet(**parameters)
    return action_set.compile(space())


def _rule_parameters() -> dict[str, Parameter]:
    one_way = inside(lambda v: [v], "[{}]") + inside(lambda v: ["income", v], "['income', {}]")
    columns = literal(["nope"], ["income", "income"], [["income"]], "income", ["job"], ["age"])
    names = anything(*columns, *one_way)
    numbers = _by_name(inside(lambda v: v, "{}", COMMON), NUMBER)
    pairs = [
        *numbers,
        *inside(lambda v: {NUMBER: (v, 10)}, "{'income': ({}, 10)}"),
        *inside(lambda v: {NUMBER: (10, v)}, "{'income': (10, {})}"),
        *literal({NUMBER: (3, 2)}, {NUMBER: (1, 2, 3)}, {"nope": (1, 2)}, {"job": (1, 2)}),
    ]
    levels = [
        *_by_name(COMMON, TEXT),
        *inside(lambda v: {TEXT: ["low", v]}, "{'grade': ['low', {}]}"),
        *inside(lambda v: {NUMBER: [1, v]}, "{'income': [1, {}]}"),
        *literal({TEXT: ["low", "low"]}, {"nope": ["low"]}, {TEXT: ["low", "mid"]}),
        Odd("20,000 levels", lambda: {NUMBER: list(range(20_000))}),
    ]
    moves = [
        *_by_name(COMMON, "job"),
        *inside(lambda v: {"job": {"cook": v}}, "{'job': {'cook': {}}}", COMMON),
        *inside(lambda v: {"job": {v: ["cook"]}}, "{'job': {{}: ['cook']}}"),
        *literal({"job": {"cook": ["actor"]}}, {NUMBER: {1: [2]}}, {"nope": {}}),
    ]
    groups = [
        *_by_name(COMMON, "group"),
        *literal(
            {"g": ["age", "loans"]}, {"g": ["job", "grade"]}, {"g": ["nope"]}, {"job": ["age"]}
        ),
    ]
    follows = [
        *_by_name(COMMON, "age"),
        *inside(lambda v: {"age": {"loans": v}}, "{'age': {'loans': {}}}", COMMON),
        *inside(lambda v: {"age": {"job": {"cook": v}}}, "{'age': {'job': {'cook': {}}}}"),
        *literal({"age": {"age": 1}}, {"nope": {"loans": 1}}, {"age": {"nope": 1}}),
    ]
    texts = [
        *inside(lambda v: [v], "[{}]", COMMON),
        *(Odd(f"[{text[:40]!r}]", lambda text=text: [text]) for text in CONSTRAINTS),
    ]
    found = {
        "immutable": names,
        "increasing": names,
        "decreasing": names,
        "bounds": anything(*pairs, *literal({NUMBER: "x"}, {NUMBER: "observed"})),
        "relative_bounds": anything(*pairs),
        "quantile_bounds": anything(*pairs, *literal({NUMBER: (0.2, 0.9)})),
        "steps": anything(*numbers),
        "ordinal": anything(*levels),
        "transitions": anything(*moves),
        "one_hot": anything(*groups),
        "min_change": anything(*numbers),
        "max_change": anything(*numbers),
        "constraints": anything(*texts),
        "implied": anything(*follows),
        "max_changes": whole(1, optional=True),
        "actionable": names,
        "cost": choice("l1", "l2", "mixed"),
        "cost_weights": anything(
            *numbers, *literal("std", "mad", "uniform", [1.0] * 4, [1.0] * 9), words=("weight",)
        ),
        "cost_mix": real(0, 1),
    }
    return found


def _by_name(values: list[Odd], name: str) -> list[Odd]:
    return inside(lambda v: {name: v}, f"{{{name!r}: {{}}}}", values)


def _odd_data() -> list[Odd]:
    entries = [
        odd
        for rule in _RULES
        for odd in inside(
            lambda v, rule=rule: _HEAD | {rule: v},
            "{'" + rule + "': {}}",
            [*SCALARS[1:6], *CONTAINERS[-3:]],
        )
    ]
    head = [
        *literal({"schema": 3, "version": 1}, {"schema": "skcfq/action-set"}, {"version": 1}),
        *inside(lambda v: {"schema": "skcfq/action-set", "version": v}, "version {}", SCALARS[2:]),
    ]
    nested = [
        Odd("a list, 50,000 deep", lambda: _HEAD | {"immutable": deep(list, 50_000)}),
        Odd("a dict, 50,000 deep", lambda: _HEAD | {"bounds": deep(dict, 50_000)}),
    ]
    return [*head, *nested, *(odd for odd in entries if "max_changes': 1" not in odd.name)]


def _written() -> Any:
    path = folder() / "rules.toml"
    if not path.exists():
        rules().to_file(path)
    return path


def _odd_files() -> list[Odd]:
    contents = {
        "empty": b"",
        "zeros": bytes(100),
        "no text": b"\xff\xfe\x00" * 20,
        "another schema": b'schema = "x"\nversion = 1\n',
        "no rules": b'schema = "skcfq/action-set"\nversion = 1\n',
        "half a table": b'schema = "skcfq/action-set"\nversion = 1\n[bounds\n',
        "deep lists": b'schema = "skcfq/action-set"\nversion = 1\nimmutable = ' + b"[" * 20_000,
        "deep json": b"[" * 100_000,
        "a huge number": b'schema = "skcfq/action-set"\nversion = 1\nmax_changes = ' + b"9" * 5000,
        "infinite steps": b'schema = "skcfq/action-set"\nversion = 1\n[steps]\nincome = inf\n',
    }

    def write(name: str, content: bytes, ending: str) -> Any:
        path = folder() / f"{name.replace(' ', '-')}.{ending}"
        path.write_bytes(content)
        return path

    return [
        *odd_paths(),
        *(
            Odd(f"{name} ({ending})", lambda n=name, c=content, e=ending: write(n, c, e))
            for name, content in contents.items()
            for ending in ("toml", "json")
        ),
    ]


def _odd_spaces() -> list[Odd]:
    """Return the data of a space with one entry replaced, at every place down to the third."""

    def replaced(path: tuple, value: Any) -> Any:
        data = json.loads(json.dumps(space().to_dict()))
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return data

    def paths(data: Any, depth: int) -> list[tuple]:
        if depth == 0 or not isinstance(data, dict | list):
            return []
        items = data.items() if isinstance(data, dict) else enumerate(data[:2])
        return [
            path
            for key, inner in items
            for path in [(key,), *((key, *p) for p in paths(inner, depth - 1))]
        ]

    return [
        Odd(f"{path} is {value!r}", lambda path=path, value=value: replaced(path, value))
        for path in paths(space().to_dict(), 3)
        for value in ("x y", -1.5, None, [], {})
    ]
