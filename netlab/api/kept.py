"""What the API keeps beside the lab: objects that have no effect in a network, and metadata that the model has no use for.

It lies in the lab's run state (0600: Secrets are in it), so that a server that starts again has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from dataclasses import field
from pathlib import Path
from typing import Any

from netlab import plain
from netlab.api.resources import Key
from netlab.cli.kinds.kind import Item
from netlab.cli.kinds.times import stamp
from netlab.values import dataclass

_FILE = "api.json"


@dataclass
class Beside:
    """Of one object.  ``body``: the whole object, where netlab has none; it has ``created``, ``generation`` and ``uid``.

    ``annotations``: those that differ from the document's, None where it goes.  ``status`` is laid over the object's own.
    ``created``: an RFC 3339 time.  ``owners``: references that the model has no use for.  ``applied``: by manager, what it
    applied last.  ``deletion``: when it was deleted, while its finalizers or its processes hold it; of a Pod: when the
    ``grace`` period (seconds) is over.
    """

    created: str = ""
    generation: int = 1
    uid: str = ""
    body: Item | None = None
    annotations: dict[str, str | None] = field(default_factory=dict)
    finalizers: list[str] = field(default_factory=list)
    owners: list[Item] = field(default_factory=list)
    deletion: str = ""
    grace: int = 0
    managers: list[Item] = field(default_factory=list)
    applied: dict[str, Item] = field(default_factory=dict)
    status: Item | None = None


class Kept:
    """All of it, by key."""

    def __init__(self, folder: Path) -> None:
        self._path, self._next = folder / _FILE, folder / f".{_FILE}"
        self.objects: dict[Key, Beside] = {}
        self.remade: dict[Key, tuple[int, str]] = {}  # objects that come again: how many were deleted, and when
        self.load()

    def load(self) -> None:
        """Read it as it was saved last."""
        self.objects, self.remade = {}, {}
        try:
            data = json.loads(self._path.read_bytes())
            self.objects = {Key(*key): plain.load(Beside, value) for key, value in data["objects"]}
            self.remade = {Key(*key): (int(number), str(when)) for key, (number, when) in data["remade"]}
        except FileNotFoundError:
            pass
        except (ValueError, TypeError, KeyError):  # another version's: without it a client sees new metadata, no more
            self.objects, self.remade = {}, {}

    def of(self, key: Key) -> Beside:
        """What is kept of an object, to write it."""
        return self.objects.setdefault(key, Beside())

    def new(self, key: Key, body: Item) -> Beside:
        """A new object that netlab only keeps."""
        beside = self.objects[key] = Beside(stamp(time.time()), uid=str(uuid.uuid4()), body=body)
        return beside

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self.objects.pop(key, None)

    def terminating(self) -> list[Key]:
        """Objects that were deleted and that only processes hold."""
        return [key for key, beside in self.objects.items() if beside.deletion and not beside.finalizers]

    def again(self, key: Key) -> None:
        """The object was deleted, and there is another of its name at once."""
        self.forget(key)
        self.remade[key] = self.remade.get(key, (0, ""))[0] + 1, stamp(time.time())

    def prepare(self) -> None:
        """Write it beside the file that counts: after this, no full disk is in the way of ``commit``."""
        data: Any = {
            "objects": [[list(key), plain.dump(value)] for key, value in self.objects.items()],
            "remade": [[list(key), value] for key, value in self.remade.items()],
        }
        try:
            fd = os.open(self._next, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with open(fd, "w", encoding="utf-8") as stream:
                json.dump(data, stream)
        except OSError as error:  # of a write, which names no file
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def commit(self) -> None:
        """Make what was prepared what counts."""
        os.replace(self._next, self._path)

    def abandon(self) -> None:
        """Forget all changes since the last ``commit``."""
        with contextlib.suppress(OSError):
            os.unlink(self._next)
        self.load()

    def save(self) -> None:
        """Write it, whole or not at all."""
        self.prepare()
        self.commit()
