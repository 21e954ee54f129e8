"""Discovery: which groups, versions and resources the API has; aggregated (v2, v2beta1) and in the old form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netlab.api.resources import RESOURCES, Resource
from netlab.spec.schema import api_version

Document = dict[str, Any]
AGGREGATED = ("v2", "v2beta1")
GROUPS = tuple(dict.fromkeys(resource.group for resource in RESOURCES.values()))
_READ_WRITE = ("get", "patch", "update")
#: The verbs of subresources that are not those of ``status``, and the kinds that they take, as the published API has it.
_VERBS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("exec", "attach", "portforward"), ("create", "get")),
    "log": ("get",),
    **dict.fromkeys(("eviction", "binding", "token"), ("create",)),
    "finalize": ("update",),
}
_KINDS: Mapping[str, tuple[str, str, str]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "exec": ("", "v1", "PodExecOptions"),
    "attach": ("", "v1", "PodAttachOptions"),
    "portforward": ("", "v1", "PodPortForwardOptions"),
    "binding": ("", "v1", "Binding"),
}


def _of(group: str, version: str = "") -> list[Resource]:
    return [each for each in RESOURCES.values() if each.group == group and version in ("", each.version)]


def _versions(group: str) -> list[str]:
    return list(dict.fromkeys(each.version for each in _of(group)))


def _gvk(resource: Resource, subresource: str = "") -> dict[str, str]:
    group, version, kind = _KINDS.get(subresource, (resource.group, resource.version, resource.name))
    return {"group": group, "version": version, "kind": kind}


def aggregated(groups: tuple[str, ...], version: str) -> Document:
    """An APIGroupDiscoveryList of these groups."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {
                        "version": each,
                        "freshness": "Current",
                        "resources": [_aggregated(resource) for resource in _of(group, each)],
                    }
                    for each in _versions(group)
                ],
            }
            for group in groups
        ],
    }


def _aggregated(resource: Resource) -> Document:
    made: Document = {
        "resource": resource.plural,
        "responseKind": _gvk(resource),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.name.lower(),
        "verbs": resource.verbs,
        "shortNames": resource.short,
        "categories": resource.categories,
    }
    subresources = [
        {"subresource": each, "responseKind": _gvk(resource, each), "verbs": _VERBS.get(each, _READ_WRITE)}
        for each in resource.subresources
    ]
    return made | ({"subresources": subresources} if subresources else {})


def versions() -> Document:
    """``/api``."""
    here = [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": here}


def groups() -> Document:
    """``/apis``."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(each) for each in GROUPS if each]}


def _group(name: str) -> Document:
    each = [{"groupVersion": f"{name}/{version}", "version": version} for version in _versions(name)]
    return {"name": name, "versions": each, "preferredVersion": each[0]}


def group(name: str) -> Document | None:
    """``/apis/GROUP``; None where there is no such group."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)} if name and name in GROUPS else None


def resources(name: str, version: str) -> Document | None:
    """``/api/v1``, ``/apis/GROUP/VERSION``: an APIResourceList; None where there is none."""
    listed: list[Document] = []
    for each in _of(name, version):
        listed.append(
            {
                "name": each.plural,
                "singularName": each.name.lower(),
                "namespaced": each.namespaced,
                "kind": each.name,
                "verbs": each.verbs,
                "shortNames": each.short,
                "categories": each.categories,
            }
        )
        for subresource in each.subresources:
            kind = _gvk(each, subresource)
            foreign = {key: kind[key] for key in ("group", "version")} if subresource in _KINDS else {}
            listed.append(
                {
                    "name": f"{each.plural}/{subresource}",
                    "singularName": "",
                    "namespaced": each.namespaced,
                    "kind": kind["kind"],
                    "verbs": _VERBS.get(subresource, _READ_WRITE),
                    **foreign,
                }
            )
    if not listed:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(name, version), "resources": listed}  # fmt: skip
