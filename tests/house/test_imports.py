"""Which floors are pure, and who may know the libraries of the kernel.  (The floors' order: import-linter's contract.)"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
PURE = (
    "diagnose",
    "evidence",
    "exercise",
    "faults",
    "lint",
    "plan",
    "oracle",
    "model",
    "objects",
    "names",
    "errors",
    "wire",
    "output",
)
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


# Imports inside functions below cli, each with what it saves: whoever does not need it starts faster.
LATE = {
    "netlab.api.spawn": "in the process that forks commands alone: the server has no need of the verbs",
    "netlab.faults.catalogue": "pkgutil, 1 ms, for labs with open faults",
    "netlab.kernel.nftables.drift": "the rehearsal in a spare namespace, needed after a hand change alone",
    "netlab.kernel.nftables.libnft": "subprocess, 1 ms, for hosts with nft and without its library",
    "netlab.kernel.rtnetlink.inspect": "pyroute2, 220 ms",
    "netlab.model.cluster.identity": "uuid, 4 ms",
    "netlab.near": "difflib, 3 ms, needed by messages alone",
    "netlab.observe.capture.words": "scapy, 300 ms",
    "netlab.observe.layers": "scapy, 300 ms",
    "netlab.observe.trace.crafted": "scapy, 300 ms",
    "netlab.observe.trace.expression": "scapy, 300 ms",
    "netlab.observe.trace.record": "scapy, 300 ms, by way of crafted",
    "netlab.plan.dataplanes": "the reader of a user's plane, which labs without one are spared",
    "netlab.plugin": "every run of pytest loads it, and few tests ask for a lab",
    "netlab.plan.desired": "the rules of policies and Services, 20 ms, for labs that have some",
    "netlab.plan.hostports": "what CNI plugins made, for labs that bring some",
    "netlab.runtime.agent.probing.dial": "ssl, 15 ms, for https probes",
    "netlab.runtime.agent.probing.probes": "the grpc probe's module, for labs that have such a probe",
    "netlab.runtime.agent.responders.endpoints": "the two forms of SCTP, for Pods that declare such a port",
    "netlab.runtime.doctor.probes": "subprocess, 1 ms, for hosts with nft",
    "netlab.runtime.host.named": "shutil, 1 ms, for labs with agents",
    "netlab.runtime.host.requirements": "shutil, 3 ms, for up alone",
    "netlab.runtime.lab": "the CNI runtime, 10 ms, for labs that bring plugins; shares, for labs on several machines",
    "netlab.runtime.planefile": "traceback and importlib.util, 3 ms, for labs with a plane of the user's",
    "netlab.runtime.readiness": "a status that changed nothing is settled without the lab's model",
    "netlab.runtime.step": "the same",
    "netlab.runtime.rootless.door": "what makes a world, for the first command alone",
    "netlab.runtime.state.rundir": "shutil, 3 ms, for down alone; shares, for labs on several machines",
    "netlab.runtime.state.resolved": "shares, for labs on several machines",
    "netlab.runtime.commandserver": "the client of a process that stays loads nothing that the process does",
    "netlab.runtime.teardown": "the same; down loads nothing of the model",
    "netlab.spec.compose": "the parser in C, where libyaml is there, or else the one in Python",
}


# Caches of modules on pure floors: each function gives equal results for equal arguments, so a cache saves time alone.
# Results by the identity of large objects belong to a ``memo.Session``.
CACHES = {
    "netlab.diagnose.rules.nfttext": "actions: a rule text, met at every hop",
    "netlab.faults.catalogue": "modules: the folder of faults, read once",
    "netlab.faults.places": "_predicted: predictions about a cluster, for the places of a hundred faults",
    "netlab.model.cluster": "_gateways: asked for by every Pod of a node",
    "netlab.model.cluster.identity": "uid: a UUID, which each build of a lab computes for each Pod",
    "netlab.model.recordedplane": "read: a text of all objects of a lab, read at each build",
    "netlab.names": "mac: every other node's objects name a tunnel's",
    "netlab.oracle.report": "_quoted: names in the flows of a matrix",
    "netlab.picture.svg": "style: a file of the package",
    "netlab.plain": "_keys, _reader: the fields of a type",
    "netlab.plan.services": "base_name: a hash in the names of 10,000 Services",
    "netlab.spec.schema": "schemas: 1 MB of JSON, of the package",
    "netlab.wire.pcapng": "quick: a struct for each frame size",
}


def test_no_other_module_of_a_pure_floor_has_a_cache() -> None:
    cached = set()
    for name, path in sources().items():
        if name.split(".")[1:2] and name.split(".")[1] in (*PURE, "graph", "picture", "plain", "spec", "testing"):
            tree = ast.parse(path.read_text())
            functions = (n for n in tree.body if isinstance(n, ast.FunctionDef))
            decorators = {ast.unparse(each).split("(")[0] for f in functions for each in f.decorator_list}
            values = [ast.unparse(n.value) for n in tree.body if isinstance(n, (ast.Assign, ast.AnnAssign)) and n.value]
            if decorators & {"cache", "lru_cache"} or any(
                re.match(r"(Memo|Latest)\(|\[\]$|\{\}$", each) for each in values
            ):
                cached.add(name)
    assert cached == CACHES.keys(), "a cache of a module needs a reason in CACHES; results by identity go to a Session"


def test_no_circles() -> None:
    """Types count, and so do imports inside functions: a circle that is hidden there is a circle."""
    graph = imports()
    rings = [sorted(ring) for ring in components(graph) if len(ring) > 1]
    assert not rings, f"these modules import each other: {rings}"


def test_imports_stand_at_the_top_but_for_what_costs_start_up() -> None:
    late = set()
    for name, path in sources().items():
        functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
        if any(isinstance(n, (ast.Import, ast.ImportFrom)) for function in functions for n in ast.walk(function)):
            late.add(name)
    late = {name for name in late if not name.startswith("netlab.cli.")}  # a verb imports what it needs when it runs
    assert late == LATE.keys(), "name the reason in LATE, or import at the top"


def sources() -> dict[str, Path]:
    """Module -> file."""
    paths = sorted((ROOT / "netlab").rglob("*.py"))
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


def imports() -> dict[str, set[str]]:
    """Module -> the modules of netlab that it imports, anywhere in its text."""
    known = sources()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        targets = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                targets |= {
                    f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in known else node.module for a in node.names
                }
            elif isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
        found[name] = (targets & known.keys()) - {name}
    return found


def components(graph: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components: modules that reach each other."""

    def reach(start: str) -> set[str]:
        seen, todo = set(), [start]
        while todo:
            for target in graph[todo.pop()] - seen:
                seen.add(target)
                todo.append(target)
        return seen

    reached = {name: reach(name) for name in graph}
    rings = {frozenset({name} | {b for b in reached[name] if name in reached[b]}) for name in graph}
    return [set(ring) for ring in rings]


def test_prose_names_modules_that_exist() -> None:
    """``kernel.host.netns`` in a docstring: the module, or something in it, is there."""
    known = sources()
    packages = {name.split(".")[1] for name in known if "." in name}
    stale = []
    for name, path in known.items():
        for dotted in re.findall(r"``(?:netlab\.)?((?:[a-z_]+\.)+[a-z_]+)(?:\.[A-Z_]\w*)?``", path.read_text()):
            parent, _, last = f"netlab.{dotted}".rpartition(".")
            if dotted.split(".")[0] in packages and f"netlab.{dotted}" not in known:
                within = known.get(parent)
                if within is None or not re.search(rf"\b{last}\b", within.read_text()):
                    stale.append(f"{name}: {dotted}")
    assert not stale, f"docstrings name what is not there: {stale}"
