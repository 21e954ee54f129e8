"""The output formats of a topology: a module for each, whose ``render`` makes the text of a ``Graph``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.output.graph import Graph


def names() -> list[str]:
    """The formats that there are: the names of the modules here."""
    return sorted(module.name for module in iter_modules(__path__))


def renderer(name: str) -> Callable[[Graph], Iterable[str]]:
    """The function that makes the pieces of a format's text."""
    render: Callable[[Graph], Iterable[str]] = import_module(f"{__name__}.{name}").render
    return render
