"""Reviews: who am I, and may I?  Whoever has the lab's client certificate, or a token, is its administrator.

netlab has no RBAC, so nobody else may do anything, and nobody can act as somebody else.
"""

from __future__ import annotations

from netlab.api.resources import Resource
from netlab.api.status import Refused
from netlab.cli.kinds.kind import Item

_ADMINISTRATOR = "root"
_USER = {"username": _ADMINISTRATOR, "groups": ["system:masters", "system:authenticated"]}
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


_ACCOUNT = "system:serviceaccount:"  # its tokens let in
_NO_RBAC = "netlab has no RBAC: whoever holds the lab's kubeconfig is its root, and nobody else comes in"


def itself(user: str) -> None:
    """Raise Refused where a client wants to act as another user."""
    if user and user != _ADMINISTRATOR and not user.startswith(_ACCOUNT):
        raise Refused(403, "Forbidden", f'users "{user}" is forbidden: {_NO_RBAC}')


def answered(resource: Resource, item: Item) -> Item:
    """The review with its answer."""
    spec = item.get("spec")
    user = spec.get("user") if isinstance(spec, dict) else None
    status = _STATUS.get(resource.name, {"allowed": True, "reason": "the holder of the kubeconfig is the lab's root"})
    if "allowed" in status and isinstance(user, str):
        try:
            itself(user)
        except Refused:
            status = {"allowed": False, "reason": _NO_RBAC}
    return {"metadata": {}, **item, "apiVersion": resource.api_version, "kind": resource.name, "status": status}
