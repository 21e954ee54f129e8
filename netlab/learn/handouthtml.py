"""A handout as one file of HTML, to read and to print: nothing is loaded from elsewhere, and nothing in it runs."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from netlab.learn.handout import Handout, answer_sheet

#: The bytes of a picture beside the page, by the path in the page; None where there is none.
Picture = Callable[[str], bytes | None]

_KINDS = {".svg": "image/svg+xml", ".png": "image/png"}
# A page that somebody else wrote runs nothing and asks nobody, also when a browser opens it from a disk.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html(sheet: Handout, picture: Picture, *, answers: bool = True) -> str:
    """The page, and its answers on a page of their own.  HTML in the Markdown is shown as text."""
    render = _renderer(picture)
    body = f"<main>\n{render(sheet.text)}</main>\n"
    if answers and sheet.answers:
        body += f'<section class="answers">\n{render(answer_sheet(sheet.answers))}</section>\n'
    style = files("netlab.learn").joinpath("handout.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(sheet.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )


def _renderer(picture: Picture) -> Callable[[str], str]:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def image(_: RendererHTML, tokens: Sequence[Token], at: int, _options: OptionsDict, _env: EnvType) -> str:
        path, text = str(tokens[at].attrs["src"]), escape(tokens[at].content)
        kind = next((kind for suffix, kind in _KINDS.items() if path.endswith(suffix)), "")
        data = picture(path) if kind else None
        if data is None:
            return f"[{text}]"
        return f'<img alt="{text}" src="data:{kind};base64,{b64encode(data).decode()}">'

    markdown.add_render_rule("image", image)

    return lambda text: str(markdown.render(text))
