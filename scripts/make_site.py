"""The documentation as a site, by Sphinx, and man pages: ``invoke docs`` runs this, and a broken link fails it.

The pages are those of README, docs and labs as they stand.  A page for each verb is made from its ``--help``, and a page
for each JSON document from its schema, so that neither is written twice.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import commandpages  # noqa: E402

from netlab import __version__  # noqa: E402
from netlab.cli.helptext import GROUPS, VERBS  # noqa: E402
from netlab.output import DOCUMENTS, document  # noqa: E402
from netlab.plain import schema  # noqa: E402

BUILD = ROOT / "build" / "docs"
SOURCE = BUILD / "source"
PAGES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "labs/*/README.md")
_LINK = re.compile(r"(!?\[[^\]\n]*\])\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^( *)```(\w+) .*$", re.M)

CONF = """
project = "netlab"
author = "the authors of netlab"
version = release = {version!r}
extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
highlight_language = "none"
html_theme = "furo"
html_title = "netlab"
html_show_copyright = False
# Pages show rules, YAML and terminals of many tools: a lexer that does not know a line says so at every build.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]
"""


def write(path: Path, text: str) -> None:
    """Write a file of the site's source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def outside(page: Path, target: str) -> bool:
    """Whether a link leads to a file of the checkout that is no page.  Raises SystemExit where there is none."""
    if "://" in target or target.startswith("mailto:"):
        return False
    path = (page.parent / target).resolve()
    if not path.exists():
        raise SystemExit(f"{page.relative_to(ROOT)}: the link {target} leads to nothing")
    return not any(path.match(str(ROOT / pattern)) for pattern in PAGES) and path.suffix not in {".svg", ".png"}


def copied(page: Path) -> str:
    """A page for Sphinx: links to files that are no pages become text, and a block's language stands alone."""

    def link(match: re.Match[str]) -> str:
        label, target, anchor = match.groups()
        if outside(page, target):
            return label[1:-1]
        folder = "/README.md" if (page.parent / target).is_dir() else ""
        return f"{label}({target.rstrip('/')}{folder}{anchor or ''})"

    return _FENCE.sub(r"\1```\2", _LINK.sub(link, page.read_text(encoding="utf-8")))


def make_source() -> None:
    """All pages, as Sphinx reads them: those of the checkout in its folders, and those that are made."""
    shutil.rmtree(BUILD, ignore_errors=True)
    pages = sorted(
        {path for pattern in PAGES for path in ROOT.glob(pattern)}
        - {ROOT / "docs/index.md"}
        - set(ROOT.glob("docs/reference/*"))
    )
    for page in pages:
        write(SOURCE / page.relative_to(ROOT), copied(page))
    with (SOURCE / "docs/decisions/README.md").open("a", encoding="utf-8") as decisions:
        decisions.write("\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n")
    for picture in (
        path for pattern in ("docs/**/*.svg", "docs/**/*.png", "labs/*/*.svg") for path in ROOT.glob(pattern)
    ):
        target = SOURCE / picture.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target)
    write(SOURCE / "index.md", (ROOT / "docs/index.md").read_text(encoding="utf-8"))
    listed = [f"# Commands\n\n```{{toctree}}\n:maxdepth: 1\n\n{chr(10).join(VERBS)}\n```\n"]
    for group, verbs in GROUPS.items():
        listed += [f"\n## {group}\n", *(f"- [netlab {verb}]({verb}.md): {text}" for verb, text in verbs.items())]
    write(SOURCE / "commands/index.md", "\n".join(listed) + "\n")
    for verb in VERBS:
        write(SOURCE / f"commands/{verb}.md", commandpages.markdown(verb))
    names = {title: title.replace(" ", "-").replace("--", "") for title in DOCUMENTS}
    write(
        SOURCE / "documents/index.md",
        "# Schemas of the JSON documents\n\nWhat `-o json` prints, and `netlab schema` shows.\n\n"
        "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names.values()) + "\n```\n",
    )
    for title, name in names.items():
        text = json.dumps(schema(document(title), title), indent=2)
        write(SOURCE / f"documents/{name}.md", f"# {title}\n\n```json\n{text}\n```\n")
    write(SOURCE / "conf.py", CONF.format(version=__version__))


def build() -> None:
    """The site; warnings are errors: an unknown page or heading is one."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-q",
            "-W",
            "--keep-going",
            "-j",
            "auto",
            "-b",
            "html",
            SOURCE,
            BUILD / "html",
        ],
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.returncode)


def main() -> None:
    """The site and the man pages."""
    make_source()
    build()
    for name, text in commandpages.manual().items():
        write(BUILD / "man" / name, text)
    sys.stdout.write(f"{BUILD / 'html' / 'index.html'}\n")


if __name__ == "__main__":
    main()
