"""``netlab get``: Kubernetes' kinds here, the kernel's in ``kernelkinds``."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from netlab.cli import jsonpath, kinds, out
from netlab.cli.kinds import pod as kubernetes
from netlab.cli.kinds import podstatus
from netlab.cli.kinds import service as services
from netlab.cli.kinds import workload as workloads
from netlab.cli.kinds.columns import Item, columns
from netlab.cli.options import lab, running_lab
from netlab.cli.selectors import selector as selected
from netlab.errors import BadInput, Exit

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.spec import Document


@click.command()
@click.argument("kind")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("-n", "--namespace", default="", help="namespace of the objects (default: default)")
@click.option("-A", "--all-namespaces", "every", is_flag=True, help="list objects of all namespaces")
@click.option("-l", "--selector", default="", help="select by labels: app=web,tier!=db,env in (a,b)")
@click.option("-o", "--output", default="text", help="text, wide, json, yaml, name, jsonpath=TEMPLATE")
@click.option("-w", "--watch", "watching", is_flag=True, help="keep running, and print changes")
@click.option(
    "--output-watch-events", "events", is_flag=True, help="with --watch: add a column with the type of each change"
)
@click.option("--no-headers", is_flag=True, help="print no header line")
@click.option("--show-labels", "labels", is_flag=True, help="add a column with the labels")
@lab
def command(
    kind: str,
    names: tuple[str, ...],
    namespace: str,
    every: bool,
    selector: str,
    output: str,
    watching: bool,
    events: bool,
    no_headers: bool,
    labels: bool,
    lab_option: str,
) -> int:
    """List Pods, nodes and other objects of a running lab, as kubectl does.

    KIND can be several kinds, such as pods,svc, or all.  These kinds show kernel objects in all namespaces of the lab:
    links, addresses, routes, neighbours, fdb, sysctls and nft.  For them, NAME is a Pod, a node, an external host or a
    network namespace.  For sysctls, NAME can also be the name of a sysctl, with * and ?.
    """
    from netlab.runtime.state.running import load_cluster_since

    name = running_lab(lab_option)
    if kernel := kinds.of_kernel(kind):
        from netlab.cli.kinds import kernel as kernelkinds

        asked = kernelkinds.Asked(kernel, name, names, "" if every else namespace, selector)
        return kernelkinds.show(asked, output, header=not no_headers, watching=watching)
    if "/" in kind and not names:
        kind, _, one = kind.partition("/")
        names = (one,)
    wanted, *others = kinds.several(kind)
    where = namespace or "default"
    shape = Shape(output, header=not no_headers, every=every, where=where, labels=labels)
    chosen = selected(selector) if selector else None

    known: dict[tuple[int, int], tuple[Cluster, float, tuple[Document, ...]]] = {}

    def resolved() -> tuple[Cluster, float, tuple[Document, ...]]:
        """The lab; resolved anew only where its documents were replaced, since ``--watch`` looks often."""
        stamp = _stamp(name)
        if stamp not in known:
            known.clear()
            known[stamp] = load_cluster_since(name)
        return known[stamp]

    def look(wanted: kinds.Kind = wanted) -> tuple[list[Item], Cluster]:
        cluster, since, objects = resolved()
        items = _items(wanted, cluster, since, objects, quiet=watching)
        if wanted.namespaced and not every:
            items = [item for item in items if item["metadata"].get("namespace") == where]
        if chosen:
            items = [item for item in items if chosen(item["metadata"].get("labels", {}))]
        if names:
            by_name = {item["metadata"]["name"]: item for item in items}
            missing = [one for one in names if one not in by_name]
            if missing and not watching:
                hint = _elsewhere(wanted, missing[0], cluster, since, objects)
                raise BadInput(f'{wanted.plural} "{missing[0]}" not found', hint=hint)
            items = [by_name[one] for one in names if one in by_name]
        return items, cluster

    if watching:
        if others:
            raise BadInput("--watch looks at one kind at a time")
        return _watch(wanted, look, shape, events=events)
    if others:
        _print_several([(one, look(one)[0]) for one in (wanted, *others)], resolved()[0], shape)
    else:
        items, cluster = look()
        _print(wanted, items, cluster, shape, single=len(names) == 1)
    return Exit.OK


class Shape(NamedTuple):
    """How the answer is to look: ``every``: of all namespaces, else of ``where``."""

    output: str
    header: bool
    every: bool
    where: str
    labels: bool


def _stamp(lab: str) -> tuple[int, int]:
    """What changes with the lab's documents: each change replaces the file."""
    import os

    from netlab.runtime.state.rundir import RunDir

    try:
        found = os.stat(RunDir(lab).path / "documents")
    except OSError:
        return -1, time.monotonic_ns()
    return found.st_ino, found.st_mtime_ns


