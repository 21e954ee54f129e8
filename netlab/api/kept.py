"""What the API keeps beside the lab: objects that have no effect in a network, and metadata that the model has no use for.

It lies in the lab's run state (0600: Secrets are in it), so that a server that starts again has it.
"""

from __future__ import annotations

import json
import os
from dataclasses import field
from pathlib import Path
from typing import Any

from netlab import plain
from netlab.api.resources import Key
from netlab.cli.kinds.kind import Item
from netlab.values import dataclass

_FILE = "api.json"


@dataclass
class Beside:
    """Of one object.  ``body``: the whole object, where netlab has none.  ``annotations``, ``status``: laid over it.

    ``created``: an RFC 3339 time; ``owners``: references that the model has no use for; ``applied``: by manager, what it applied last; ``deletion``: when it was deleted, while
    its finalizers hold it.
    """

    created: str = ""
    generation: int = 1
    incarnation: int = 0
    body: Item | None = None
    annotations: dict[str, str] | None = None
    finalizers: list[str] = field(default_factory=list)
    owners: list[Item] = field(default_factory=list)
    deletion: str = ""
    managers: list[Item] = field(default_factory=list)
    applied: dict[str, Item] = field(default_factory=dict)
    status: Item | None = None


class Kept:
    """All of it, by key."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self.objects: dict[Key, Beside] = {}
        self.gone: dict[Key, int] = {}  # how many objects of that name were there and were deleted
        try:
            data = json.loads(self._path.read_bytes())
            self.objects = {Key(*key): plain.load(Beside, value) for key, value in data["objects"]}
            self.gone = {Key(*key): int(value) for key, value in data["gone"]}
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, KeyError):  # another version's: without it a client sees new metadata, no more
            self.objects, self.gone = {}, {}

    def of(self, key: Key, created: str) -> Beside:
        """What is kept of an object; of a new one ``created`` is the time of its creation."""
        beside = self.objects.get(key)
        if beside is None:
            beside = self.objects[key] = Beside(created, incarnation=self.gone.get(key, 0))
        return beside

    def forget(self, key: Key) -> None:
        """The object is gone for good."""
        if self.objects.pop(key, None) is not None:
            self.gone[key] = self.gone.get(key, 0) + 1

    def save(self) -> None:
        """Write it, whole or not at all."""
        data: Any = {
            "objects": [[list(key), plain.dump(value)] for key, value in self.objects.items()],
            "gone": [[list(key), value] for key, value in self.gone.items()],
        }
        temporary = self._path.with_name(f".{_FILE}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="utf-8") as stream:
            json.dump(data, stream)
        os.replace(temporary, self._path)
