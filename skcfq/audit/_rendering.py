"""A report as HTML, as Markdown and in a notebook: templates over the same sections."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from numbers import Integral
from typing import Any

import pandas as pd

from skcfq.audit._blocks import Section
from skcfq.audit._sections import sections_of
from skcfq.audit._verdict import title_of, verdict
from skcfq.audit._wording import figure, interval, without_control
from skcfq.exceptions import OptionalDependencyError
from skcfq.utils import Interval, atomic_write, check_parameters

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$!])")
# Not the spaces that hold a number and its percent sign together.
_SPACES = re.compile(r"[^\S\xa0]+")
LEAST = Interval(Integral, 0, None, closed="left")


@check_parameters(max_people=[LEAST])
def to_html(report: Any, path: Any, *, max_people: int) -> str | None:
    """Write :meth:`AuditReport.to_html`; return the text where there is no path."""
    return write_html(title_of(report), sections_of(report, max_people), path)


@check_parameters(max_people=[LEAST])
def to_markdown(report: Any, path: Any, *, max_people: int) -> str | None:
    """Write :meth:`AuditReport.to_markdown`; return the text where there is no path."""
    return write_markdown(title_of(report), sections_of(report, max_people), path)


def notebook_view(report: Any) -> str | None:
    """Return a short view, None where jinja2 is not installed: notebooks show the repr then."""
    labels = {
        "acceptance": "Accepted by the reference",
        "acceptance_deployed": "Accepted by the deployed model",
        "validity_drop": "Advice that no longer works",
        "recourse_gap_signed": "Mean change of the price",
    }
    return short_view(title_of(report), verdict(report), report.figures, labels)


def short_view(
    title: str, said: list[str], figures: pd.DataFrame, labels: dict[str, str]
) -> str | None:
    """Return a verdict and a few figures as HTML, None where jinja2 is not installed."""
    try:
        template = _template("notebook.html")
    except OptionalDependencyError:
        return None
    rows = []
    for name, label in labels.items():
        one: Any = figures.loc[name]
        ends = interval(name, one["kind"], one["lower"], one["upper"])
        rows.append([label, figure(name, one["kind"], one["value"]), ends])
    return template.render(title=title, verdict=said, rows=rows)


def write_html(title: str, sections: list[Section], path: Any) -> str | None:
    """Write sections as one page; return the text where there is no path."""
    return _written(_template("report.html").render(title=title, sections=sections), path)


def write_markdown(title: str, sections: list[Section], path: Any) -> str | None:
    """Write sections as Markdown; return the text where there is no path."""
    text = _template("report.md").render(title=title, sections=sections)
    return _written(re.sub("\n{3,}", "\n\n", text), path)


def _template(name: str) -> Any:
    """Return a template of ours.

    Raises
    ------
    OptionalDependencyError
        jinja2 is not installed.
    """
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError as error:
        raise OptionalDependencyError(
            "Reports as HTML and Markdown need the package jinja2: pip install 'skcfq[report]'. "
            "Their to_json needs nothing."
        ) from error
    environment = jinja2.Environment(
        autoescape=name.endswith(".html"),
        finalize=partial(_finalized, Markup),
        keep_trailing_newline=True,
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"md": markdown, "svg": _svg(Markup)}
    folder = files("skcfq.audit").joinpath("templates")
    return environment.from_string(folder.joinpath(name).read_text(encoding="utf-8"))


def _finalized(safe: type, value: Any) -> Any:
    return without_control(value) if isinstance(value, str) and type(value) is not safe else value


def _svg(safe: type) -> Callable[[Any], Any]:
    # What to_svg makes is markup, in which texts of the user are escaped already.
    return lambda display: safe(display.to_svg())


def markdown(text: str) -> str:
    r"""Return a text in one line that Markdown shows as it is, in a table too.

    Examples
    --------
    >>> markdown("a|b <i>_c_")
    'a\\|b &lt;i&gt;\\_c\\_'
    """
    text = _SPACES.sub(" ", without_control(text)).strip()
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", text)


def _written(text: str, path: Any) -> str | None:
    if path is None:
        return text
    atomic_write(path, text)
    return None
