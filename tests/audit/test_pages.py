"""The reports of four pairs, as who decides opens them: on a desk, a phone, and on paper."""

from __future__ import annotations

import importlib.util
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import browser
import numpy as np
import pytest
from sklearn.utils import Bunch

from skcfq import RecourseSolver
from skcfq.audit import audit_issued
from skcfq.datasets import make_credit

EXAMPLE = Path(__file__).parents[2] / "examples" / "audit_four_pairs.py"
WIDTHS = [1200, 390]
REPORTS = ["float32", "int8", "scorecard", "pruned", "cfq"]
VOID = {"meta", "br", "hr", "img", "link", "input"}

needs_browser = pytest.mark.skipif(browser.CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def example():
    if not EXAMPLE.exists():
        pytest.skip("the examples are not installed")
    pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxruntime")
    spec = importlib.util.spec_from_file_location("audit_four_pairs", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(example, tmp_path_factory):
    """Return the pages by name: five reports, one on advice that was given, and a letter."""
    folder = tmp_path_factory.mktemp("models")
    credit = make_credit(400, random_state=0)
    people = Bunch(**{**credit, "test_indices": credit.test_indices[:60]})
    pairs = example.four_pairs(people, folder, max_iter=2)
    made = {name: example.audit(people, pair, 60).to_html() for name, pair in pairs.items()}
    assert list(made) == REPORTS
    given = {"background": credit.data.iloc[credit.train_indices]}
    solver = RecourseSolver(credit.action_set, target="granted", margin=0.1, random_state=0)
    reference, card = pairs["scorecard"]
    advice = solver.solve(reference, credit.data.iloc[people.test_indices], **given)
    issued = audit_issued(advice, card, valid_until="2026-12-31", on="2026-06-30", **given)
    letters = advice.letters(format="html", valid_until="2026-12-31")
    return made | {"issued": issued.to_html(), "letter": letters.iloc[0]}


class _Page(HTMLParser):
    """Reads a page strictly: every element is closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        # A page has no title on paper, and neither have pictures.
        if not {"style", "title", "desc", "nav", "metadata"} & set(self.open):
            self.words.append(data)


@pytest.mark.parametrize("name", [*REPORTS, "issued", "letter"])
def test_a_page_says_what_its_parts_are(pages, name):
    page = _Page(pages[name])
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in page.tags:
        assert tag not in ("script", "iframe", "link", "object", "embed", "base", "form")
        for key in ("aria-labelledby", "aria-describedby"):
            assert set(attrs.get(key, "").split()) <= set(ids)
        for key in ("href", "src", "xlink:href"):
            value = attrs.get(key, "#")
            inside = value.startswith(("#", "data:image/png;base64,"))
            assert inside and (len(value) == 1 or value[0] != "#" or value[1:] in ids)
        if tag == "svg":
            assert attrs["role"] == "img" and attrs["aria-labelledby"]
        if tag == "th":
            assert attrs["scope"] in ("col", "row")
    count = {tag: sum(one == tag for one, _ in page.tags) for tag in ("table", "caption", "html")}
    assert count["table"] == count["caption"] and count["html"] == 1
    (language,) = [attrs for tag, attrs in page.tags if tag == "html"]
    assert language["lang"] == "en"


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_has_no_numbers_that_are_none(pages, name):
    words = " ".join(_Page(pages[name]).words)
    assert not re.search(r"\b(nan|inf|None)\b", words)
    for low, high in re.findall(r"(-?[\d.]+) to (-?[\d.]+)", words):
        assert float(low) <= float(high)


BAD = """<!DOCTYPE html><html><head></head><body style="margin: 0">
<p style="color: #999999; background: #ffffff">Pale.</p><p>{long}</p>
<div style="width: 9rem; overflow: hidden; white-space: nowrap">So long that it is cut off.</div>
<table><tr><td><div style="width: 2rem">One word a line it is</div></td></tr></table>
<img src="https://example.org/a.png" alt=""><script>missing()</script></body></html>"""


@needs_browser
def test_what_is_wrong_with_a_page_is_seen(tmp_path):
    bad = BAD.format(long="Donaudampfschiff" * 12)
    told, console = browser.measured({"bad": bad}, WIDTHS, tmp_path)
    phone = told["bad", 390]
    assert len(console) >= 1 and "missing is not defined" in "".join(console)
    assert phone["scrolls"] > 390 and "P" in phone["wide"] and phone["cut"] == ["DIV"]
    assert phone["narrow"] == ["One word a line it is"]
    assert phone["requests"] == ["https://example.org/a.png"]
    assert min(browser.contrast(*pair) for pair in phone["colors"]) < 3


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_sticks_out_and_every_text_can_be_read(pages, tmp_path, dark):
    told, console = browser.measured(pages, WIDTHS, tmp_path, dark=dark)
    assert console == []
    assert set(told) == {(name, width) for name in pages for width in WIDTHS}
    backs = set()
    for place, one in told.items():
        assert one["scrolls"] <= one["width"], place
        assert one["wide"] == one["cut"] == one["requests"] == one["narrow"] == [], place
        for color, back in one["colors"]:
            assert browser.contrast(color, back) >= 4.5, (place, color, back)
            backs.add(browser.contrast(back, "#ffffff") > 10)
    assert backs == ({False, True} if dark else {False})


@needs_browser
@pytest.mark.skipif(browser.PDFTOTEXT is None, reason="no pdftotext here")
@pytest.mark.parametrize("name", ["int8", "issued", "letter"])
def test_paper_has_all_words_and_cuts_none(pages, tmp_path, name):
    boxes, letters = browser.printed(pages[name], tmp_path)
    left, top, right, bottom = np.array(boxes).T
    assert left.min() > 0.01 and top.min() > 0.01 and right.max() < 0.99 and bottom.max() < 0.99
    assert len(letters) >= _letters_of(pages[name])


@needs_browser
@pytest.mark.skipif(browser.PDFTOTEXT is None, reason="no pdftotext here")
def test_what_paper_has_no_room_for_is_seen(tmp_path):
    wide = f"<html><body><p style='white-space: nowrap'>{'word ' * 60}</p></body></html>"
    boxes, letters = browser.printed(wide, tmp_path)
    assert np.array(boxes)[:, 2].max() > 0.99 or len(letters) < _letters_of(wide)


def _letters_of(text):
    """Return how many letters paper has at least: heads of tables come again on each sheet."""
    words = "".join(_Page(text).words).replace("Skip to the report", "")
    return len(re.sub(r"\s", "", words))
