"""``netlab delete``: take objects away from a running lab."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from netlab.cli import kinds, out
from netlab.cli.options import lab, output, own_lab
from netlab.errors import BadInput
from netlab.near import near

if TYPE_CHECKING:
    from netlab.model import Pod
    from netlab.model.cluster import Idle


@click.command()
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    metavar="FILE|DIR|-",
    help="manifests of the objects to delete; repeatable",
)
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the objects")
@click.argument("what", nargs=-1, metavar="[KIND NAME...]")
@lab
@output
def command(files: tuple[str, ...], namespace: str, what: tuple[str, ...], lab_option: str, output: str) -> None:
    """Delete objects from a running lab: the objects of manifests, or KIND NAME...

    The controller of a deleted Pod creates another Pod, as in a cluster.
    """
    from netlab.model.anew import every, replacements
    from netlab.runtime.lab import change
    from netlab.runtime.state.resolved import documents_of, identity
    from netlab.runtime.state.running import load_cluster, open_running
    from netlab.spec import load_texts, names, read_texts

    name = own_lab(lab_option)
    if bool(files) == bool(what):
        raise BadInput("say which objects: -f FILE, or KIND NAME...")
    found = documents_of(open_running(name)[1])
    there = {identity(one): one.kind + f".{one.group}" * bool(one.group) for one in found.objects}
    documents = list(there)
    # Nodes of the Lab document, namespaces that only Pods name, and what controllers make have no object of their own.
    cluster = load_cluster(name)
    there |= {f"/Pod/{pod}": "Pod" for pod in every(cluster)}
    there |= {f"apps/{one.kind}/{one.namespace}/{one.name}": f"{one.kind}.apps" for one in cluster.made
              if one.kind == "ReplicaSet"}  # fmt: skip
    there |= {f"/Node//{node.name}": "Node" for node in cluster.nodes}
    there |= {f"/Namespace//{one}": "Namespace" for one in cluster.namespaces if one != "default"}
    if files:
        texts, problems = read_texts(files)
        given = load_texts([text._replace(namespace=namespace) for text in texts], problems)
        # As with kubectl, kind and name are enough to take an object away.
        named, wrong = ([], given.problems) if problems else names(texts, namespace)
        if given.problems and (wrong or not named):
            raise BadInput(given.problems)
        wanted = named if given.problems else [identity(one) for one in given.objects]
    else:
        words = [word for each in what for word in each.split("/")] if "/" in what[0] else list(what)
        kind = kinds.find(words[0])
        if len(words) < 2:
            raise BadInput(f"which {kind.name}? delete {words[0]} NAME")
        wanted = ["/".join((kind.group, kind.name, namespace if kind.namespaced else "", each)) for each in words[1:]]
    missing = [one for one in wanted if one not in there]
    if missing:
        raise _not_there(missing[0], there)
    wanted = list(dict.fromkeys(wanted))
    # With a namespace goes all that is in it.
    spaces = {one.rpartition("/")[2] for one in wanted if one.startswith("/Namespace//")}
    inside = [key for key in documents if key.split("/")[2] in spaces and key not in wanted]
    # A ReplicaSet that its Deployment makes again takes its Pods with it.
    again = [one for one in wanted if one.startswith("apps/ReplicaSet/") and one not in documents]
    sets = {(one.split("/")[2], "/".join(one.split("/")[1:4:2])) for one in again}
    inside += [f"/Pod/{pod}" for pod in every(cluster) if (pod.namespace, pod.controller) in sets]
    # A Service takes its Endpoints with it.
    ends = [one.replace("/Service/", "/Endpoints/", 1) for one in wanted if one.startswith("/Service/")]
    inside += [one for one in ends if one in documents and one not in wanted]
    done = change(name, delete=[one for one in (*wanted, *inside) if one not in again], say=out.note)
    made = list(replacements(cluster, done.lab.cluster))
    if output == "json":
        from netlab.output.changes import Deleted, Object

        pods = tuple(Object(kind="Pod", namespace=pod.namespace, name=pod.name) for pod in made)
        out.document(Deleted(lab=name, changed=done.changed, seconds=round(done.seconds, 3), made=pods))
        return
    for one in wanted:
        out.line(f'{there[one].lower()} "{one.rpartition("/")[2]}" deleted')
    for pod in made:
        out.line(_made(pod))


def _not_there(identity: str, there: Collection[str]) -> BadInput:
    """With the namespace that has an object of that name, or the names that are near."""
    group, kind, namespace, name = identity.split("/")
    place = f" in namespace {namespace}" if namespace else ""
    alike = [parts for parts in (one.split("/") for one in there) if parts[:2] == [group, kind]]
    elsewhere = next((parts[2] for parts in alike if parts[3] == name), "")
    guess = near(name, [parts[3] for parts in alike if parts[2] == namespace])
    hint = f"it is in namespace {elsewhere}: -n {elsewhere}" if elsewhere else ""
    return BadInput(f'{kind} "{name}" is not there{place}{"" if elsewhere else guess}', hint=hint)


def _made(pod: Pod | Idle) -> str:
    """A Pod that was made instead of those that were deleted, and whose it is."""
    from netlab.model.cluster import Idle

    maker = pod.controller or "netlab"
    where = f"it is {pod.phase}" if isinstance(pod, Idle) else f"on {pod.node}, address {pod.addresses[0].ip}"
    return f'pod "{pod.name}" made by {maker}: {where}'
