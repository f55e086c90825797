"""What a browser makes of a page: sizes, colors, requests, paper. Chromium without a window."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PDFTOTEXT = shutil.which("pdftotext")
_COMMAND = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
# Whatever a page asked for would not be found, and would be an entry of the performance log.
_COMMAND += ["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"]

# What a page says of itself: nothing may stick out of it, and each text has its color.
_MEASURE = """<script>
addEventListener("load", () => {
  const seen = element => element.getClientRects().length > 0;
  const own = element => [...element.childNodes].some(n => n.nodeType == 3 && n.data.trim());
  const back = element => {
    for (let e = element; e; e = e.parentElement) {
      const color = getComputedStyle(e).backgroundColor;
      if (color != "rgba(0, 0, 0, 0)") return color;
    }
    return "rgb(255, 255, 255)";
  };
  const colors = new Set();
  for (const e of document.body.querySelectorAll("*"))
    if (seen(e) && own(e)) {
      const style = getComputedStyle(e);
      colors.add(JSON.stringify([e instanceof SVGElement ? style.fill : style.color, back(e)]));
    }
  const wide = [...document.body.querySelectorAll("*")].filter(e =>
    seen(e) && !e.closest(".scroll, .skip, svg")
    && Math.max(e.getBoundingClientRect().right, e.scrollWidth) > innerWidth + 1);
  const cut = [...document.querySelectorAll("body *")].filter(e =>
    getComputedStyle(e).overflowX == "hidden" && e.scrollWidth > e.clientWidth + 1
    && !e.closest("svg"));
  const narrow = [...document.querySelectorAll("tbody th, td")].filter(e =>
    seen(e) && e.textContent.length > 12 && e.getBoundingClientRect().width < 60);
  parent.postMessage({
    name: location.hash.slice(1), width: innerWidth, scrolls: document.documentElement.scrollWidth,
    wide: wide.map(e => e.tagName), cut: cut.map(e => e.tagName),
    narrow: narrow.map(e => e.textContent), colors: [...colors].map(JSON.parse),
    requests: performance.getEntriesByType("resource").map(e => e.name)}, "*");
});
</script>"""
_COLLECT = """<pre id="all"></pre><script>
const all = [];
addEventListener("message", event => {
  all.push(event.data);
  document.getElementById("all").textContent = JSON.stringify(all);
});
</script>"""


def measured(pages: dict[str, str], widths: list[int], folder: Path, *, dark: bool = False) -> Any:
    """Open pages at widths; return what each says of itself, and what the console says.

    Parameters
    ----------
    pages : dict of name to HTML
    widths : list of int
        Of a narrow window no browser has, a frame is.
    folder : Path
    dark : bool
        Whether the reader wants dark pages.

    Returns
    -------
    told : dict of (name, width) to dict
    console : list of str
    """
    frames = []
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text.replace("</head>", f"{_MEASURE}</head>"), "utf-8")
        frames += [
            f'<iframe src="{name}.html#{name}" width="{width}" frameborder="0"></iframe>'
            for width in widths
        ]
    (folder / "all.html").write_text(f"<body>{_COLLECT}{''.join(frames)}", "utf-8")
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = _run([*scheme, "--virtual-time-budget=20000", "--dump-dom"], folder / "all.html")
    (found,) = re.findall(r'<pre id="all">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    told = {(one["name"], one["width"]): one for one in json.loads(html.unescape(found))}
    return told, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def printed(text: str, folder: Path) -> tuple[list[tuple[float, float, float, float]], str]:
    """Print a page; return the boxes of its words as shares of their sheet, and its letters."""
    page, paper = folder / "printed.html", folder / "printed.pdf"
    page.write_text(text, "utf-8")
    _run(["--no-pdf-header-footer", f"--print-to-pdf={paper}"], page)
    told = subprocess.run(
        [str(PDFTOTEXT), "-bbox", str(paper), "-"], capture_output=True, text=True, check=True
    ).stdout
    boxes, letters, size = [], [], (1.0, 1.0)
    for tag, values, word in re.findall(r"<(page|word) ([^>]*)>([^<]*)", told):
        numbers = [float(one) for one in re.findall(r'"([-\d.]+)"', values)]
        if tag == "page":
            size = (numbers[0], numbers[1])
        else:
            boxes.append(tuple(np.divide(numbers, [*size, *size]).tolist()))
            letters.append(html.unescape(word))
    return boxes, re.sub(r"\s", "", "".join(letters))


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colors (WCAG 2.2), each `#rrggbb` or `rgb(r, g, b)`."""
    low, high = sorted(_light(color) for color in (first, second))
    return high / low


def _light(color: str) -> float:
    if color.startswith("#"):
        numbers = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    else:
        numbers = [int(one) for one in re.findall(r"\d+", color)[:3]]
    parts = np.array(numbers) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05


def _run(options: list[str], page: Path) -> Any:
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [str(CHROMIUM), *_COMMAND, profile, *options, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
