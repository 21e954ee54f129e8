"""The documents of ``get links`` and its like; ``netns`` is in each, and "" stands for what the kernel does not have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netlab.plain import document, optional


@document
class Link:
    """A link; ``details`` are those of its type, ``port`` those of a bridge's port, ``peer`` is ``NETNS/NAME``."""

    netns: str
    name: str
    index: int
    type: str
    mtu: int
    mac: str
    state: str
    flags: tuple[str, ...]
    qdisc: str
    alias: str
    altnames: tuple[str, ...]
    details: Mapping[str, Any]
    port: Mapping[str, Any] = optional(None)
    master: str
    peer: str
    lower: str = optional("")


@document
class Address:
    """An address of a link."""

    netns: str
    dev: str
    address: str
    family: str
    scope: str
    peer: str
    broadcast: str
    flags: tuple[str, ...]


@document
class NextHop:
    """One of the next hops of a route."""

    via: str
    dev: str
    weight: int
    flags: tuple[str, ...]


@document
class Route:
    """A route."""

    netns: str
    dst: str
    type: str
    via: str
    dev: str
    src: str
    scope: str
    protocol: str
    metric: int
    table: str
    flags: tuple[str, ...]
    family: str
    mtu: int = optional(None)
    nexthops: tuple[NextHop, ...] = optional(None)


@document
class Neighbour:
    """A neighbour entry."""

    netns: str
    address: str
    dev: str
    mac: str
    state: str
    flags: tuple[str, ...]


@document
class FdbEntry:
    """An entry of a bridge's or a tunnel's forwarding database."""

    netns: str
    mac: str
    dev: str
    dst: str
    vlan: int
    vni: int
    master: str
    state: str
    flags: tuple[str, ...]


@document
class Sysctl:
    """A sysctl; ``applied`` is the lab's value, null where the lab sets none."""

    netns: str
    name: str
    value: str
    applied: str | None


@document
class NftObject:
    """A chain with its rules, or a set or map with its elements, as ``nft -j`` prints them."""

    netns: str
    family: str
    table: str
    kind: str
    name: str
    type: str
    hook: str
    prio: int | str
    policy: str
    entries: int
    rules: tuple[Mapping[str, Any], ...] = optional(None)
    elements: tuple[Any, ...] = optional(None)
