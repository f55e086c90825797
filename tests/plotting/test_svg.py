"""SVG inside a page: well-formed, the same each time, with words, and with nothing from outside."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from skcfq.plotting import CostShiftDisplay, MarginDisplay, to_svg

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


def svg_of(display, **options):
    display.plot(Figure(layout="constrained").subplots(), **options)
    return to_svg(display.figure_, title=display.title, description=display.description)


def test_an_element_with_words_and_nothing_from_outside(display):
    text = svg_of(display, show_protocol=True)
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg" and root.get("role") == "img"
    words = [root.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert [one.text for one in words] == [display.title, display.description]
    assert root.get("aria-labelledby").split() == [one.get("id") for one in words]
    links = [one.get(LINK) or one.get("href") for one in root.iter()]
    assert all(
        link[0] == "#" or link.startswith("data:image/png;base64,") for link in links if link
    )
    outside = set(re.findall(r'https?://[^"\s<]+', text))
    assert outside == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "<script" not in text and "<!DOCTYPE" not in text and "<metadata" not in text
    assert len(text) < 100_000


def test_the_same_each_time(display):
    assert svg_of(display) == svg_of(display)


def test_figures_in_one_page_have_ids_of_their_own(displays):
    ids = []
    for display in displays.values():
        text = svg_of(display)
        root = ElementTree.fromstring(text)
        own = [one.get("id") for one in root.iter() if one.get("id")]
        used = set(re.findall(r"url\(#([^)]*)\)", text)) | set(re.findall(r'href="#([^"]*)"', text))
        assert used <= set(own)
        ids += own
    assert len(ids) == len(set(ids))


def test_names_are_drawn_letter_by_letter():
    name = "<b>&\x00\x1b $x^2$ _a_"
    display = MarginDisplay.from_predictions({name: [0.5], "_b": [1.0]}, protocol="<p> & $1$")
    root = ElementTree.fromstring(svg_of(display, show_protocol=True))
    shown = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    assert "<b>&\ufffd\ufffd $x^2$ _a_: 0.0 % refused" in shown
    assert any("_b: 0.0 % refused" in text for text in shown)
    assert "Protocol: <p> & $1$" in shown


def test_ten_thousand_people_stay_small():
    rng = np.random.RandomState(0)
    costs = rng.gamma(2.0, size=(2, 10_000))
    display = CostShiftDisplay.from_predictions(*costs, rng.rand(10_000) < 0.2, protocol="p")
    assert len(svg_of(display)) < 250_000
    margins = MarginDisplay.from_predictions({"a": costs[0], "b": -costs[1]}, protocol="p")
    assert len(svg_of(margins)) < 60_000


@pytest.mark.parametrize(
    "wrong",
    [{"figure": None}, {"title": ""}, {"title": 3}, {"description": " "}, {"description": None}],
)
def test_wrong_parameters_are_named(displays, wrong):
    figure = displays["bits"].plot().figure_
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        to_svg(**{"figure": figure, "title": "t", "description": "d"} | wrong)
