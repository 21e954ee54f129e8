"""Reviews: who am I, and may I?  Whoever has the lab's client certificate is its administrator."""

from __future__ import annotations

from netlab.api.resources import Resource
from netlab.cli.kinds.kind import Item

_USER = {"username": "root", "groups": ["system:masters", "system:authenticated"]}
_RULES = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}
_STATUS: dict[str, Item] = {
    "SelfSubjectRulesReview": _RULES,
    "SelfSubjectReview": {"userInfo": _USER},
    "TokenReview": {"authenticated": True, "user": _USER},
}


def answered(resource: Resource, item: Item) -> Item:
    """The review with its answer."""
    status = _STATUS.get(resource.name, {"allowed": True, "reason": "the holder of the kubeconfig is the lab's root"})
    return {"metadata": {}, **item, "apiVersion": resource.api_version, "kind": resource.name, "status": status}
