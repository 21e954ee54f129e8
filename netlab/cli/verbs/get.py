"""``netlab get``: objects of any kind, as tables, as documents, and as they change."""

from __future__ import annotations

from dataclasses import replace

import click

from netlab.cli.kinds import named, of_kernel, several
from netlab.cli.kinds.kind import Item, Kind
from netlab.cli.kinds.printer import Shape, show
from netlab.cli.kinds.request import Request
from netlab.cli.options import lab, running_lab
from netlab.cli.references import not_found, of_kind, references, requests
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

    KIND can be several kinds, such as pods,svc, or all.  NAME can be NAMESPACE/NAME.  Without KIND, a word means what it
    means for trace and exec: svc/web, shop/web, web, node-1 or an address.

    These kinds show kernel objects in all namespaces of the lab: links, addresses, routes, neighbours, fdb, sysctls and
    nft.  For them, NAME is a Pod, a node, an external host or a network namespace.  For sysctls, NAME can also be the
    name of a sysctl, with * and ?.
    """
    full = output != "text"
    request = Request(
        running_lab(lab_option), names, namespace, every=every, selector=selector, full=full, quiet=watching
    )
    shape = Shape(output, header=not no_headers, labels=labels)
    requests = _requests(kind, request)
    for wanted, _ in requests:
        shape.check(wanted, watching=watching)
    if not watching:
        listed: dict[Kind, list[Item]] = {}
        for wanted, part in requests:
            listed.setdefault(wanted, []).extend(_selected(wanted, part))
        show(list(listed.items()), replace(request, names=[name for _, part in requests for name in part.names]), shape)
        return Exit.OK
    if len(requests) > 1:
        raise BadInput("--watch takes objects of one kind, in one namespace")
    from netlab.cli.kinds.watch import watch

    wanted, request = requests[0]
    return watch(wanted, lambda: _selected(wanted, request), request, shape, events=events or wanted.kernel)


def _requests(word: str, request: Request) -> list[tuple[Kind, Request]]:
    """A request for each kind, and for named objects for each namespace; ``word`` is kinds, KIND/NAME or an object."""
    listing = "," in word or word == "all" or of_kernel(word) or named(word)
    if listing and (request.every or not request.names or of_kernel(word)):
        return [(kind, request) for kind in several(word)]
    cluster = request.running.cluster
    if listing:
        pairs = [(kind, name) for kind in several(word) for name in request.names]
        wanted = [reference for pair in pairs for reference in of_kind(cluster, *pair, request.namespace)]
    else:
        wanted = references(cluster, (word, *request.names), request.namespace)
    return requests(request, wanted)


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
        others = [(item["metadata"].get("namespace", ""), item["metadata"]["name"]) for item in every]
        raise not_found(kind.plural, request.where if kind.namespaced else "", missing[0], others)
    return [by_name[name] for name in request.names if name in by_name]
