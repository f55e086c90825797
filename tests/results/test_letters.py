"""Letters are plain, true, and enough: who does what the letter says gets a yes."""

from __future__ import annotations

import datetime
import re
import sys
import tomllib
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from advised_people import CHEAP, RULES, UNITS, first, solve, with_status
from sklearn.linear_model import LogisticRegression

from skcfq import ActionSet, RecourseSolver
from skcfq.exceptions import OptionalDependencyError, TargetError
from skcfq.results import IssuedAdvice
from skcfq.results._languages import shipped_languages, words_of

LABELS = {
    "grant": "granted",
    "refuse": "refused",
    "income": "Yearly income",
    "school": "Degree",
    ("school", "master"): "a master's degree",
    "red": "the red one",
}


@pytest.fixture(scope="module")
def letters(result):
    return result.letters(labels=LABELS)


def test_a_letter_reads_well(result):
    own = result.alternatives[0].valid & (result.X["age"] != result.points["age"]).to_numpy()
    row = first(result, own)
    person = result.X.index[row]
    told = result.letters(labels=LABELS, valid_until=datetime.date(2026, 12, 31)).loc[person]
    after = result.points.iloc[row]
    assert told.startswith(
        "Our decision\n\nWe have looked at your application. The outcome is “refused”, not "
        "“granted”.\n\nThe outcome would be “granted” if this changed:\n\n- "
    )
    implied = f"- age: from {result.X['age'].iloc[row]} to {after['age']} years\n"
    assert f"This follows by itself when you do so, and we have counted it in:\n\n{implied}" in told
    assert "Instead, one of these would be enough:\n\nOption 1\n\n- " in told
    number = result.provenance["model"]["fingerprint"][:12]
    assert told.endswith(
        "What this rests on\n\n"
        "- Everything else that we know of you stays as it is.\n"
        f"- We decide by the same rule as today (its number is {number}). If the rule changes, "
        "this may no longer be true.\n"
        "- This holds until 31 December 2026.\n"
    )
    assert "\n\n\n" not in told and not re.search(r"[ \t]\n", told)


def test_who_gets_a_letter(result, letters):
    assert letters.index.tolist() == result.X.index[result.denied].tolist()
    everybody = result.letters(labels=LABELS, include_granted=True)
    assert everybody.index.equals(result.X.index)
    pd.testing.assert_series_equal(everybody[result.denied], letters)
    (granted,) = set(everybody[~result.denied])
    assert granted == (
        "Our decision\n\nWe have looked at your application. The outcome is “granted”. You need "
        "not change anything.\n"
    )


def test_who_was_not_helped_is_told_the_truth(result):
    row = first(result)
    for status, said, rests in (
        ("infeasible", "It is proved that there are none.", True),
        ("not_found", "This does not prove that there are none.", False),
        ("time_limit", "We cannot say whether there are any.", False),
    ):
        lost = with_status(result, row, status)
        told = lost.letters(labels=LABELS).loc[result.X.index[row]]
        assert said in told and "would be “granted” if" not in told and "Option" not in told
        assert ("What this rests on" in told) == rests
        assert "promised" not in told and "until" not in told
    stopped = with_status(result, row, "feasible")
    told = stopped.letters(labels=LABELS).loc[result.X.index[row]]
    assert "There may be an easier way that we did not find." in told
    assert "easier" not in result.letters(labels=LABELS).loc[result.X.index[row]]


def test_everything_is_told_and_nothing_else(result, letters):
    frame = result.to_frame(details=True).dropna(subset=["feature"])
    for row in np.flatnonzero(result.reachable):
        told = letters.iloc[list(letters.index).index(result.X.index[row])]
        ranks = [result, *(other for other in result.alternatives if other.valid[row])]
        lines = re.findall(r"^ *- (.*): from (.*) to (.*)$", told, flags=re.MULTILINE)
        wanted = 0
        for answer in ranks:
            wanted += (answer.to_frame(details=True)["row"] == row).sum()
        assert len(lines) == wanted
        assert told.count("Option ") == len(ranks) - 1
        own = frame[frame["row"] == row]
        named = [LABELS.get(name, name) for name in own["feature"]]
        assert [name for name, _, _ in lines[: len(own)]] == named
    assert "a master's degree" in "".join(letters) and "the red one" in "".join(letters)


@pytest.mark.parametrize("language", ["en", "de"])
def test_whoever_does_what_the_letter_says_gets_a_yes(language):
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(200, 3)) * [1e4, 1, 1e-3], columns=["big", "mid", "small"])
    y = np.where((X / [1e4, 1, 1e-3]).sum(axis=1) > 1, "grant", "refuse")
    model = LogisticRegression(C=1e3).fit(X / [1e4, 1, 1e-3], y)
    # The columns keep their sizes, and the model is told of them in its weights.
    model.coef_ = model.coef_ / [1e4, 1, 1e-3]
    result = RecourseSolver(target="grant", cost="l2").solve(model, X, background=X)
    assert result.reachable.sum() > 50 and (result.changed.sum(axis=1) == 3).any()
    letters = result.letters(language=language)
    turn = str.maketrans({".": "", ",": "."}) if language == "de" else str.maketrans({",": ""})
    by, to = ("from", "to") if language == "en" else ("von", "auf")
    done = X.loc[letters.index].copy()
    for person, told in letters.items():
        for name, _, new in re.findall(rf"^- (\w+): {by} (\S+) {to} (\S+)$", told, re.MULTILINE):
            done.loc[person, name] = float(new.translate(turn))
    assert (done != X.loc[letters.index]).any().all()
    assert set(model.predict(done)) == {"grant"}
    assert set(model.predict(done.astype(np.float32))) == {"grant"}


