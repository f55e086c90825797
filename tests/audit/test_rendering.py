"""Reports as HTML, as Markdown and in a notebook: what a reader gets, and what it must not hold."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skcfq import ActionSet, TableEncoder
from skcfq.audit import AuditReport, audit_recourse
from skcfq.datasets import make_credit
from skcfq.exceptions import OptionalDependencyError

EVIL = '<script>alert("x")</script>|a*b\n# c'
SPACE = "\N{NO-BREAK SPACE}"
VOID = {"meta", "br", "hr", "img", "link", "input"}
SECTIONS = ["verdict", "models", "figures", "groups", "limits", "lost", "reasons"]
SECTIONS += ["gaps", "remedies", "notes", "check"]


def _audit(n, **parameters):
    credit = make_credit(n, random_state=0)
    X, y = credit.data, credit.target
    models = [
        make_pipeline(TableEncoder(), LogisticRegression(C=c, max_iter=500)).fit(X, y)
        for c in (1.0, 0.01)
    ]
    given = {"sensitive_features": ["sex", "housing"], "min_group_size": 60} | parameters
    rules, target = credit.action_set, credit.favorable
    return audit_recourse(*models, X, y, action_set=rules, target=target, **given)


@pytest.fixture(scope="module")
def report():
    return _audit(700)


@pytest.fixture(scope="module")
def html(report):
    return report.to_html()


class _Page(HTMLParser):
    """Reads a page strictly: every element is closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), tag
        self.tags.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))

    def all(self, name):
        return [attrs for tag, attrs, _ in self.tags if tag == name]

    def texts_of(self, name):
        return [data for path, data in self.texts if path and path[-1] == name]


@pytest.fixture(scope="module")
def page(html):
    return _Page(html)


def test_the_page_is_well_formed_and_stands_alone(page, html):
    assert html.startswith("<!DOCTYPE html>\n")
    assert page.all("html") == [{"lang": "en"}] and page.all("title")
    ids = [attrs["id"] for _, attrs, _ in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs, _ in page.tags:
        assert tag not in ("script", "iframe", "link", "object", "embed", "base", "form")
        for name, value in attrs.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href", "srcset", "action", "data"):
                inside = value.startswith("#") and value[1:] in ids
                assert inside or (tag == "image" and value.startswith("data:image/png;base64,"))
            if name in ("aria-labelledby", "aria-describedby"):
                assert set(value.split()) <= set(ids)
    outside = [one for one in re.findall(r"https?://[^\s\"<]*", html) if "www.w3.org" not in one]
    assert outside == [] and "@import" not in html
    assert set(re.findall(r"url\((.)", html)) <= {"#"}


def test_the_page_can_be_used_by_keyboard_and_screen_reader(page):
    levels = [int(tag[1]) for tag, _, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels == [1] + [2] * len(SECTIONS)
    assert [attrs["id"] for attrs in page.all("section")] == SECTIONS
    body = [tag for tag, _, path in page.tags if "body" in path]
    assert body[0] == "a"
    assert page.all("a")[0] == {"class": "skip", "href": "#content"}
    assert [attrs["id"] for attrs in page.all("main")] == ["content"]
    tables = page.all("table")
    assert len(tables) >= 12 and len(tables) == len(page.all("caption"))
    assert all(attrs["scope"] in ("col", "row") for attrs in page.all("th"))
    boxes = [attrs for attrs in page.all("div") if "scroll" in attrs.get("class", "").split()]
    assert len(boxes) == len(tables) and all(box["tabindex"] == "0" for box in boxes)
    # The rows of all SVG stand for one image each, with words for it.
    images = page.all("svg")
    assert len(images) == 8 == len(page.all("figure"))
    assert all(one["role"] == "img" and one["aria-labelledby"] for one in images)


def _contrast(first, second):
    def light(color):
        parts = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722] + 0.05

    low, high = sorted((light(first), light(second)))
    return high / low


def test_colors_can_be_told_apart_in_light_dark_and_print(html):
    found = re.findall(r":root \{([^}]*)\}", html)
    assert len(found) == 3
    for block in found:
        colors = dict(re.findall(r"--(\w+): (#\w{6})", block))
        for name in ("ink", "link"):
            assert _contrast(colors[name], colors["paper"]) >= 7
            assert _contrast(colors[name], colors["soft"]) >= 4.5
        assert _contrast(colors["line"], colors["paper"]) >= 3


def test_numbers_are_those_of_the_report(report, html):
    text = report.to_markdown()
    people, drop = report.people, report.figures.loc["validity_drop"]
    refused = int((~people["accepted_reference"]).sum())
    assert f"refuses {refused} of 700 people" in html
    shown = f"{100 * drop['value']:.1f}{SPACE}%"
    said = f"{len(report.lost)} of these {drop['n']} pieces of advice no longer work"
    assert f"{said} under the deployed model: {shown}" in html
    for name, what in (("signed", "it {} on average"), ("ratio", "The sum of all prices {}")):
        change = report.figures.loc[f"recourse_gap_{name}", "value"]
        way = f"{'rises' if change > 0 else 'falls'} by {100 * abs(change):.1f}{SPACE}%"
        assert what.format(way) in html
    rows = _rows(text)
    for name, label in (
        ("agreement", "People whom both models decide alike"),
        ("validity_drop", "Advice that the deployed model does not honor"),
    ):
        value, low, high = (
            100 * report.figures.loc[name, end] for end in ("value", "lower", "upper")
        )
        ends = f"{low:.1f}{SPACE}% to {high:.1f}{SPACE}%"
        n = report.figures.loc[name, "n"]
        assert [label, f"{value:.1f}{SPACE}%", ends, f"{n}"] in rows
    for (feature, group), row in report.limits.iterrows():
        shares = [f"{100 * row[end]:.1f}{SPACE}%" for end in ("rate", "limit")]
        counts = [f"{row[name]:.0f}" for name in ("n_people", "n_failures")]
        assert [group, feature or "–", *counts, *shares] in rows
    for label, row in report.lost.iterrows():
        ((name, old, new), *_) = row["changes"]
        (found,) = [one for one in rows if one[0] == str(label) and "→" in one[1]]
        old, new = (f"{one:g}" if isinstance(one, float) else str(one) for one in (old, new))
        assert found[1].startswith(f"{name}: {old} → {new}".replace("_", r"\_"))
        assert found[2] == f"{row['cost']:.4g}"
    assert report.to_dict()["digest"] in html and report.to_dict()["digest"] in text


def _rows(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\) \| ", line[2:-2]) for line in lines]


def _tables(text):
    return re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)


