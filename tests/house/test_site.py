"""The documentation as a site: what `invoke docs` reads, without Sphinx."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from netlab.cli.helptext import VERBS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_site", ROOT / "scripts/make_site.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_link_of_a_page_is_dead(site: ModuleType) -> None:
    for pattern in site.PAGES:
        for page in ROOT.glob(pattern):
            if page.parent.name != "reference":  # parts that scripts/make_reference.py joins into pages
                site.copied(page)  # raises SystemExit, with the page and the link


def test_the_site_lists_each_page_of_docs() -> None:
    index = (ROOT / "docs/index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or f"docs/{page.name}\n" in index, f"docs/index.md does not list {page.name}"


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_page_of_its_help(site: ModuleType, verb: str) -> None:
    page = site.commandpages.markdown(verb)
    assert page.startswith(f"# netlab {verb}\n\n{VERBS[verb]}\n")
    assert "\b" not in page
    assert re.search(r"^`.*-h, --help`$|^`--help`$", page, re.M)


def test_each_verb_has_a_man_page_in_which_troff_reads_no_text_as_a_request(site: ModuleType) -> None:
    pages = site.commandpages.manual()
    assert {f"netlab-{verb}.1" for verb in VERBS} | {"netlab.1", "netlab-class-new.1"} <= set(pages)
    requests = {".TH", ".SH", ".TP", ".PP", ".nf", ".fi"}
    for name, text in pages.items():
        assert {line.split()[0] for line in text.splitlines() if line.startswith((".", "'"))} <= requests, name
        assert not re.search(r"(?<!\\)-", text.replace("netlab manual", "")), f"{name}: a hyphen that is no minus"