def test_no_letter_has_jargon(result, letters):
    german = result.letters(language="de", labels=LABELS)
    pages = [page.split("</style>")[1] for page in result.letters(format="html", labels=LABELS)]
    everything = "\n".join([*letters, *german, *pages])
    words = r"\b(logits?|margins?|model\w*|features?|encoded|merkmal\w*|cost|validity|nan)\b"
    assert re.findall(words, everything, flags=re.IGNORECASE) == []
    assert "{" not in "\n".join([*letters, *german])


def test_german(result):
    row = first(result, result.changed[:, result.feature_names.index("income")])
    labels = {"grant": "bewilligt", "refuse": "abgelehnt", "income": "Einkommen"}
    told = result.letters(language="de", labels=labels, valid_until=datetime.date(2027, 3, 1))
    text = told.loc[result.X.index[row]]
    assert "Das Ergebnis ist „abgelehnt“, nicht „bewilligt“." in text
    old, new = (frame["income"].iloc[row] for frame in (result.X, result.points))
    assert f"- Einkommen: von {old:g} auf {new:g} kEUR\n".replace(".", ",") in text
    assert "- Das gilt bis zum 1. März 2027.\n" in text


def test_advice_that_was_read_is_written_alike(result, letters):
    read = IssuedAdvice.read(result.to_json())
    pd.testing.assert_series_equal(read.letters(labels=LABELS), letters)
    pd.testing.assert_series_equal(IssuedAdvice.of(result).letters(labels=LABELS), letters)


def test_words_for_odd_values(result):
    X = pd.DataFrame({"owner": [False, True] * 20, "n_rooms": np.arange(40) % 7})
    y = np.where(X["owner"] & (X["n_rooms"] > 2), "yes!", "no!")
    model = LogisticRegression(C=100).fit(X, y)
    answer = RecourseSolver(target="yes!", margin=0.1).solve(model, X, background=X)
    assert answer.reachable.any()
    told = "".join(answer.letters())
    assert "owner: from no to yes" in told and "n rooms: from" in told
    assert "True" not in told and "False" not in told
    gaps = X.astype({"n_rooms": float})
    row = first(answer, answer.changed[:, answer.feature_names.index("n_rooms")])
    gaps.loc[row, "n_rooms"] = np.nan
    missing = replace(answer, X=gaps).letters().loc[row]
    assert "n rooms: from not stated to" in missing


def test_decisions_need_words(people):
    X = np.arange(8.0)[:, None]
    model = LogisticRegression().fit(X, X[:, 0] > 3)
    answer = RecourseSolver(target=True).solve(model, X, background=X)
    with pytest.raises(ValueError, match="no text for the decision False"):
        answer.letters()
    told = answer.letters(labels={False: "no loan", True: "a loan"})
    assert "The outcome is “no loan”, not “a loan”" in told.loc[0]
    three = LogisticRegression().fit(X, np.repeat(["a", "b", "c"], [3, 3, 2]))
    answer = RecourseSolver(target="c").solve(three, X, background=X)
    assert "The outcome is not “c”." in answer.letters().loc[0]


def test_a_guessed_target_is_told_to_nobody(model, people):
    guessed = RecourseSolver(ActionSet(**RULES), random_state=0)
    with pytest.warns(UserWarning, match="No `target`"):
        answer = guessed.solve(model, people.head(9))
    with pytest.raises(TargetError, match="What people read needs the wanted label"):
        answer.letters()


def test_advice_without_a_margin_is_told_to_nobody(model, people):
    thin = solve(model, people.head(20), margin=0)
    with pytest.raises(ValueError, match="without any margin.*margin='auto'"):
        thin.letters()
    with pytest.raises(ValueError, match="without any margin"):
        IssuedAdvice.read(thin.to_dict()).letters()
    assert len(thin.letters(allow_thin_margin=True)) == thin.denied.sum()
    for parameters in ({}, {"margin": 0.1}, {"margin": 0, "target_proba": 0.6}):
        assert len(solve(model, people.head(20), **parameters).letters())
    # Comparisons leave the margin for single precision out.
    first_of_two, _ = RecourseSolver(ActionSet(**RULES), target="grant").compare(
        model, model, people.head(20)
    )
    with pytest.raises(ValueError, match="without any margin"):
        first_of_two.letters()
    with pytest.raises(ValueError, match="provenance is None"):
        replace(thin, provenance=None).letters()