def test_markdown_has_the_same_tables_and_each_is_a_table(report, page):
    text = report.to_markdown()
    tables = _tables(text)
    assert len(tables) == len(page.all("table"))
    for table in tables:
        lines = table.splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
        assert set(lines[1]) <= set("| -:") and len(lines) >= 3
    n_rows = sum(len(table.splitlines()) - 2 for table in tables)
    assert n_rows == len([1 for tag, _, path in page.tags if tag == "tr" and "tbody" in path])
    assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1
    assert len(re.findall(r"^## ", text, flags=re.MULTILINE)) == len(SECTIONS)


def test_it_is_the_same_each_time_and_after_reading(report, html):
    read = AuditReport.read(report.to_json())
    assert report.to_html() == html == read.to_html()
    assert report.to_markdown() == read.to_markdown()
    assert report._repr_html_() == read._repr_html_()


def test_files_hold_what_is_returned(report, html, tmp_path):
    assert report.to_html(tmp_path / "a.html") is None
    assert report.to_markdown(str(tmp_path / "a.md")) is None
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == html
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == report.to_markdown()


@pytest.fixture(scope="module")
def evil():
    """A report in which every text of the user is markup."""
    X = pd.DataFrame({EVIL: np.random.default_rng(0).normal(size=80), "level": [EVIL, "b"] * 40})
    sums = X[EVIL] + (X["level"] == "b")
    models = [
        make_pipeline(TableEncoder(), LogisticRegression()).fit(X, np.where(sums > t, EVIL, "no"))
        for t in (0.5, 1.0)
    ]
    return audit_recourse(
        *models,
        X.assign(id=[f"{EVIL}{i}" for i in range(80)]),
        action_set=ActionSet(),
        target=EVIL,
        sensitive_features={EVIL: [EVIL, "other"] * 40, "x": ["<b>1</b>", "2"] * 40},
        min_group_size=25,
        person="id",
    )


