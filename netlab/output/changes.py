"""The documents of the verbs that change labs, and of those that list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from netlab.output.faults import OpenFault
from netlab.output.places import Place
from netlab.plain import document, optional


@document
class Notice:
    """A warning about an object of the lab."""

    level: Literal["error", "warning", "note"]
    code: str
    object: str
    message: str
    file: str | None
    line: int | None


@document
class Applied:
    """``apply``."""

    lab: str
    changed: int
    seconds: float
    warnings: tuple[Notice, ...]


@document
class Up:
    """``up``; ``changed`` counts kernel operations, ``faults`` the open faults that it kept."""

    lab: str
    nodes: int
    pods: int
    objects: int
    seconds: float
    changed: int
    warnings: tuple[Notice, ...]
    faults: int = 0


@document
class LinkEnd:
    """An end of a link."""

    netns: str
    dev: str


@document
class Target:
    """The device of an object, and what it leads to: the other end of a veth, a destination, a next hop.

    ``dst`` is that of a route, or the address of the tunnel's other end; ``table`` is one of nftables.
    """

    dev: str | None = optional(None)
    peer: LinkEnd | None = optional(None)
    dst: str | None = optional(None)
    via: str | None = optional(None)
    address: str | None = optional(None)
    mac: str | None = optional(None)
    master: str | None = optional(None)
    table: str | None = optional(None)


@document
class Operation(Target):
    """An operation on a kernel object; ``source`` is ``file:line:column``."""

    verb: Literal["create", "update", "delete"]
    kind: str
    netns: str
    name: str
    why: str
    source: str | None
    file: str | None
    line: int | None
    commands: tuple[str, ...]


@document
class Drift(Operation):
    """A difference: ``look`` are shell lines that show it, ``mend`` those that mend it alone by hand."""

    look: tuple[str, ...]
    mend: tuple[str, ...]


@document
class Plan:
    """``plan``."""

    operations: tuple[Operation, ...]
    places: Mapping[str, Place]
    warnings: tuple[Notice, ...]


@document
class Foreign(Target):
    """An object in a namespace of the lab that another program made; ``commands`` remove it.

    ``text`` is what the kernel has of it, a table with its rules and handles; ``look`` shows it.
    """

    kind: str
    netns: str
    name: str
    commands: tuple[str, ...]
    look: tuple[str, ...]
    text: tuple[str, ...]


@document
class Diff:
    """``diff``; all is null of a secret fault without ``--reveal``."""

    lab: str
    operations: tuple[Drift, ...]
    foreign: tuple[Foreign, ...]
    places: Mapping[str, Place]
    faults: tuple[OpenFault, ...] = ()


@document
class Stranger:
    """A process that is not of the lab and runs in a namespace of it."""

    pid: int
    comm: str
    netns: str


@document
class Down:
    """A lab that ``down`` removed; ``lingering`` are processes of the agent that could not be reaped."""

    lab: str
    running: bool
    netns: int
    seconds: float
    lingering: tuple[int, ...]
    strangers: tuple[Stranger, ...]


@document
class Object:
    """An object of Kubernetes by its name."""

    kind: str
    namespace: str
    name: str


@document
class Deleted:
    """``delete``; ``made`` are the Pods that controllers made in place of deleted ones."""

    lab: str
    changed: int
    seconds: float
    made: tuple[Object, ...]


@document
class Labelled:
    """``label``: by object, the labels that changed; null: the label was removed."""

    lab: str
    changed: int
    labelled: Mapping[str, Mapping[str, str | None]]


@document
class ImpairedLink:
    """What ``sender``, one of the two ends, does to the packets that it sends.

    ``source`` is ``file:line:column`` of the lab file; null: ``link`` said so.
    """

    between: tuple[str, str]
    sender: str
    impairments: Mapping[str, str]
    source: str | None


@document
class Links:
    """``link``: the impaired links of the lab, or the named link; ``changed`` counts kernel operations."""

    lab: str
    changed: int
    links: tuple[ImpairedLink, ...]


@document
class AvailableLab:
    """A lab that ``labs`` lists."""

    lab: str
    path: str
    title: str


@document
class RunningLab:
    """A lab that ``ls`` lists; all but the name and the world is null where the caller may not read its state.

    ``faults`` is the number of its open faults, secret ones included, ``impaired`` the number of its impaired links.  ``world`` is "root" or "rootless".  ``kubeconfig`` is a path where the
    lab's Kubernetes API runs.
    """

    lab: str
    nodes: int | None
    pods: int | None
    since: str | None
    faults: int | None
    impaired: int | None
    world: str
    kubeconfig: str | None