def test_html_is_escaped_and_text_is_not(result):
    labels = LABELS | {"income": "<b>Income</b> & more"}
    page = result.letters(format="html", labels=labels)
    assert all(one.startswith('<!DOCTYPE html>\n<html lang="en">') for one in page)
    whole = "".join(page)
    assert "&lt;b&gt;Income&lt;/b&gt; &amp; more" in whole and "<b>" not in whole
    assert "<b>Income</b> & more" in "".join(result.letters(labels=labels))
    # No reference to anything outside.
    assert not re.search(r"(src|href)=|https?:", whole)


def test_own_templates(result, tmp_path):
    text = "Dear {{ person }}: {{ decision }}"
    text += "{% for c in changes %} {{ c.name }}={{ c.new }};{% endfor %}"
    row = first(result)
    person = result.X.index[row]
    told = result.letters(text, labels=LABELS).loc[person]
    assert told.startswith(f"Dear {person}: We have looked") and told.endswith(";\n")
    for suffix, name in ((".html", "&lt;i&gt;"), (".txt", "<i>")):
        path = tmp_path / f"letter{suffix}"
        path.write_text(text, encoding="utf-8")
        for given in (path, str(path)):
            letters = result.letters(given, labels=dict.fromkeys(result.feature_names, "<i>"))
            assert name in letters.loc[person]
    forced = result.letters(path, format="html", labels=dict.fromkeys(result.feature_names, "<i>"))
    assert "&lt;i&gt;" in forced.loc[person]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{% for %}", r"template \(line 1\)"),
        ("a\n{% if %}", r"template \(line 2\)"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("nowhere.txt", "cannot be read: No such file"),
        (3, "template is of type int"),
    ],
)
def test_templates_that_are_none(result, template, message):
    with pytest.raises(ValueError, match=message):
        result.letters(template)


@pytest.mark.parametrize("language", shipped_languages())
def test_languages_say_the_same(language):
    folder = files("skcfq.results").joinpath("languages")
    english, other = (
        tomllib.loads(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        for name in ("en", language)
    )
    assert list(other) == list(english)
    for key, sentence in english.items():
        if key == "months":
            assert len(set(other[key])) == 12
        else:
            assert words_of(other[key]) == words_of(sentence), key


def test_own_languages(result):
    told = result.letters(translations={"title": "Re: your application"})
    assert all(text.startswith("Re: your application\n") for text in told)
    folder = files("skcfq.results").joinpath("languages")
    whole = tomllib.loads(folder.joinpath("de.toml").read_text(encoding="utf-8"))
    own = result.letters(language="de-AT", translations=whole)
    pd.testing.assert_series_equal(own, result.letters(language="de"))
    del whole["rest"]
    with pytest.raises(ValueError, match="translations lacks 'rest'"):
        result.letters(language="fr", translations=whole)
    with pytest.raises(ValueError, match=r"'fr' is none of \['de', 'en'\]"):
        result.letters(language="fr")


@pytest.mark.parametrize(
    ("translations", "message"),
    [
        ({"nothing": "x"}, "'nothing', which no letter says"),
        ({"title": 3}, "'title' 3: give a text"),
        ({"change": "{name} is {new}"}, r"\['name', 'new'\] in braces, and has to have"),
        ({"title": "{"}, "'title' '{'"),
        ({"change": "{name!r} {old} {new}"}, "stand alone"),
        ({"months": ["May"]}, "names of twelve"),
        ([], "translations is of type list"),
    ],
)
def test_translations_that_are_none(result, translations, message):
    with pytest.raises(ValueError, match=message):
        result.letters(translations=translations)


def test_dates(result):
    for given, said in (
        ("the end of June", "until the end of June."),
        ("2026-05-04", "until 4 May 2026."),
        (datetime.datetime(2026, 5, 4, 12), "until 4 May 2026."),
        (pd.Timestamp("2026-05-04"), "until 4 May 2026."),
        (None, "- We have not promised you a date until which this holds."),
    ):
        assert said in result.letters(valid_until=given).loc[result.X.index[first(result)]]
    for odd in (3, "", pd.NaT, [2026]):
        with pytest.raises(ValueError, match="valid_until"):
            result.letters(valid_until=odd)


@pytest.mark.parametrize(
    "odd",
    [
        {"format": "pdf"},
        {"labels": ["x"]},
        {"labels": {"income": None}},
        {"units": {"wage": "EUR"}},
        {"include_granted": 1},
        {"allow_thin_margin": "no"},
        {"language": None},
    ],
    ids=str,
)
def test_parameters_that_are_none_are_named(result, odd):
    with pytest.raises(ValueError, match=next(iter(odd))):
        result.letters(**odd)


def test_without_jinja(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(OptionalDependencyError, match=r"pip install 'skcfq\[report\]'"):
        result.letters()


def test_letters_of_the_cheapest_and_of_units(result, model, people):
    assert "kEUR" in "".join(result.letters())
    assert "francs" in "".join(result.letters(units={"income": "francs"}))
    plain = solve(model, people.head(30), cost_weights=CHEAP)
    assert not any(unit in "".join(plain.letters()) for unit in UNITS.values())
