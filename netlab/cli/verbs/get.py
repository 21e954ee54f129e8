"""``netlab get``: objects of a running lab, as kubectl shows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from netlab.cli import jsonpath, kinds, kubernetes, out, podstatus
from netlab.cli.options import lab, running_lab
from netlab.errors import BadInput, Exit
from netlab.model import Cluster
from netlab.spec import Document

Item = dict[str, Any]


@click.command()
@click.argument("kind")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("-n", "--namespace", default="default", show_default=True, help="the objects' namespace")
@click.option("-A", "--all-namespaces", "every", is_flag=True, help="those of all namespaces")
@click.option("-l", "--selector", default="", help="by labels: app=web,tier!=db,env in (a,b)")
@click.option("-o", "--output", default="text", help="text, wide, json, yaml, name, jsonpath=TEMPLATE")
@click.option("--no-headers", is_flag=True, help="rows alone")
@lab
def command(
    kind: str,
    names: tuple[str, ...],
    namespace: str,
    every: bool,
    selector: str,
    output: str,
    no_headers: bool,
    lab_option: str,
) -> int:
    """Pods, nodes and other objects of a running lab, as kubectl shows them."""
    from netlab.runtime.lab import load_cluster_since

    if "/" in kind and not names:
        kind, _, one = kind.partition("/")
        names = (one,)
    wanted = kinds.find(kind)
    cluster, since, objects = load_cluster_since(running_lab(lab_option))
    items = _items(wanted, cluster, since, objects)
    if wanted.namespaced and not every:
        items = [item for item in items if item["metadata"].get("namespace") == namespace]
    if selector:
        chosen = _selector(selector)
        items = [item for item in items if chosen(item["metadata"].get("labels", {}))]
    if names:
        by_name = {item["metadata"]["name"]: item for item in items}
        for name in names:
            if name not in by_name:
                raise BadInput(
                    f'{wanted.plural} "{name}" not found', hint=_elsewhere(wanted, name, cluster, since, objects)
                )
        items = [by_name[name] for name in names]
    _print(wanted, items, cluster, output, single=len(names) == 1, header=not no_headers, every=every, where=namespace)
    return Exit.OK


def _items(kind: kinds.Kind, cluster: Cluster, since: float, objects: Sequence[Document]) -> list[Item]:
    if kind.name == "Pod":
        return pods(cluster, since)
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
    found = []
    for one in objects:
        if (one.kind, one.group) == (kind.name, kind.group):
            metadata = {"namespace": one.namespace, "labels": {}, "creationTimestamp": podstatus.stamp(since)}
            found.append({**one.body, "metadata": metadata | one.body["metadata"]})
    return found


def pods(cluster: Cluster, since: float) -> list[Item]:
    """The Pods of a running lab, with what its agent says of them now; a note where it does not run."""
    from netlab.runtime.containers import states
    from netlab.runtime.rundir import RunDir

    known = states(cluster.lab, RunDir(cluster.lab).path)
    if known is None:
        out.note(f"the agent of lab {cluster.lab} does not run, so nothing serves: {out.command()} up {cluster.lab}")
        return [kubernetes.pod(one, cluster, since, None) for one in cluster.pods]
    return [kubernetes.pod(one, cluster, since, known.get((one.namespace, one.name), {})) for one in cluster.pods]


def _elsewhere(kind: kinds.Kind, name: str, cluster: Cluster, since: float, objects: Sequence[Document]) -> str:
    """Where an object of that name is, if it is in another namespace."""
    places = [
        item["metadata"]["namespace"]
        for item in _items(kind, cluster, since, objects)
        if item["metadata"]["name"] == name and "namespace" in item["metadata"]
    ]
    return f"it is in namespace {places[0]}: -n {places[0]}" if places else ""


# -- printing ---------------------------------------------------------------------------------------------------------


def _print(
    kind: kinds.Kind,
    items: list[Item],
    cluster: Cluster,
    output: str,
    *,
    single: bool,
    header: bool,
    every: bool,
    where: str,
) -> None:
    style, _, template = output.partition("=")
    data = items[0] if single else {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}
    if style == "json":
        out.document(data)
    elif style == "yaml":
        import yaml

        out.line(yaml.safe_dump(data, sort_keys=False).rstrip())
    elif style == "name":
        group = f".{kind.group}" if kind.group else ""
        for item in items:
            out.line(f"{kind.name.lower()}{group}/{item['metadata']['name']}")
    elif style == "jsonpath":
        text = jsonpath.render(template, data)
        click.echo(text, nl=not text.endswith("\n") and _terminal())
    elif style in ("text", "wide"):
        if not items:
            out.note("No resources found" + ("" if every or not kind.namespaced else f" in {where} namespace."))
            return
        columns, row = _COLUMNS.get(kind.name, _PLAIN)
        wide = style == "wide"
        now = time.time()
        heads = [name for name, only_wide in columns if wide or not only_wide]
        rows = []
        for item in items:
            cells = row(item, cluster, now)
            shown = [cell for cell, (_, only_wide) in zip(cells, columns, strict=True) if wide or not only_wide]
            rows.append([item["metadata"]["namespace"], *shown] if every and kind.namespaced else shown)
        heads = ["NAMESPACE", *heads] if every and kind.namespaced else heads
        out.table(rows, heads if header else ())
    else:
        raise BadInput(f"-o {output}: there are text, wide, json, yaml, name, jsonpath=TEMPLATE")


def _terminal() -> bool:
    import sys

    return sys.stdout.isatty()


Columns = tuple[tuple[str, bool], ...]
Row = Callable[[Item, Cluster, float], list[str]]


def _age(item: Item, now: float) -> str:
    return kubernetes.age(_seconds(item["metadata"]["creationTimestamp"]), now)


def _seconds(stamp: str) -> float:
    """The inverse of ``podstatus.stamp``."""
    import calendar

    return calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))


def _pod_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    ready, status, restarts, last = podstatus.printed(item)
    ago = f" ({kubernetes.age(_seconds(last), now)} ago)" if restarts and last else ""
    return [
        item["metadata"]["name"],
        ready,
        status,
        f"{restarts}{ago}",
        _age(item, now),
        item["status"]["podIP"],
        item["spec"]["nodeName"],
        "<none>",
        "<none>",
    ]


def _node_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    import os

    kernel = os.uname().release
    roles = [key.rpartition("/")[2] for key in item["metadata"]["labels"] if key.startswith("node-role.kubernetes.io/")]
    address = item["status"]["addresses"][0]["address"]
    name = item["metadata"]["name"]
    return [
        name,
        "Ready",
        ",".join(roles) or "<none>",
        _age(item, now),
        "netlab",
        address,
        "<none>",
        "netlab",
        kernel,
        "netlab",
    ]


def _service_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    spec = item.get("spec", {})
    ports = ",".join(f"{one['port']}/{one.get('protocol', 'TCP')}" for one in spec.get("ports", []))
    selector = ",".join(f"{key}={value}" for key, value in spec.get("selector", {}).items())
    return [
        item["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP", "<none>"),
        "<none>",
        ports or "<none>",
        _age(item, now),
        selector or "<none>",
    ]


def _policy_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    selector = item.get("spec", {}).get("podSelector", {})
    labels = [f"{key}={value}" for key, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", []):
        values = f" ({','.join(one['values'])})" if one.get("values") else ""
        labels.append(f"{one['key']} {one['operator'].lower()}{values}")
    return [item["metadata"]["name"], ",".join(labels) or "<none>", _age(item, now), "no"]


def _namespace_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    return [item["metadata"]["name"], "Active", _age(item, now)]


def _plain_row(item: Item, cluster: Cluster, now: float) -> list[str]:
    owner = f"{item['kind']}/{item['metadata']['name']}"
    namespace = item["metadata"].get("namespace")
    pods = sum(pod.owner == owner and pod.namespace == namespace for pod in cluster.pods)
    return [item["metadata"]["name"], f"{pods}/{pods}", _age(item, now)]


_PLAIN: tuple[Columns, Row] = ((("NAME", False), ("READY", False), ("AGE", False)), _plain_row)
_COLUMNS: dict[str, tuple[Columns, Row]] = {
    "Pod": (
        (
            ("NAME", False),
            ("READY", False),
            ("STATUS", False),
            ("RESTARTS", False),
            ("AGE", False),
            ("IP", True),
            ("NODE", True),
            ("NOMINATED NODE", True),
            ("READINESS GATES", True),
        ),
        _pod_row,
    ),
    "Node": (
        (
            ("NAME", False),
            ("STATUS", False),
            ("ROLES", False),
            ("AGE", False),
            ("VERSION", False),
            ("INTERNAL-IP", True),
            ("EXTERNAL-IP", True),
            ("OS-IMAGE", True),
            ("KERNEL-VERSION", True),
            ("CONTAINER-RUNTIME", True),
        ),
        _node_row,
    ),
    "Service": (
        (
            ("NAME", False),
            ("TYPE", False),
            ("CLUSTER-IP", False),
            ("EXTERNAL-IP", False),
            ("PORT(S)", False),
            ("AGE", False),
            ("SELECTOR", True),
        ),
        _service_row,
    ),
    "NetworkPolicy": (
        (("NAME", False), ("POD-SELECTOR", False), ("AGE", False), ("ENFORCED", False)),
        _policy_row,
    ),
    "Namespace": ((("NAME", False), ("STATUS", False), ("AGE", False)), _namespace_row),
}


# -- selectors --------------------------------------------------------------------------------------------------------


def _selector(text: str) -> Callable[[dict[str, str]], bool]:
    """kubectl's -l: ``a=b``, ``a!=b``, ``a in (b,c)``, ``a notin (b,c)``, ``a``, ``!a``, joined by commas."""
    import re

    tests: list[Callable[[dict[str, str]], bool]] = []
    for part in re.split(r",(?![^(]*\))", text):
        part = part.strip()
        ranged = re.fullmatch(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)", part)
        equal = re.fullmatch(r"([^=!\s]+)\s*(==|=|!=)\s*(\S*)", part)
        if ranged:
            key, operator, values = ranged[1], ranged[2], {value.strip() for value in ranged[3].split(",")}
            if operator == "in":
                tests.append(lambda labels, key=key, values=values: labels.get(key) in values)  # type: ignore[misc]
            else:
                tests.append(lambda labels, key=key, values=values: labels.get(key) not in values)  # type: ignore[misc]
        elif equal:
            key, operator, value = equal[1], equal[2], equal[3]
            same = operator != "!="
            tests.append(lambda labels, key=key, value=value, same=same: (labels.get(key) == value) == same)  # type: ignore[misc]
        elif re.fullmatch(r"!?[^\s=!,()]+", part):
            key, present = part.lstrip("!"), not part.startswith("!")
            tests.append(lambda labels, key=key, present=present: (key in labels) == present)  # type: ignore[misc]
        else:
            raise BadInput(f"-l {text}: cannot understand {part!r}", hint="a=b, a!=b, 'a in (b,c)', a, !a")
    return lambda labels: all(test(labels) for test in tests)
