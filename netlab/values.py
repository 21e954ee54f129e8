"""``dataclass`` as the standard library has it, made in a third of the time.

A command makes 80 to 130 value classes before its first line.  The standard decorator compiles six methods for each
frozen class (1.1 ms a class, measured with Python 3.11: a third of what a command needs to start).  Here only
``__init__`` is compiled; the other methods are closures over ``operator.attrgetter``, and cost the same per call.

Types are those of ``dataclasses.dataclass``.  mypy alone holds that a frozen value is never assigned to: ``__init__``
sets the fields without the detour by ``object.__setattr__``, so values are made faster, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        kind: type | None = None, /, *, frozen: bool = False, slots: bool = False, kw_only: bool = False
    ) -> Any:
        """``dataclasses.dataclass``; with ``frozen`` a value has the hash that equality asks for."""

        def make(kind: type) -> type:
            made = dataclasses.dataclass(kind, repr=False, eq=False, slots=slots, kw_only=kw_only)
            described = dataclasses.fields(made)
            compared = _getter(*(each.name for each in described if each.compare))
            methods = {
                "__repr__": _repr([each.name for each in described if each.repr]),
                "__eq__": lambda self, other: (
                    compared(self) == compared(other) if type(self) is type(other) else NotImplemented
                ),
                "__hash__": (lambda self: hash(compared(self))) if frozen else None,
            }
            for name, method in methods.items():
                if kind.__dict__.get(name) is None:  # a class that defines __eq__ alone has None as its __hash__
                    setattr(made, name, method)
            return made

        return make if kind is None else make(kind)


def _getter(*names: str) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else type


def _repr(names: list[str]) -> Callable[[Any], str]:
    return lambda self: f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
