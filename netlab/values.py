"""``dataclass`` as the standard library has it, made in a sixth of the time.

A command makes 100 value classes before its first line.  The standard decorator compiles six methods for each frozen class
(1.1 ms a class, measured with Python 3.11: a third of what a command needs to start).  Here only ``__init__`` is
compiled, and that when the first value is made; the other methods are closures over ``operator.attrgetter``, and cost
the same per call.

Types are those of ``dataclasses.dataclass``.  mypy alone holds that a frozen value is never assigned to: ``__init__`` sets
the fields without the detour by ``object.__setattr__``, so values are made faster, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
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
            kind.__doc__ = kind.__doc__ or kind.__name__  # else the decorator makes one of its signature
            own_init = "__init__" in kind.__dict__
            made = dataclasses.dataclass(kind, init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
            described = dataclasses.fields(made)
            if not own_init:
                made.__init__ = _init_at_first_call(made, described)
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


def _init_at_first_call(made: type, described: Iterable[dataclasses.Field[Any]]) -> Callable[..., None]:
    """An ``__init__`` that compiles the true one and takes its place; many classes of a command are never called."""

    def first(self: Any, *values: Any, **named: Any) -> None:
        method = _compiled(described, hasattr(made, "__post_init__"))
        method.__qualname__ = f"{made.__qualname__}.__init__"
        made.__init__ = method  # type: ignore[misc]
        method(self, *values, **named)

    return first


def _compiled(described: Iterable[dataclasses.Field[Any]], finished: bool) -> Callable[..., None]:
    """The ``__init__`` of these fields; ``finished``: by ``__post_init__``."""
    namespace: dict[str, Any] = {"MISSING": dataclasses.MISSING}
    positional, named, body = ["self"], ["*"], []
    for each in described:
        default, make = each.default is not dataclasses.MISSING, each.default_factory is not dataclasses.MISSING
        namespace[f"_{each.name}"] = each.default_factory if make else each.default
        parameters = named if each.kw_only else positional
        if not each.init:
            body += [f"self.{each.name} = _{each.name}{'()' * make}"] if default or make else []
        elif make:
            parameters.append(f"{each.name}=MISSING")
            body.append(f"self.{each.name} = _{each.name}() if {each.name} is MISSING else {each.name}")
        else:
            parameters.append(f"{each.name}=_{each.name}" if default else each.name)
            body.append(f"self.{each.name} = {each.name}")
    parameters = positional + (named if len(named) > 1 else [])
    lines = body + ["self.__post_init__()"] * finished or ["pass"]
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), namespace)
    method: Callable[..., None] = namespace["__init__"]
    return method


def _getter(*names: str) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else type


def _repr(names: list[str]) -> Callable[[Any], str]:
    return lambda self: f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
