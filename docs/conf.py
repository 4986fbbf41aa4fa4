"""Sphinx's settings for tools/docs.sh, which puts ringfeed and the XML of Doxygen within reach."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util import logging

import ringfeed

HERE = Path(__file__).parent
XML = HERE.parent / "build/docs/xml"

project = "ringfeed"
copyright = "the ringfeed authors"
version = release = ringfeed.__version__

extensions = [
    "breathe",
    "myst_parser",
    "sphinx.ext.autodoc",
]
html_theme = "alabaster"
html_theme_options = {"description": "Feeds image training from a plain ImageFolder"}
html_copy_source = False

# Docstrings name arguments and values in single backquotes.
default_role = "literal"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False

breathe_projects = {"ringfeed": str(XML)}
breathe_default_project = "ringfeed"
breathe_default_members = ("members", "undoc-members")
breathe_show_include = False

# What other projects document, whose pages are not asked: a build needs no network. And what
# signatures show of ringfeed's own.
nitpick_ignore_regex = [
    (r"cpp:.*", r"(::)?(std|torch|at|data|detail)(::.*)?|ringfeed|u?int\d+_t"),
    (r"py:.*", r"(collections|lightning|numpy|os|pytorch_lightning|torch|torchvision)\..*"),
    (r"py:.*", r"ringfeed\.(.*\.)?(T|_\w+(\..*)?|FileDataset)"),
    (r"py:class", r"Finish|Erased"),  # of a constructor that scripts do not call
    (r"py:class", r"Image\.Image"),  # Pillow's
]


def missing_from_cpp_api(app) -> None:
    """Warns of a public name that the headers declare and cpp_api.rst does not list."""
    page = (HERE / "cpp_api.rst").read_text()
    listed = set(re.findall(r"^\.\. doxygen\w+:: (?:ringfeed::)?(\w+)", page, re.M))
    declared = set()
    for compound in ElementTree.parse(XML / "index.xml").getroot():
        name = compound.findtext("name", "")
        if compound.get("kind") in ("class", "struct") and name.count("::") == 1:
            declared.add(name.removeprefix("ringfeed::"))
        if compound.get("kind") == "namespace" and name == "ringfeed":
            members = (m for m in compound.iter("member") if m.get("kind") != "enumvalue")
            declared |= {member.findtext("name", "") for member in members}
    for name in sorted(declared - listed):
        logging.getLogger(__name__).warning("docs/cpp_api.rst does not list ringfeed::%s", name)


def read_sections(app, what, name, obj, options, lines) -> None:
    """`Args:` and its like as lists. Not of attributes, where napoleon takes the words before a
    colon for a type."""
    if what in ("class", "exception", "function", "method"):
        lines[:] = GoogleDocstring("\n".join(lines)).lines()


def missing_paths(app) -> None:
    """Warns of paths that the pages name and that are not there. Capitals stand for a name."""
    root = HERE.parent
    for page in [*root.glob("*.md"), *HERE.glob("*.md")]:
        for path in re.findall(r"`((?:[a-z]+|\.ci)/[^\s`]+)`", page.read_text()):
            if not (root / path.split("/")[0]).is_dir() or re.search(r"[/_][A-Z]+[._/]", path):
                continue
            if path.startswith("build/"):
                continue
            head, _, rest = path.partition("{")
            ends, _, tail = rest.partition("}")
            for name in (head + end + tail for end in ends.split(",")):
                if not any(root.glob(name.rstrip("/"))):
                    logging.getLogger(__name__).warning(
                        "%s names %s, which is not there", page.name, name
                    )


def setup(app) -> None:
    app.connect("builder-inited", missing_paths)
    app.connect("builder-inited", missing_from_cpp_api)
    app.connect("autodoc-process-docstring", read_sections)
