"""``netlab delete``: take objects away from a running lab."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from netlab.cli import kinds, out
from netlab.cli.options import filename_option, lab, output, own_lab
from netlab.cli.references import not_found, references
from netlab.errors import BadInput

if TYPE_CHECKING:
    from netlab.model import Pod
    from netlab.model.cluster import Idle


@click.command()
@filename_option("manifests of the objects to delete")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the objects")
@click.argument("objects", nargs=-1, metavar="[[KIND] NAME...]")
@lab
@output
def command(files: tuple[str, ...], namespace: str, objects: tuple[str, ...], lab_option: str, output: str) -> None:
    """Delete objects from a running lab: the objects of manifests, or KIND NAME..., or KIND/NAME...

    Without KIND, NAME is a Pod, a Service or a node, such as web or shop/web.
    The controller of a deleted Pod creates another Pod, as in a cluster.
    """
    from netlab.model.anew import every, replacements, with_dependents
    from netlab.model.workloads.systempods import system_pods
    from netlab.runtime.lab import change
    from netlab.runtime.state.resolved import documents_of, identity
    from netlab.runtime.state.running import load_cluster, open_running
    from netlab.spec import load_texts, names, read_texts

    name = own_lab(lab_option)
    if bool(files) == bool(objects):
        raise BadInput("no objects: use -f FILE, or KIND NAME...")
    resolved = documents_of(open_running(name)[1])
    there = {
        identity(document): document.kind + f".{document.group}" * bool(document.group) for document in resolved.objects
    }
    documents = list(there)
    # Nodes of the Lab document, namespaces that only Pods name, and what controllers make have no object of their own.
    cluster = load_cluster(name)
    there |= {f"/Pod/{pod}": "Pod" for pod in (*every(cluster), *system_pods(cluster))}
    there |= {f"apps/{made.kind}/{made.namespace}/{made.name}": f"{made.kind}.apps" for made in cluster.made
              if made.kind == "ReplicaSet"}  # fmt: skip
    there |= {f"/Node//{node.name}": "Node" for node in cluster.nodes}
    there |= {f"/Namespace//{space}": "Namespace" for space in cluster.namespaces if space != "default"}
    if files:
        texts, problems = read_texts(files)
        given = load_texts([text._replace(namespace=namespace) for text in texts], problems)
        # As with kubectl, kind and name are enough to take an object away.
        named, wrong = ([], given.problems) if problems else names(texts, namespace)
        if given.problems and (wrong or not named):
            raise BadInput(given.problems)
        wanted = named if given.problems else [identity(document) for document in given.objects]
    else:
        if len(objects) == 1 and (kind := kinds.named(objects[0])):
            raise BadInput(f"which {kind.name}? delete {objects[0]} NAME")
        wanted = [reference.identity for reference in references(cluster, objects, namespace, single=True)]
    missing = [key for key in wanted if key not in there]
    if missing:
        raise _not_there(missing[0], there)
    wanted = list(dict.fromkeys(wanted))
    done = change(name, delete=with_dependents(cluster, documents, wanted), programs=True, say=out.note)
    made = list(replacements(cluster, done.lab.cluster))
    if output == "json":
        from netlab.output.changes import Deleted, Object

        pods = tuple(Object(kind="Pod", namespace=pod.namespace, name=pod.name) for pod in made)
        out.document(Deleted(lab=name, changed=done.changed, seconds=round(done.seconds, 3), made=pods))
        return
    for key in wanted:
        out.line(f'{there[key].lower()} "{key.rpartition("/")[2]}" deleted')
    for pod in made:
        out.line(_made(pod))


def _not_there(identity: str, there: Collection[str]) -> BadInput:
    group, kind, namespace, name = identity.split("/")
    alike = [parts for parts in (key.split("/") for key in there) if parts[:2] == [group, kind]]
    kind_named = kinds.named(kind)
    return not_found(
        kind_named.plural if kind_named else kind, namespace, name, [(parts[2], parts[3]) for parts in alike]
    )


def _made(pod: Pod | Idle) -> str:
    """A Pod that was made instead of those that were deleted, and whose it is."""
    from netlab.model.cluster import Idle

    maker = pod.controller or "netlab"
    where = f"it is {pod.phase}" if isinstance(pod, Idle) else f"on {pod.node}, address {pod.addresses[0].ip}"
    return f'pod "{pod.name}" made by {maker}: {where}'
