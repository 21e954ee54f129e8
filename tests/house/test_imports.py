"""Which floors are pure, and who may know the libraries of the kernel.  (The floors' order: import-linter's contract.)"""

from __future__ import annotations

import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = ("diagnose", "faults", "plan", "oracle", "model", "objects", "names", "errors")
IMPURE_MODULES = ("os", "socket", "subprocess", "pyroute2", "scapy")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    sys.path.insert(0, str(ROOT))
    try:
        return grimp.build_graph("netlab", include_external_packages=True, cache_dir=None)
    finally:
        sys.path.remove(str(ROOT))


@pytest.mark.parametrize("floor", PURE)
def test_pure_floor_touches_nothing(graph: grimp.ImportGraph, floor: str) -> None:
    name = f"netlab.{floor}"
    if name not in graph.modules:
        pytest.skip(f"{name} does not exist yet")
    impure = []
    for forbidden in IMPURE_MODULES:
        if forbidden in graph.modules:
            # Direct imports are enough: a way through another pure floor is found there, and spec may read files.
            importers = graph.find_modules_that_directly_import(forbidden)
            impure += [f"{m} imports {forbidden}" for m in sorted(importers) if m == name or m.startswith(f"{name}.")]
    assert not impure, f"{floor} is a pure floor: {'; '.join(impure)}"


@pytest.mark.parametrize(
    ("library", "allowed"),
    [("pyroute2", ("netlab.kernel",)), ("scapy", ("netlab.kernel", "netlab.observe", "netlab.runtime"))],
)
def test_library_is_known_only_where_it_belongs(
    graph: grimp.ImportGraph, library: str, allowed: tuple[str, ...]
) -> None:
    if library not in graph.modules:
        return
    importers = graph.find_modules_that_directly_import(library)
    strangers = sorted(m for m in importers if not any(m == a or m.startswith(f"{a}.") for a in allowed))
    assert not strangers, f"{library} is imported by {', '.join(strangers)}; only {', '.join(allowed)} may"
