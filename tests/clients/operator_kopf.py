"""An operator of ``kopf`` for Pods: what its handlers see is printed."""

import kopf

WATCHED = {"watched": "yes"}


def said(text: str) -> None:
    print("HANDLER", text, flush=True)  # noqa: T201


@kopf.on.create("pods", labels=WATCHED)
def created(name: str, patch: kopf.Patch, **_: object) -> dict[str, int]:
    said(f"create {name}")
    patch.metadata.labels["seen"] = "yes"
    return {"result": 1}


@kopf.on.update("pods", labels=WATCHED)
def updated(name: str, **_: object) -> None:
    said(f"update {name}")


@kopf.on.delete("pods", labels=WATCHED)
def deleted(name: str, **_: object) -> None:
    said(f"delete {name}")


@kopf.on.event("networkpolicies")
def policy(name: str, **_: object) -> None:
    said(f"event {name}")