def _items(
    kind: kinds.Kind, cluster: Cluster, since: float, objects: Sequence[Document], *, quiet: bool = False
) -> list[Item]:
    from netlab.model import identity

    items = _listed(kind, cluster, since, objects, quiet=quiet)
    for item in items:
        metadata = item["metadata"]
        if kind.name != "Pod":
            uid = identity.uid(cluster.lab, kind.name, metadata.get("namespace", ""), metadata["name"])
            item["metadata"] = {**metadata, "uid": uid}
    return items


def _listed(
    kind: kinds.Kind, cluster: Cluster, since: float, objects: Sequence[Document], *, quiet: bool
) -> list[Item]:
    if kind.name == "Pod":
        return pods(cluster, since, quiet=quiet)
    if kind.name == "Node":
        return [kubernetes.node(one, since) for one in cluster.nodes]
    if kind.name == "Namespace":
        return [
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": name, "labels": dict(labels), "creationTimestamp": podstatus.stamp(since)},
                "status": {"phase": "Active"},
            }
            for name, labels in cluster.namespaces.items()
        ]
    if kind.name == "Event":
        from netlab.model.anew import every

        known = _records(cluster, quiet=quiet, events=True) or {}
        told = [each for one in every(cluster)
                for each in kubernetes.events(one, since, known.get((one.namespace, one.name)))]  # fmt: skip
        return sorted(told, key=lambda each: str(each["lastTimestamp"]))
    if kind.name == "Service":
        return services.services(cluster, since, objects)
    if kind.name == "Endpoints":
        return services.endpoints(cluster, since, objects)
    if kind.name == "EndpointSlice":
        return services.slices(cluster, since, objects)
    found = []
    for one in objects:
        if (one.kind, one.group) == (kind.name, kind.group):
            metadata = {"namespace": one.namespace, "labels": {}, "creationTimestamp": podstatus.stamp(since)}
            found.append({**one.body, "metadata": metadata | one.body["metadata"]})
    found += [kubernetes.made(one, cluster, since) for one in cluster.made if one.kind == kind.name]
    if not found or kind.name not in workloads.KINDS:
        return found
    sets = found
    if kind.name == "Deployment":
        sets = _listed(kinds.find("replicasets"), cluster, since, objects, quiet=True)
    statuses = workloads.Statuses(cluster, since, pods(cluster, since, quiet=quiet), sets)
    return [statuses.scaled(item) for item in found]


def pods(cluster: Cluster, since: float, *, quiet: bool = False) -> list[Item]:
    """The Pods of a running lab, with what its agent says of them now; a note where it does not run."""
    known = _records(cluster, quiet=quiet)
    idle = [kubernetes.idle(one, cluster, since) for one in cluster.idle]
    if known is None:
        return [kubernetes.pod(one, cluster, since, None) for one in cluster.pods] + idle
    made = [kubernetes.pod(one, cluster, since, known.get((one.namespace, one.name), {})) for one in cluster.pods]
    return made + idle


def _records(
    cluster: Cluster, *, quiet: bool, events: bool = False
) -> Mapping[tuple[str, str], Mapping[str, Any]] | None:
    from netlab.runtime.client.containers import states
    from netlab.runtime.state.rundir import RunDir

    known = states(cluster.lab, RunDir(cluster.lab).path, events=events)
    if known is None and not quiet:
        hint = f"{out.command()} up {cluster.lab}"
        out.note(f"the agent of lab {cluster.lab} does not run, so no port of a Pod answers: {hint}")
    return known


def _elsewhere(kind: kinds.Kind, name: str, cluster: Cluster, since: float, objects: Sequence[Document]) -> str:
    """Where an object of that name is, if it is in another namespace."""
    places = [
        item["metadata"]["namespace"]
        for item in _items(kind, cluster, since, objects, quiet=True)
        if item["metadata"]["name"] == name and "namespace" in item["metadata"]
    ]
    return f"it is in namespace {places[0]}: -n {places[0]}" if places else ""


# -- printing ---------------------------------------------------------------------------------------------------------


