"""``netlab label``: kubectl's words and sentences, kept by ``runtime.lab.change``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from netlab.cli import kinds, out
from netlab.cli.kinds.kind import Kind
from netlab.cli.options import lab, output, own_lab
from netlab.cli.selectors import selector as selected
from netlab.errors import BadInput

if TYPE_CHECKING:
    from netlab.model import Cluster

Labels = dict[str, str | None]


@click.command()
@click.argument("words", nargs=-1, metavar="KIND NAME... KEY=VALUE... KEY-...")
@click.option("-n", "--namespace", default="default", show_default=True, help="namespace of the Pods")
@click.option("-A", "--all-namespaces", "every", is_flag=True, help="with --all or -l: select in all namespaces")
@click.option("--all", "everyone", is_flag=True, help="change all objects of the kind, without NAME")
@click.option("-l", "--selector", default="", help="change objects with these labels, without NAME")
@click.option("--overwrite", is_flag=True, help="replace existing values")
@click.option("--list", "listing", is_flag=True, help="print the resulting labels")
@lab
@output
def command(
    words: tuple[str, ...],
    namespace: str,
    every: bool,
    everyone: bool,
    selector: str,
    overwrite: bool,
    listing: bool,
    lab_option: str,
    output: str,
) -> None:
    """Set (KEY=VALUE) and remove (KEY-) labels of Pods, namespaces and nodes of a running lab.

    Selectors see the new labels immediately.  A label stays with its Pod, even if a Deployment made the Pod.  up keeps
    the labels that you set here; up --reset drops them.
    """
    from netlab.model.changes import label_key
    from netlab.runtime.lab import change
    from netlab.runtime.state.running import load_cluster

    lab_name = own_lab(lab_option)
    objects, wanted = _split(words)
    kind, names = _kind(objects)
    if not wanted and not listing:
        raise BadInput("at least one label update is required", hint="netlab label pod client tier=front")
    there = _labels(kind, load_cluster(lab_name), namespace, every=every)
    if everyone or selector:
        if names:
            raise BadInput("say NAMEs, or --all, or -l, not several of them")
        chosen = selected(selector) if selector else lambda _: True
        names = [name for name, labels in there.items() if chosen(labels)]
    elif not names:
        raise BadInput(f"which {kind.name}? label {kind.plural} NAME KEY=VALUE, or --all")
    elif kind.namespaced:
        names = [name if "/" in name else f"{namespace}/{name}" for name in names]
    done: dict[str, Labels] = {}
    said: list[str] = []
    for name in names:
        if name not in there:
            raise BadInput(f'{kind.plural} "{name.rpartition("/")[2]}" not found')
        done[label_key(kind.name, name)], sentences = _change(kind, name, there[name], wanted, overwrite=overwrite)
        said += sentences
    done = {key: labels for key, labels in done.items() if labels}
    changed = change(lab_name, label=done, say=out.note).changed if done else 0
    if output == "json":
        from netlab.output.changes import Labelled

        out.document(Labelled(lab=lab_name, changed=changed, labelled=done))
        return
    for sentence in said if wanted else ():
        out.line(sentence)
    if listing:
        for name in names:
            labels: Mapping[str, str | None] = there[name]
            labels = {**labels, **done.get(label_key(kind.name, name), {})}
            for key in sorted(key for key, value in labels.items() if value is not None):
                out.line(f"{key}={labels[key]}")


def _split(words: Sequence[str]) -> tuple[list[str], Labels]:
    """What stands before the first label, and the labels; kubectl's own complaints where they are mixed up."""
    from netlab.spec.formats import label_key, label_value

    objects: list[str] = []
    wanted: Labels = {}
    removed: set[str] = set()
    for word in words:
        key, equals, value = word.partition("=")
        removing = not equals and len(word) > 1 and word.endswith("-")
        if not equals and not removing:
            if wanted:
                raise BadInput(f"all resources must be specified before label changes: {word}")
            objects.append(word)
            continue
        if removing:
            key = word[:-1]
        try:
            label_key(key)
            if equals:
                label_value(value)
        except ValueError as error:
            raise BadInput(f"{word}: {error}") from error
        if key in wanted and (removing != (key in removed)):
            raise BadInput(f'can not both modify and remove label "{key}" in the same command')
        wanted[key] = None if removing else value
        removed |= {key} if removing else set()
    return objects, wanted


def _kind(objects: Sequence[str]) -> tuple[Kind, list[str]]:
    if not objects:
        raise BadInput("which object? label KIND NAME KEY=VALUE")
    if "/" in objects[0]:
        found = [one.partition("/") for one in objects]
        kind, names = kinds.find(found[0][0]), [name for _, _, name in found]
        if any(not slash or kinds.find(word) != kind for word, slash, _ in found):
            raise BadInput("objects of one kind at a time: pod/a pod/b")
    else:
        kind, names = kinds.find(objects[0]), list(objects[1:])
    if kind.name not in ("Pod", "Namespace", "Node"):
        raise BadInput(
            f"labels of {kind.plural} bear on nothing in the network; there are pods, namespaces and nodes",
            hint="change the labels in the manifest, and netlab apply -f it",
        )
    return kind, names


def _labels(kind: Kind, cluster: Cluster, namespace: str, *, every: bool) -> dict[str, Mapping[str, str]]:
    """The labels of all objects of the kind, by the name that ``model.Changes`` has for them."""
    if kind.name == "Node":
        return {node.name: node.labels for node in cluster.nodes}
    if kind.name == "Namespace":
        return dict(cluster.namespaces)
    return {str(pod): pod.labels for pod in cluster.pods if every or pod.namespace == namespace}


def _change(
    kind: Kind, name: str, have: Mapping[str, str], wanted: Labels, *, overwrite: bool
) -> tuple[Labels, list[str]]:
    """What really changes of one object, and kubectl's sentences about it."""
    said: list[str] = []
    changed: Labels = {}
    for key, value in wanted.items():
        if value is None:
            if key in have:
                changed[key] = None
            else:
                said.append(f'label "{key}" not found.')
        elif have.get(key) != value:
            if key in have and not overwrite:
                raise BadInput(f"'{key}' already has a value ({have[key]}), and --overwrite is false")
            if kind.name == "Namespace" and key == "kubernetes.io/metadata.name":
                raise BadInput(f"'{key}' is the namespace's own name and cannot be changed")
            changed[key] = value
    what = f"{kind.name.lower()}/{name.rpartition('/')[2]}"
    if not changed:
        return {}, [*said, f"{what} not labeled"]
    only_removed = all(value is None for value in changed.values())
    return changed, [*said, f"{what} {'unlabeled' if only_removed else 'labeled'}"]
