"""A CNI network configuration list as data: its plugins, the traits of the data plane that they make, a node's copy of it.

The list is the user's file (``dataplane: {cni: DIR}``).  ``{{podCIDR}}`` and the other words of ``words`` are replaced
for each node, before the JSON is read.  Nothing here reads a file or runs a plugin: see ``runtime.cni``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from netlab.planes import REACHES, Masquerade, Plane, Speaks
from netlab.tuples import NamedTuple

#: The name of the data plane in texts, and of its file in ``plan.dataplanes``.
NAME = "cni"
#: The versions of the specification that netlab speaks, the newest first.
VERSIONS = ("1.1.0", "1.0.0", "0.4.0", "0.3.1", "0.3.0")
# A word of netlab's in a list.
_WORD = re.compile(r"{{\s*(\w+)\s*}}")


class Conflist(NamedTuple):
    """A list: the network's name, the version of the specification that is spoken, and the plugins in their order.

    ``check`` and ``gc``: whether the list allows these operations (``disableCheck``, ``disableGC``).
    """

    file: str
    name: str
    version: str
    plugins: tuple[Mapping[str, Any], ...]
    check: bool = True
    gc: bool = True

    @property
    def types(self) -> tuple[str, ...]:
        """The names of the plugins' programs."""
        return tuple(str(plugin["type"]) for plugin in self.plugins)

    def has(self, capability: str) -> bool:
        """Whether any plugin takes this capability's argument."""
        return any((plugin.get("capabilities") or {}).get(capability) for plugin in self.plugins)

    def speaks(self, version: str) -> bool:
        """Whether the spoken version is that one or a later one."""
        return _number(self.version) >= _number(version)


#: What stands for a node where the list is read without one.
EXAMPLE: Mapping[str, str] = {
    "podCIDR": "10.244.0.0/24",
    "podCIDR6": "fd00:10:244::/64",
    "clusterCIDR": "10.244.0.0/16",
    "clusterCIDR6": "fd00:10:244::/56",
    "mtu": "1500",
    "node": "node",
    "nodeIP": "172.18.0.2",
}


def read(file: str, text: str, words: Mapping[str, str] = EXAMPLE) -> Conflist:
    """The list of a file's text.  Raises ValueError with what is wrong, and the line where that is known."""
    unknown: list[str] = []

    def word(match: re.Match[str]) -> str:
        if match[1] not in words:
            unknown.append(match[1])
        return words.get(match[1], "")

    filled = _WORD.sub(word, text)
    if unknown:
        raise ValueError(f"{{{{{unknown[0]}}}}} is no word of netlab's: there are {', '.join(EXAMPLE)}")
    try:
        body = json.loads(filled)
    except ValueError as error:
        raise ValueError(f"is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ValueError("must be a JSON object")
    plugins = body.get("plugins", [body] if "type" in body else None)
    if not isinstance(plugins, list) or not plugins:
        raise ValueError("has no plugins")
    for plugin in plugins:
        if not isinstance(plugin, dict) or not isinstance(plugin.get("type"), str) or "/" in plugin["type"]:
            raise ValueError("a plugin needs a type, which is the name of its program")
    if not isinstance(body.get("name"), str) or not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9_.]*", body["name"]):
        raise ValueError("name must begin with a letter or digit, and have these, '_', '.' and '-' alone")
    flags = (not body.get("disableCheck", False), not body.get("disableGC", False))
    return Conflist(file, body["name"], _version(body), tuple(plugins), *flags)


def _version(body: Mapping[str, Any]) -> str:
    versions = body.get("cniVersions") or [body.get("cniVersion", "")]
    for version in VERSIONS:
        if version in versions:
            return version
    raise ValueError(f"cniVersion {', '.join(map(str, versions)) or 'is missing'}: netlab speaks {', '.join(VERSIONS)}")


def _number(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def traits(conflist: Conflist, reach: str) -> Plane:
    """The traits of the data plane that these plugins and ``reach`` make.

    A plugin ``bridge`` has the Pods of a node share its bridge; without one, Pods are routed.
    """
    bridge = next((str(each.get("bridge") or "cni0") for each in conflist.plugins if each["type"] == "bridge"), "")
    row = REACHES[reach]
    return replace(
        row,
        name=NAME,
        summary=f"the CNI plugins {', '.join(conflist.types)}; {reach} between the nodes",
        bridge=bridge,
        masquerade=Masquerade.OUTSIDE,
        veth_gateways="ptp" in conflist.types,
        speaks=Speaks.TUNNEL if row.encapsulates else Speaks.NODE,
        agent=None,
        maps_ports=not conflist.has("portMappings"),
    )


def attached(conflist: Conflist, container: str, arguments: Mapping[str, Any], prev: Any) -> list[dict[str, Any]]:
    """The configuration of each plugin: ``arguments`` are those of capabilities by name, ``prev`` the result before.

    The configurations are complete but for ``prevResult`` of a chain, which is the plugin's before at ADD.
    """
    made = []
    for plugin in conflist.plugins:
        wanted = plugin.get("capabilities") or {}
        config = {key: value for key, value in plugin.items() if key != "capabilities"}
        config |= {"cniVersion": conflist.version, "name": conflist.name}
        given = {name: value for name, value in arguments.items() if wanted.get(name) and value}
        if given:
            config["runtimeConfig"] = given
        if prev is not None:
            config["prevResult"] = prev
        made.append(config)
    return made


class Attached(NamedTuple):
    """A Pod that the plugins attached: kept as long as the Pod is there.

    ``container`` is the id that the plugins know it by, ``result`` what the last plugin returned as JSON, ``mac`` that
    of the Pod's eth0.  ``objects`` are what was observed after ADD and not before: plain data of ``plan.adopted``.
    """

    container: str
    node: str
    netns: str
    mac: str
    result: str
    objects: tuple[str, ...] = ()


def addresses(result: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of a result that are a Pod's, each with its prefix length.

    An address is of the Pod's interface where its ``interface`` names one with a sandbox, or none.
    """
    interfaces: Sequence[Any] = result.get("interfaces") or ()
    found = []
    for each in result.get("ips") or ():
        number = each.get("interface")
        inside = number is None or not interfaces or bool(interfaces[number].get("sandbox"))
        if inside:
            found.append(str(each["address"]))
    return tuple(found)
