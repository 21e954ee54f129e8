"""``netlab get``: objects of any kind, as tables, as documents, and as they change."""

from __future__ import annotations

import click

from netlab.cli.kinds import several
from netlab.cli.kinds.kind import Item, Kind
from netlab.cli.kinds.printer import Shape, show
from netlab.cli.kinds.request import Request
from netlab.cli.options import lab, running_lab
from netlab.errors import BadInput, Exit


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
    running = running_lab(lab_option)
    if "/" in kind and not names:
        kind, _, name = kind.partition("/")
        names = (name,)
    kinds = several(kind)
    full = output != "text"
    request = Request(running, names, namespace, every=every, selector=selector, full=full, quiet=watching)
    shape = Shape(output, header=not no_headers, labels=labels)
    for wanted in kinds:
        shape.check(wanted, watching=watching)
    if not watching:
        show([(wanted, _selected(wanted, request)) for wanted in kinds], request, shape)
        return Exit.OK
    if len(kinds) > 1:
        raise BadInput("--watch looks at one kind at a time")
    from netlab.cli.kinds.watch import watch

    wanted = kinds[0]
    return watch(wanted, lambda: _selected(wanted, request), request, shape, events=events or wanted.kernel)


def _selected(kind: Kind, request: Request) -> list[Item]:
    """The objects that the request means; raises BadInput for a name that none of them has."""
    every = items = kind.items(request)
    if kind.kernel:
        return items
    if kind.namespaced and not request.every:
        items = [item for item in items if item["metadata"].get("namespace") == request.where]
    if request.selector:
        from netlab.cli.selectors import selector

        matches = selector(request.selector)
        items = [item for item in items if matches(item["metadata"].get("labels", {}))]
    if not request.names:
        return items
    by_name = {item["metadata"]["name"]: item for item in items}
    missing = [name for name in request.names if name not in by_name]
    if missing and not request.quiet:
        metadata = [item["metadata"] for item in every if item["metadata"]["name"] == missing[0]]
        elsewhere = next((each["namespace"] for each in metadata if "namespace" in each), "")
        hint = f"it is in namespace {elsewhere}: -n {elsewhere}" if elsewhere else ""
        raise BadInput(f'{kind.plural} "{missing[0]}" not found', hint=hint)
    return [by_name[name] for name in request.names if name in by_name]
