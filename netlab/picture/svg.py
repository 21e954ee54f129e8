"""A scene as SVG, with its style inside, or without for a page whose policy forbids inline styles."""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files

from netlab.picture.scene import Glyph, Group, Line, Point, Rect, Scene, Text

# What XML cannot hold (control characters, surrogates) and what turns the order of text (bidirectional marks).
_UNSAFE = (*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_REPLACED = dict.fromkeys((*_UNSAFE, 0x200E, 0x200F, 0x061C, 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), "\ufffd")


@cache
def style() -> str:
    """The style sheet of all pictures."""
    return files("netlab.picture").joinpath("picture.css").read_text()


def render(scene: Scene, *, styled: bool = True, theme: str = "") -> str:
    """The scene as one SVG element; ``theme`` is light, dark or empty: as the reader's screen asks."""
    wide, high, title = _number(scene.width), _number(scene.height), _safe(scene.title)
    size = f'width="{wide}" height="{high}"'
    made = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="netlab" viewBox="0 0 {wide} {high}" {size}',
        f' role="img" aria-label="{title}"{_attribute("data-theme", theme)}>',
        f"<title>{title}</title><desc>{_safe(chr(10).join(scene.twin))}</desc>",
    ]
    if styled:
        made += (f"<style>{style()}</style>", f'<rect class="paper" {size}/>')
    for layer in (scene.root, scene.front, scene.over):
        _group(layer, made)
    made.append("</svg>\n")
    return "".join(made)


def _safe(text: str) -> str:
    return escape(text.translate(_REPLACED))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _group(group: Group, made: list[str]) -> None:
    made.append("<g" + _attribute("data-key", group.key) + _attribute("class", group.style) + ">")
    if group.title:
        made.append(f"<title>{_safe(group.title)}</title>\n")
    for item in group.items:
        if isinstance(item, Group):
            _group(item, made)
        else:
            made.append(_item(item))
    made.append("</g>")


def _attribute(name: str, value: str) -> str:
    return f' {name}="{_safe(value)}"' if value else ""


def _rect(rect: Rect) -> str:
    place = f'x="{_number(rect.x)}" y="{_number(rect.y)}" width="{_number(rect.width)}" height="{_number(rect.height)}"'
    radius = f' rx="{_number(rect.radius)}"' if rect.radius else ""
    return f'<rect class="{rect.style}" {place}{radius}/>'


def _text(text: Text) -> str:
    place = f'x="{_number(text.x)}" y="{_number(text.y)}"'
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    turned = f' transform="rotate(-45 {_number(text.x)} {_number(text.y)})"' if text.turned else ""
    # The line feed parts the texts of a group in its accessible name.
    return f'<text class="{text.style}" {place}{anchor}{turned}>{_safe(text.text)}</text>\n'


def _glyph(glyph: Glyph) -> str:
    place = f"translate({_number(glyph.x)} {_number(glyph.y)})"
    return f'<path class="{glyph.style}" d="{glyph.path}" transform="{place}"/>'


def _line(line: Line) -> str:
    return f'<path class="{line.style}" d="{_rounded(line.points, line.soft)}"{_attribute("data-key", line.key)}/>'


def _item(item: Rect | Text | Glyph | Line) -> str:
    match item:
        case Rect():
            return _rect(item)
        case Text():
            return _text(item)
        case Glyph():
            return _glyph(item)
    return _line(item)


def _rounded(points: tuple[Point, ...], radius: float) -> str:
    """A polyline whose corners are rounded by at most ``radius``."""
    points = tuple(point for index, point in enumerate(points) if not index or point != points[index - 1])
    if len(points) < 2:
        return ""
    made = [f"M{_at(points[0])}"]
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        made.append(f"L{_at(_toward(here, before, radius))}Q{_at(here)} {_at(_toward(here, after, radius))}")
    return "".join(made) + f"L{_at(points[-1])}"


def _at(point: Point) -> str:
    return f"{_number(point[0])} {_number(point[1])}"


def _toward(here: Point, other: Point, radius: float) -> Point:
    dx, dy = other[0] - here[0], other[1] - here[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1
    cut = min(radius, length / 2) / length
    return here[0] + dx * cut, here[1] + dy * cut
