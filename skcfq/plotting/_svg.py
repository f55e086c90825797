"""Figures as SVG inside a page: the same letters each time, and words for screen readers."""

from __future__ import annotations

import hashlib
import io
import re
from html import escape
from typing import Any

from skcfq.plotting._matplotlib import matplotlib_module
from skcfq.plotting._texts import readable

_SALT = "skcfq"
# Text stays text: it is small, can be searched, and is drawn in a font of the reader's that has
# its letters. Verdana and DejaVu Sans are equally wide.
_SETTINGS = {"svg.hashsalt": _SALT, "svg.fonttype": "none"}
_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_RESOLUTION = 144


def to_svg(figure: Any, *, title: str, description: str) -> str:
    """Return a figure as an ``<svg>`` element that can stand in an HTML page.

    Parameters
    ----------
    figure : matplotlib Figure
        Such as ``display.figure_``.
    title : str
        What the figure is about, in a few words, such as ``display.title``.
    description : str
        What it shows, in sentences with its numbers, such as ``display.description``.

    Returns
    -------
    svg : str
        The element alone, without an XML header: the same each time, without a date and without
        references to anything outside of it. Its ids begin with a digest of its content, so that
        several figures can stand in one page. It fills the width of what it stands in.

    Raises
    ------
    OptionalDependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> from skcfq.plotting import BitAllocationDisplay, to_svg
    >>> display = BitAllocationDisplay.from_predictions({"CFQ": [4, 2]}, protocol="made up")
    >>> svg = to_svg(
    ...     display.plot().figure_, title=display.title, description=display.description
    ... )
    >>> svg[:18], "Date" in svg
    ('<svg role="img" ar', False)
    """
    for name, text in (("title", title), ("description", description)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name}={text!r}; say in words what the figure shows.")
    if not isinstance(figure, matplotlib_module("figure").Figure):
        raise ValueError(f"figure={type(figure).__name__} is no Figure of matplotlib.")
    drawing = _body(_written(figure))
    prefix = "f" + hashlib.sha256(f"{title}{description}{drawing}".encode()).hexdigest()[:10]
    width, height = _view_box(drawing)
    head = (
        f'<svg role="img" aria-labelledby="{prefix}-t {prefix}-d" '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {width} {height}" '
        f'style="width:100%;max-width:{width}pt;height:auto">'
    )
    words = (
        f'<title id="{prefix}-t">{escape(readable(title))}</title>'
        f'<desc id="{prefix}-d">{escape(readable(description))}</desc>'
    )
    inside = re.sub(r"^<svg[^>]*>", "", drawing)
    return head + words + _own_ids(inside, prefix)


def _written(figure: Any) -> str:
    buffer = io.StringIO()
    with matplotlib_module("pyplot").rc_context(_SETTINGS):
        figure.savefig(
            buffer,
            format="svg",
            metadata=_METADATA,
            bbox_inches="tight",
            pad_inches=0.05,
            dpi=_RESOLUTION,
        )
    return buffer.getvalue()


def _body(text: str) -> str:
    """Return the element of a file, without what a page does not need."""
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", text)


def _view_box(drawing: str) -> tuple[str, str]:
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    assert found is not None
    return found[1], found[2]


def _own_ids(text: str, prefix: str) -> str:
    """Leave out ids that nothing refers to, and make the others unique in a page."""
    used = set(re.findall(r'"#([\w.-]+)"', text)) | set(re.findall(r"url\(#([\w.-]+)\)", text))

    def own(found: re.Match) -> str:
        return f' id="{prefix}-{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]*)"', own, text)
    text = re.sub(r'(xlink:href|href)="#', rf'\1="#{prefix}-', text)
    return text.replace("url(#", f"url(#{prefix}-")
