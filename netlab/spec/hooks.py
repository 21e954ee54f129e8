"""Helm hooks: the objects that ``helm template`` prints beside the release, as ``helm install`` leaves the cluster.

Helm creates a hook at its event and deletes it by ``helm.sh/hook-delete-policy``.  So after an installation a hook of
another event is not there, one with ``hook-succeeded`` is gone again, and every other one stays; a Job or Pod that
stays has ended.  An unknown event makes Helm skip the object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netlab.spec.documents import Document, Warning

_EVENTS = frozenset(
    f"{when}-{action}" for when in ("pre", "post") for action in ("install", "delete", "upgrade", "rollback")
) | {"test", "test-success"}
_INSTALLS = frozenset(("pre-install", "post-install"))
_NAMED = 3  # objects that a line names before it only counts


def is_hook(document: Document) -> bool:
    """Whether Helm would create the object at an event of its own."""
    return "helm.sh/hook" in _annotations(document)


def left_out(document: Document) -> bool:
    """Whether the object is not in the cluster after ``helm install``."""
    if not is_hook(document):
        return False
    events = _words(document, "helm.sh/hook")
    installed = events <= _EVENTS and bool(events & _INSTALLS)
    return not installed or "hook-succeeded" in _words(document, "helm.sh/hook-delete-policy")


def no_hook(document: Document) -> None:
    """Take the mark of a hook away from an object that was just read."""
    document.body["metadata"].get("annotations", {}).pop("helm.sh/hook", None)


def has_ended(document: Document) -> bool:
    """Whether its Pods have ended: Helm waits for a hook that is a Job or a Pod."""
    return is_hook(document) and document.kind in ("Job", "Pod")


def note(hooks: Sequence[Document]) -> Warning:
    """What becomes of all hooks of a lab, in one line."""
    gone = [hook for hook in hooks if left_out(hook)]
    stay = [hook for hook in hooks if not left_out(hook)]
    parts = (
        ("left out as not there", gone),
        ("ended, so their Pods are left out", [obj for obj in stay if has_ended(obj)]),
        ("still there", [obj for obj in stay if not has_ended(obj)]),
    )
    listed = "; ".join(f"{message}: {_names(objects)}" for message, objects in parts if objects)
    count = "1 Helm hook" if len(hooks) == 1 else f"{len(hooks)} Helm hooks"
    return Warning("helm-hook", f"{count}, as helm install leaves them: {listed}", hooks[0].mark, str(hooks[0]), "note")


def _names(objects: Sequence[Document]) -> str:
    more = f" and {len(objects) - _NAMED} more" if len(objects) > _NAMED else ""
    return ", ".join(map(str, objects[:_NAMED])) + more


def _annotations(document: Document) -> Mapping[str, str]:
    annotations: Mapping[str, str] = document.body["metadata"].get("annotations", {})
    return annotations


def _words(document: Document, annotation: str) -> set[str]:
    words: Iterable[str] = _annotations(document).get(annotation, "").split(",")
    return {word.strip().lower() for word in words}