def _print(kind: kinds.Kind, items: list[Item], cluster: Cluster, shape: Shape, *, single: bool) -> None:
    if _printed_as_data([(kind, items)], shape.output, single=single):
        return
    if not items:
        out.note("No resources found" + ("" if shape.every or not kind.namespaced else f" in {shape.where} namespace."))
        return
    heads, rows = _table(kind, items, cluster, shape)
    out.table(rows, heads if shape.header else ())


def _print_several(found: list[tuple[kinds.Kind, list[Item]]], cluster: Cluster, shape: Shape) -> None:
    """As kubectl: a table a kind of which there is something, each name with its kind before it."""
    if _printed_as_data(found, shape.output, single=False):
        return
    there = [(kind, items) for kind, items in found if items]
    for place, (kind, items) in enumerate(there):
        if place:
            out.line("")
        heads, rows = _table(kind, items, cluster, shape)
        if "NAME" in heads:
            at = heads.index("NAME")
            rows = [[*row[:at], _named(kind, item), *row[at + 1 :]] for row, item in zip(rows, items, strict=True)]
        out.table(rows, heads if shape.header else ())
    if not there:
        out.note("No resources found" + ("" if shape.every else f" in {shape.where} namespace."))


def _printed_as_data(found: list[tuple[kinds.Kind, list[Item]]], output: str, *, single: bool) -> bool:
    """Print what is no table; False where a table is wanted."""
    style, _, template = output.partition("=")
    items = [item for _, there in found for item in there]
    data = items[0] if single else {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}
    if style == "json":
        out.document(data)
    elif style == "yaml":
        import yaml

        out.line(yaml.safe_dump(data, sort_keys=False).rstrip())
    elif style == "name":
        for kind, there in found:
            for item in there:
                out.line(_named(kind, item))
    elif style == "jsonpath":
        text = jsonpath.render(template, data)
        click.echo(text, nl=not text.endswith("\n") and _terminal())
    elif style in ("text", "wide"):
        return False
    else:
        raise _no_style(output)
    return True


def _no_style(output: str) -> BadInput:
    return BadInput(f"-o {output}: there are text, wide, json, yaml, name, jsonpath=TEMPLATE")


def _named(kind: kinds.Kind, item: Mapping[str, Any]) -> str:
    group = f".{kind.group}" if kind.group else ""
    return f"{kind.name.lower()}{group}/{item['metadata']['name']}"


def _terminal() -> bool:
    import sys

    return sys.stdout.isatty()


def _table(
    kind: kinds.Kind, items: Sequence[Item], cluster: Cluster, shape: Shape
) -> tuple[list[str], list[list[str]]]:
    """The headings and the rows."""
    wide, every = shape.output == "wide", shape.every
    heads, row = columns(kind.name)
    now = time.time()
    rows = []
    for item in items:
        cells = row(item, cluster, now)
        shown = [cell for cell, (_, only_wide) in zip(cells, heads, strict=True) if wide or not only_wide]
        if shape.labels:
            shown.append(",".join(f"{k}={v}" for k, v in item["metadata"].get("labels", {}).items()) or "<none>")
        rows.append([item["metadata"]["namespace"], *shown] if every and kind.namespaced else shown)
    names = [name for name, only_wide in heads if wide or not only_wide] + ["LABELS"] * shape.labels
    return (["NAMESPACE", *names] if every and kind.namespaced else names), rows


def _watch(kind: kinds.Kind, look: Any, shape: Shape, *, events: bool) -> int:
    """The table, then a row for each object that comes, changes or goes, until Ctrl-C."""
    from netlab.cli.kinds import watch

    output = shape.output
    if output not in ("text", "wide", "json", "yaml", "name"):
        raise BadInput(f"-o {output} with --watch: there are text, wide, json, yaml, name")
    stream = watch.Table()
    last: list[Cluster] = []

    def poll() -> dict[str, Item]:
        items, cluster = look()
        last[:] = [cluster]
        return {f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}": item for item in items}

    def say(changes: Sequence[tuple[str, Item]]) -> None:
        if output in ("json", "yaml", "name"):
            for event, item in changes:
                data = {"type": event, "object": item} if events else item
                watch.item(data, output, _named(kind, item))
            return
        heads, rows = _table(kind, [item for _, item in changes], last[0], shape)
        for (event, _), row in zip(changes, rows, strict=True):
            if event == watch.DELETED and kind.name == "Pod" and not events:
                row[heads.index("STATUS")] = "Terminating"
        if events:
            heads = ["EVENT", *heads]
            rows = [[event, *row] for (event, _), row in zip(changes, rows, strict=True)]
        stream.rows(rows, heads if shape.header else ())

    return watch.run(poll, say)
