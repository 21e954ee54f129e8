"""The faults that there are: found by listing the packages here, imported when they are asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from netlab import faults
from netlab.errors import BadInput
from netlab.faults.fault import Fault
from netlab.near import near
from netlab.planes import ROWS


@cache
def modules() -> dict[str, str]:
    """The module of each fault by the fault's id, sorted by id."""
    from pkgutil import iter_modules

    packages = [each.name for each in iter_modules(faults.__path__, f"{faults.__name__}.") if each.ispkg]
    paths = {package: import_module(package).__path__ for package in packages}
    names = [each.name for package, path in paths.items() for each in iter_modules(path, f"{package}.")]
    return dict(sorted((name.rpartition(".")[2].replace("_", "-"), name) for name in names))


def fault(id_: str) -> Fault:
    """A fault by its id.  Raises BadInput with a guess where there is none."""
    known = modules()
    if id_ not in known:
        raise BadInput(
            f'there is no fault called "{id_}"{near(id_, known)}', hint="netlab break --list shows those that there are"
        )
    there: Fault = import_module(known[id_]).FAULT
    return there


def every() -> list[Fault]:
    """All faults, sorted by id."""
    return [fault(id_) for id_ in modules()]


def planes_of(each: Fault) -> tuple[str, ...]:
    """The names of the data planes on which a fault makes sense."""
    return tuple(plane.name for plane in ROWS.values() if each.planes(plane))
