"""What becomes of an object, told by its group and kind: used, cannot matter, or matters and is not modelled.

Kinds of the published API are all known (kubernetes.json lists them), so a misspelt kind and a wrong API version are
errors.  Of custom kinds the well-known ones are listed here; one that is not listed may do anything, so it is warned
of, once a kind.
"""

from __future__ import annotations

from enum import Enum

from netlab.near import closest, meant
from netlab.spec.customkinds import effect
from netlab.spec.schema import CHECKED, api_version, schemas
from netlab.tuples import NamedTuple


class Fate(Enum):
    """The three classes, the kinds that nobody knows, and what is wrong."""

    USED = "used"
    SKIPPED = "cannot matter"
    NOT_MODELLED = "matters, not modelled"
    UNKNOWN = "unknown"
    WRONG = "wrong"


class Ruling(NamedTuple):
    """A fate and its reason: for NOT_MODELLED what the object would do, for WRONG what to write."""

    fate: Fate
    message: str = ""
    #: Which of apiVersion and kind is at fault.
    field: str = "kind"


CLUSTER_SCOPED = frozenset(
    ("Lab", "Namespace", "Node", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy")
)

#: Kinds of the published groups, with what they would do.
_NOT_MODELLED: dict[tuple[str, str], str] = {
    ("networking.k8s.io", "ServiceCIDR"): "it adds addresses for Services; write serviceCIDRs into the Lab",
    ("networking.k8s.io", "ClusterCIDR"): "it adds addresses for Pods; write podCIDRs into the Lab",
}

#: Kinds of the API that are gone in every version that the schemas come from, and cannot matter.
_GONE = {("policy", "PodSecurityPolicy"), ("extensions", "PodSecurityPolicy")}
#: Groups that only the API itself has and that it never extends by custom kinds.
_CLOSED = frozenset(("", "apps", "batch", "netlab"))


def ruling(written: str, kind: str) -> Ruling:
    """What becomes of an object of this apiVersion, as written, and kind."""
    group, _, version = written.rpartition("/")
    if (group, kind) in CHECKED:
        right = CHECKED[group, kind]
        if version == right:
            return Ruling(Fate.USED)
        served = api_version(group, right)
        message = f'{kind} is read as "{served}", not "{written}"; write apiVersion: {served}'
        return Ruling(Fate.WRONG, message, "apiVersion")
    does = effect(group, kind)
    if reason := _NOT_MODELLED.get((group, kind)) or does:
        return Ruling(Fate.NOT_MODELLED, reason)
    published = schemas().kinds
    if kind in published.get(group, ()) or (group, kind) in _GONE or does is not None:
        return Ruling(Fate.SKIPPED)
    return _unknown(written, group, kind)


def _unknown(written: str, group: str, kind: str) -> Ruling:
    """A pair that no list has: an error where it can only be a slip, else a custom kind."""
    published = schemas().kinds
    groups = {each: list(kinds) for each, kinds in published.items()}
    for known_group, known_kind in CHECKED:
        if known_kind not in groups.setdefault(known_group, []):
            groups[known_group].append(known_kind)
    homes = [each for each, kinds in groups.items() if kind in kinds]
    if homes and (group in groups or group == "extensions" or closest(group, homes)):
        right = " or ".join(f'"{_full(home, kind)}"' for home in homes)
        return Ruling(Fate.WRONG, f'{kind} has the apiVersion {right}, not "{written}"', "apiVersion")
    if group in groups:
        everywhere = sorted({each for kinds in groups.values() for each in kinds})
        guess = closest(kind, groups[group]) or closest(kind, everywhere)
        if guess:
            return Ruling(Fate.WRONG, f'no kind "{kind}" in "{written}"{meant(guess)}')
        if group in _CLOSED:
            return Ruling(Fate.WRONG, f'no kind "{kind}" in "{written}"')
    return Ruling(Fate.UNKNOWN)


def _full(group: str, kind: str) -> str:
    version = CHECKED.get((group, kind)) or schemas().kinds[group][kind][0]
    return api_version(group, version)