def test_texts_of_the_user_are_no_markup(evil):
    evil = replace(
        evil, notes=[EVIL + "\0"], environment={EVIL: EVIL}, protocol={"reference": "\0" + EVIL}
    )
    assert len(evil.lost)
    for text in (evil.to_html(), evil._repr_html_()):
        page = _Page(text)
        assert not page.all("script") and not page.all("b")
        assert "<script" not in text and "\x00" not in text
    seen = " ".join(data for path, data in _Page(evil.to_html()).texts if path and path[-1] == "td")
    assert '<script>alert("x")</script>|a*b # c' in seen
    text = evil.to_markdown()
    assert "<script" not in text and "\x00" not in text
    assert not re.search(r"^# c", text, flags=re.MULTILINE)
    for table in _tables(text):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def _many(report, n):
    """Return a report on so many people, all of whom lost long advice."""
    one = report.lost.iloc[[0]].drop(columns=[*report.sensitive.columns, "reason"])
    people = pd.concat([one] * n).set_axis([f"person {i}" for i in range(n)])
    people["changes"] = [[(f"feature {k}" * 9, "a" * 90, "b" * 90) for k in range(30)]] * n
    sensitive = pd.concat([report.sensitive.iloc[[0]]] * n).set_axis(people.index)
    return replace(report, people=people, sensitive=sensitive, losses={})


def test_the_page_stays_small_and_says_who_is_not_listed(report):
    many = _many(report, 10_000)
    text = many.to_html()
    assert len(text.encode()) < 1_000_000
    (said,) = re.findall(r"no longer works\. ([\d,]+) are listed.*The other ([\d,]+)", text)
    listed, others = (int(number.replace(",", "")) for number in said)
    assert listed + others == 10_000
    assert len(re.findall(r'<th scope="row">person \d+</th>', text)) == listed > 100
    assert "are in the JSON of this audit" in text


def test_as_many_people_are_listed_as_asked_for(report):
    n = len(report.lost)
    assert n > 5
    for most in (0, 5, n):
        text = report.to_html(max_people=most)
        assert f"{min(most, n)} are listed" in text
        assert (f"The other {n - most} are in the JSON" in text) == (most < n)
    with pytest.raises(ValueError, match="max_people"):
        report.to_markdown(max_people=-1)


@pytest.mark.slow
def test_ten_thousand_people():
    report = _audit(10_000)
    text = report.to_html()
    _Page(text)
    assert len(text.encode()) < 1_000_000
    assert "500 are listed" in text and len(report.lost) > 500


def test_groups_that_are_too_small_and_notes_are_named(report):
    small = [{"feature": "sex", "group": "other", "n": 3}]
    text = replace(report, small_groups=small, notes=["Beware."]).to_html()
    assert "Beware." in text
    assert "sex = other has 3 people, fewer than 60: named, and not scored." in text


def test_without_groups_and_without_advice():
    alone = _audit(200, sensitive_features=None)
    text = alone.to_html()
    assert "No group was scored" in text and "nothing to compare" in text
    kind = alone.people["accepted_reference"].to_numpy()
    credit = make_credit(200, random_state=0)
    model = make_pipeline(TableEncoder(), LogisticRegression()).fit(credit.data, credit.target)
    accepted = credit.data[kind & (model.predict(credit.data) == credit.favorable)]
    nobody = audit_recourse(
        model, model, accepted, action_set=credit.action_set, target=credit.favorable
    )
    _Page(nobody.to_html())
    assert "There is no advice that could be kept or lost." in nobody.to_markdown()
    assert "All advice still works" in nobody.to_markdown()


def test_labels_alone_have_no_margins(report):
    people = report.people.assign(margin_deployed=np.nan)
    text = replace(report, people=people).to_html()
    assert text.count("<svg") == 7 and "Target margin" not in text


def test_validity_price_and_direction_never_share_a_picture(html):
    words = {"no longer works": "validity", "change of the price": "price", "cosine": "direction"}
    titles = re.findall(r"<svg.*?<title[^>]*>(.*?)</title>", html, flags=re.DOTALL)
    about = [{kind for word, kind in words.items() if word in title} for title in titles]
    assert [kinds for kinds in about if len(kinds) > 1] == []
    assert sum(map(len, about)) == 6


def test_no_figure_stays_open(report):
    plt = pytest.importorskip("matplotlib.pyplot")
    before = plt.get_fignums()
    with plt.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert report.to_html() == report.to_html()
    assert plt.get_fignums() == before


def test_the_users_style_changes_nothing(report, html):
    plt = pytest.importorskip("matplotlib.pyplot")
    with plt.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert report.to_html() == html


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_what_is_not_installed_is_named_with_the_remedy(report, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OptionalDependencyError, match=rf"{package}.*skcfq\[report\]"):
        report.to_html()
    if package == "jinja2":
        assert report._repr_html_() is None
    else:
        assert "# Recourse audit" in report.to_markdown()
