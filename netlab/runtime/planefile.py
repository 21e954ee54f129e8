"""``up --dataplane FILE.py``: run the user's data plane, and keep what it made with the lab's documents."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import TypeVar

from netlab.errors import BadInput
from netlab.model import Memory
from netlab.model.recordedplane import written
from netlab.model.status import Statuses
from netlab.plan.dataplanes.recorded import made
from netlab.planes import ROWS, Plane
from netlab.runtime.host import trust
from netlab.runtime.state.resolved import resolve
from netlab.runtime.state.rundir import Applied, caller

T = TypeVar("T")


def with_plane(applied: Applied, memory: Memory, statuses: Statuses) -> Applied:
    """The documents with what the plane's module makes of them now; as they are without a plane.

    Raises BadInput for a module that others may change, that fails, or that is no data plane.
    """
    if not applied.plane:
        return applied
    file = applied.plane[0]
    if reason := trust.unsafe(file, applied.owner or caller()):
        raise BadInput(f"--dataplane: {reason}", hint="netlab runs the file as the user that runs netlab")
    module = _run(file, lambda: _imported(file))
    traits, plane = getattr(module, "TRAITS", None), getattr(module, "PLANE", None)
    if (
        not isinstance(traits, Plane)
        or plane is None
        or not all(hasattr(plane, name) for name in ("node", "attach", "reach"))
    ):
        raise BadInput(
            f"{file} sets no TRAITS (a netlab.planes.Plane) and PLANE (with node, attach and reach)",
            hint="docs/extending.md has an example",
        )
    if traits.name in ROWS or not traits.name:
        raise BadInput(f"{file}: TRAITS.name is {traits.name!r}: a plane of netlab's has that name, or nobody")
    bare = replace(applied, plane=(file, written(traits, {})))
    cluster = resolve(bare, memory, statuses).cluster
    return replace(applied, plane=(file, written(traits, _run(file, lambda: made(plane, cluster)))))


def _imported(file: str) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("netlab_plane", file)
    if spec is None or spec.loader is None:
        raise BadInput(f"--dataplane: {file} is no Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(file: str, function: Callable[[], T]) -> T:
    """What the user's code returns; its error is bad input, with the line."""
    try:
        return function()
    except BadInput:
        raise
    except Exception as error:
        import traceback

        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        number = error.lineno if isinstance(error, SyntaxError) and error.filename == file else lines[-1:] and lines[-1]
        where = f"{os.path.relpath(file)}:{number}" if number else file
        raise BadInput(f"{where}: the data plane fails: {type(error).__name__}: {error}") from error
