"""Sphinx configuration."""

from __future__ import annotations

import skcfq

project = "skcfq"
author = "The skcfq developers"
copyright = "2026, The skcfq developers"
version = release = skcfq.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinxcontrib.bibtex",
]

root_doc = "index"
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist"]
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
bibtex_bibfiles = ["references.bib"]
# Figures are drawn when the pages are built; none is committed.
plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = ["svg"]
# Docstrings that are inherited from scikit-learn refer to labels of its own guide.
suppress_warnings = ["ref.ref"]
html_theme = "alabaster"
html_theme_options = {"description": "Recourse that survives quantization"}
