"""Answers that are no objects: ``Status``, as an API server returns it for an error or a deletion."""

from __future__ import annotations

from typing import Any

from netlab.api.resources import Resource


class Refused(Exception):
    """A request that is not granted, with the code and the reason of its ``Status``."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def status(self) -> dict[str, Any]:
        """The ``Status`` object."""
        return status(self.code, self.reason, self.message, self.details)


def status(code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """A ``Status`` object; a failure from 400 on."""
    outcome = "Failure" if code >= 400 else "Success"
    made = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": outcome, "message": message}
    made |= {"reason": reason} if reason else {}
    return made | ({"details": details} if details else {}) | {"code": code}


def _details(resource: Resource, name: str) -> dict[str, Any]:
    return {"name": name, **({"group": resource.group} if resource.group else {}), "kind": resource.plural}


def not_found(resource: Resource, name: str) -> Refused:
    """The object is not there."""
    return Refused(404, "NotFound", f'{resource.title} "{name}" not found', _details(resource, name))


def no_resource() -> Refused:
    """There is nothing at this path."""
    return Refused(404, "NotFound", "the server could not find the requested resource")


def exists(resource: Resource, name: str, *, leaving: bool = False) -> Refused:
    """An object of that name is there already; ``leaving``: it was deleted and has not gone yet."""
    message = f'{"object is being deleted: " if leaving else ""}{resource.title} "{name}" already exists'
    return Refused(409, "AlreadyExists", message, _details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> Refused:
    """The object is not the one that the client knows."""
    message = f'Operation cannot be fulfilled on {resource.title} "{name}": {why}'
    return Refused(409, "Conflict", message, _details(resource, name))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def bad(message: str) -> Refused:
    """The request cannot be understood."""
    return Refused(400, "BadRequest", message)


def not_allowed(method: str, path: str) -> Refused:
    """The path is there, the method is not."""
    return Refused(405, "MethodNotAllowed", f"the server does not allow this method on the requested resource: {method} {path}")  # fmt: skip
