"""Objects as they are typed: ``pod web``, ``pod/web``, ``shop/web``, and the words that ``trace`` and ``exec`` take.

A word with a kind is the object of that name, as with kubectl.  A word without one is a Pod, a Service or a node: by
its name, a DNS name, an address or labels, as ``oracle.selectors`` reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.cli import kinds, out
from netlab.cli.kinds.kind import Kind
from netlab.cli.kinds.node import NODE
from netlab.cli.kinds.pod import POD
from netlab.cli.kinds.request import Request
from netlab.cli.kinds.service import SERVICE
from netlab.errors import BadInput
from netlab.near import near
from netlab.tuples import NamedTuple

if TYPE_CHECKING:
    from netlab.model import Cluster
    from netlab.oracle.flow import Endpoint
    from netlab.oracle.selectors import Selector

_ARTICLE = {"Pod": "a Pod", "Service": "a Service", "Node": "a node"}


class Reference(NamedTuple):
    """One object; ``namespace`` is "" where the kind has none."""

    kind: Kind
    namespace: str
    name: str

    @property
    def identity(self) -> str:
        """``apps/Deployment/shop/web``, as in ``runtime.state.resolved.identity``."""
        return f"{self.kind.group}/{self.kind.name}/{self.namespace}/{self.name}"


def references(cluster: Cluster, words: Sequence[str], namespace: str = "", *, single: bool = False) -> list[Reference]:
    """The objects of ``KIND NAME...``, ``KIND/NAME...`` or of words without a kind.

    ``single``: each word without a kind must be the name of one object.  Raises BadInput.
    """
    namespace = namespace or "default"
    kind = kinds.named(words[0])
    if kind:
        listed = [reference for word in words[1:] for reference in of_kind(cluster, kind, word, namespace)]
    else:
        listed = [reference for word in words for reference in _of_word(cluster, word, namespace, single=single)]
    return list(dict.fromkeys(listed))


def requests(request: Request, wanted: Iterable[Reference]) -> list[tuple[Kind, Request]]:
    """A request for each kind and namespace of some objects."""
    parts: dict[tuple[Kind, str], list[str]] = {}
    for reference in wanted:
        parts.setdefault((reference.kind, reference.namespace), []).append(reference.name)
    return [(kind, replace(request, names=names, namespace=namespace or request.namespace))
            for (kind, namespace), names in parts.items()]  # fmt: skip


def of_kind(cluster: Cluster, kind: Kind, word: str, namespace: str = "") -> list[Reference]:
    """The objects of a kind that a word means: ``web``, ``shop/web``, ``pod/web``; for Pods ``deploy/web`` too."""
    namespace = namespace or "default"
    prefix, slash, name = word.rpartition("/")
    if not slash:
        return [Reference(kind, namespace if kind.namespaced else "", name)]
    own = kinds.named(prefix)
    if own is kind:
        return [_with_kind(cluster, kind, name, namespace)]
    if own is None and kind.namespaced:
        return [Reference(kind, prefix, name)]
    if kind is POD:
        from netlab.cli.find import places

        pods = [target.pod for target in places(cluster, word, namespace) if target.pod]
        return [Reference(POD, pod.namespace, pod.name) for pod in pods]
    raise BadInput(f'"{word}" does not name {kind.plural}', hint=f"{kind.plural} NAME, or {word} alone")


def _of_word(cluster: Cluster, word: str, namespace: str, *, single: bool) -> list[Reference]:
    """The objects of a word that has its kind before the slash, or none."""
    from netlab.oracle.selectors import Selector

    prefix, slash, name = word.partition("/")
    kind = kinds.named(prefix)
    if kind and not slash:
        raise BadInput(f'"{word}" is a kind: write it first, or {word}/NAME')
    if kind and name:
        return [_with_kind(cluster, kind, name, namespace)]
    try:
        selector = Selector.parse(word, namespace)
    except ValueError as error:
        raise BadInput(str(error)) from None
    named = _named(cluster, selector) if selector.kind == "name" else []
    if len(named) > 1:
        articles = [_ARTICLE[reference.kind.name] for reference in named]
        if single:
            choices = ", ".join(map(_typed, named))
            raise BadInput(f"{word} is {' and '.join(articles)}", hint=f"name its kind: {choices}")
        others = " and ".join(
            f"{article} ({_typed(other)})" for article, other in zip(articles[1:], named[1:], strict=True)
        )
        out.note(f"{word} is {articles[0]} here; it is also the name of {others}")
    if named:
        return named[:1]
    if single and selector.kind in ("labels", "cidr") and not selector.is_address:
        raise BadInput(f'"{word}" can mean several objects; name each', hint="netlab get pods -l KEY=VALUE lists them")
    return [_of_end(word, end) for end in _ends(cluster, selector)]


def _typed(reference: Reference) -> str:
    """``svc/web.shop``."""
    where = "" if reference.namespace in ("", "default") else f".{reference.namespace}"
    return f"{reference.kind.short[0]}/{reference.name}{where}"


def _with_kind(cluster: Cluster, kind: Kind, name: str, namespace: str) -> Reference:
    """``web.shop`` is ``web`` in ``shop``, unless a Pod or its controller is called ``web.shop``."""
    from netlab.model.anew import every

    if not kind.namespaced:
        return Reference(kind, "", name)
    first, dot, last = name.rpartition(".")
    if dot and last in cluster.namespaces:
        taken = {text for pod in every(cluster) if pod.namespace == namespace
                 for text in (pod.name, pod.owner.partition("/")[2])}  # fmt: skip
        if name not in taken:
            return Reference(kind, last, first)
    return Reference(kind, namespace, name)


def _named(cluster: Cluster, selector: Selector) -> list[Reference]:
    """The Pod, the Service and the node of a name, also those that no packet can reach."""
    from netlab.model.anew import every

    pods = {(pod.namespace, pod.name) for pod in every(cluster)}
    services = {(service.namespace, service.name) for service in cluster.services}
    own, *by_dns = selector.readings()
    named = [Reference(kind, *own) for kind, names in ((POD, pods), (SERVICE, services)) if own in names]
    if "/" not in selector.text:
        named += [Reference(NODE, "", node.name) for node in cluster.nodes if node.name == selector.text]
        named = named or [Reference(SERVICE, *name) for name in by_dns if name in services]
    return named


def _ends(cluster: Cluster, selector: Selector) -> list[Endpoint]:
    """The ends of flows; raises BadInput, also with kinds that are near to a bare word."""
    from netlab.oracle.endpoints import Endpoints

    try:
        return [reachable.end for reachable in selector.select(Endpoints(cluster))]
    except ValueError as error:
        if selector.kind != "name" or "/" in selector.text:
            raise BadInput(str(error)) from None
        names = [pod.name for pod in cluster.pods if pod.namespace == selector.namespace]
        names += [service.name for service in cluster.services if service.namespace == selector.namespace]
        guess = near(selector.text, [*kinds.words(), *names, *(node.name for node in cluster.nodes)])
        message = f'there is no kind and no object "{selector.text}"{guess}; kinds are {", ".join(kinds.plurals())}'
        raise BadInput(message) from None


def _of_end(word: str, end: Endpoint) -> Reference:
    from netlab.oracle import flow

    if end.kind == flow.NODE:
        return Reference(NODE, "", end.name)
    if end.kind in (flow.POD, flow.SERVICE):
        return Reference(POD if end.kind == flow.POD else SERVICE, *end.name.split("/"))
    hint = f"netlab get links {word}" if end.netns else ""
    raise BadInput(f"{word} is not an object: no Pod, Service or node has it", hint=hint)


def not_found(plural: str, namespace: str, name: str, others: Iterable[tuple[str, str]]) -> BadInput:
    """The error for an object that is missing; ``others`` are the namespaces and names of all objects of its kind."""
    others = list(others)
    elsewhere = next((space for space, other in others if other == name and space), "")
    guess = "" if elsewhere else near(name, [other for space, other in others if space == namespace])
    where = f" in namespace {namespace}" if namespace else ""
    hint = f"it is in namespace {elsewhere}: -n {elsewhere}" if elsewhere else ""
    return BadInput(f'{plural} "{name}" not found{where}{guess}', hint=hint)
