"""The Services that objects name which netlab does not model: the backends of Ingresses and routes, and what the API
server calls (webhooks, aggregated APIs, conversions).

What such an object does is not done here, but whether its Service is there can be said.  Read from the composed nodes:
only these few fields are looked at, whatever else is in the object.
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.errors import Mark
from netlab.spec import scalars
from netlab.spec.compose import MappingNode, Node, ScalarNode, SequenceNode, mark_of, pairs
from netlab.tuples import NamedTuple


class Reference(NamedTuple):
    """``object`` sends traffic to a port (a number, a name, or "") of the Service ``namespace/name``.

    ``by_api``: the API server is the client.
    """

    object: str
    namespace: str
    name: str
    port: int | str
    mark: Mark
    by_api: bool = False


_Fields = dict[str, Node]
#: The kinds that name Services, by group; ``*`` stands for every kind of the group.
_KINDS = {
    "networking.k8s.io": ("Ingress",),
    "extensions": ("Ingress",),
    "gateway.networking.k8s.io": ("*",),
    "gateway.networking.x-k8s.io": ("*",),
    "route.openshift.io": ("Route",),
}
#: Where the kinds that the API server obeys name its target; each item of a list is looked at.
_WEBHOOKS = ("webhooks", "clientConfig", "service")
_API_SERVER = {
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): (_WEBHOOKS,),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): (_WEBHOOKS,),
    ("apiregistration.k8s.io", "APIService"): (("spec", "service"),),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        ("spec", "conversion", "webhook", "clientConfig", "service"),
        ("spec", "conversion", "webhookClientConfig", "service"),  # v1beta1
    ),
}
_HTTPS = 443  # the API server's default of all of these
#: Fields that hold a backend, or a list of them, in these kinds.
_BACKENDS = frozenset(("backend", "defaultBackend", "backendRefs", "backendRef", "to", "alternateBackends"))


def references(group: str, kind: str, full: str, namespace: str, node: Node, file: str) -> Iterator[Reference]:
    """The Services that an object names; none where its kind names none."""
    kinds = _KINDS.get(group, ())
    if kind not in kinds and "*" not in kinds:
        return
    for backend in _backends(_fields(node).get("spec")):
        if reference := _service(_fields(backend)):
            name, port, where = reference
            space = _text(_fields(backend).get("namespace")) or namespace or "default"
            yield Reference(full, space, name, port, mark_of(where, file))


def api_targets(group: str, kind: str, full: str, node: Node, file: str) -> Iterator[Reference]:
    """The Services that the API server calls because of an object, each once."""
    seen = set()
    for path in _API_SERVER.get((group, kind), ()):
        for service in _reached(node, path):
            fields = _fields(service)
            namespace, name, port = (_text(fields.get(key)) for key in ("namespace", "name", "port"))
            number = int(port) if port.isdigit() and port.isascii() else _HTTPS
            if name and namespace and (namespace, name, number) not in seen:
                seen.add((namespace, name, number))
                yield Reference(full, namespace, name, number, mark_of(fields["name"], file), by_api=True)


def _reached(node: Node, path: tuple[str, ...]) -> Iterator[Node]:
    """The nodes at a path, of every item of a list on it."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _reached(item, path)
    elif not path:
        yield node
    elif child := _fields(node).get(path[0]):
        yield from _reached(child, path[1:])


def _backends(node: Node | None) -> Iterator[Node]:
    """Every backend at any depth."""
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _backends(item)
    for key, value in _fields(node).items():
        if key in _BACKENDS:
            yield from value.value if isinstance(value, SequenceNode) else (value,)
        else:
            yield from _backends(value)


def _service(backend: _Fields) -> tuple[str, int | str, Node] | None:
    """The name, the port and the place of the Service in one of the ways in which it is written."""
    named: Node | None
    port: Node | None
    if "serviceName" in backend:
        named, port = backend["serviceName"], backend.get("servicePort")
    elif "service" in backend:
        service = _fields(backend["service"])
        ports = _fields(service.get("port"))
        named, port = service.get("name"), ports.get("number", ports.get("name"))
    elif _text(backend.get("kind")) in ("", "Service") and not _text(backend.get("group")):
        named, port = backend.get("name"), backend.get("port")
    else:
        return None
    name = _text(named)
    if named is None or not name:
        return None
    text = _text(port)
    return name, int(text) if text.isdigit() and text.isascii() else text, named


def _fields(node: Node | None) -> _Fields:
    if not isinstance(node, MappingNode):
        return {}
    return {key.value: value for key, value in pairs(node) if isinstance(key, ScalarNode)}


def _text(node: Node | None) -> str:
    return str(node.value) if isinstance(node, ScalarNode) and not scalars.is_null(node) else ""
