"""Rules and prices in words: what a rule says, nothing left out."""

from __future__ import annotations

from skcfq import ActionSet
from skcfq.audit._rule_words import prices_in_words, rules_in_words


def test_every_rule_is_told():
    rules = ActionSet(
        immutable=["age"],
        increasing=["savings"],
        bounds={"hours": (10, 60), "savings": (0, None), "debt": (None, 9), "rate": "observed"},
        relative_bounds={"loan": (-10, 20)},
        quantile_bounds={"income": (0.01, 0.99)},
        steps={"hours": 5},
        min_change={"income": 50.5},
        max_change={"income": 900},
        ordinal={"school": ["none", "bachelor", "master"]},
        transitions={"job": {"a": ["b", "c"], "b": ["a", "c"], "c": ["b", "a"], "d": ["a"]}},
        constraints=["debt <= income"],
        implied={"age": {"school": 2}},
        max_changes=3,
    ).to_dict()
    told = rules_in_words(rules)
    assert ["(all of them)", "at most 3 may change"] in told
    assert ["(all of them)", "debt <= income"] in told
    said = {name: text for name, text in told if name != "(all of them)"}
    assert said == {
        "age": 'may not change; follows from others: {"school": 2}',
        "savings": "only upward; at least 0",
        "hours": "from 10 to 60; multiples of 5",
        "debt": "at most 9",
        "rate": "within what is observed",
        "loan": "beside today's value, from -10 to 20",
        "income": "quantiles of the population, from 0.01 to 0.99; by 50.5 or more; by 900 at most",
        "school": "in the order none < bachelor < master",
        "job": "only “a” or “b” or “c”, each to any other of these; “d” → “a”",
    }


def test_levels_that_reach_others_are_told_one_by_one():
    rules = {"transitions": {"job": {"a": ["b"], "b": [], "c": ["c", "b"]}, "odd": [1]}}
    assert rules_in_words(rules) == [
        ["job", "only “a” → “b”; “b” → nothing else; “c” → “b”"],
        ["odd", "[1]"],
    ]


def test_what_is_not_known_is_shown_as_it_is():
    assert rules_in_words({"schema": "x", "version": 1, "news": {"a": 1}}) == [
        ["(news)", '{"a": 1}']
    ]


def test_prices():
    features = [
        {"name": "income", "weight": 1.0, "cost_per_raw_unit": 0.00125},
        {"name": "skewed", "weight": 2.0, "cost_per_raw_unit": None},
        {"name": "job", "weight": 1.5, "levels": ["a", "b"], "ranks": None},
        {"name": "school", "weight": 0.5, "levels": ["a", "b"], "ranks": [0, 1]},
    ]
    assert prices_in_words({"norm": "mixed", "mix": 0.25, "features": features}) == [
        [
            "(all of them)",
            "the sum over the features and the root of their sum of squares, the former with a "
            "share of 0.25",
        ],
        ["income", "0.00125 for each unit"],
        ["skewed", "2 for each spread, on a scale that is not straight"],
        ["job", "1.5 for any other value"],
        ["school", "0.5 for each step of the order"],
    ]
